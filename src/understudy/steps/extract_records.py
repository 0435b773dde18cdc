"""What an extraction recorded, and the faces it finds in place.

Journals and a faceset in; whether its faces are ours or another's, whether they fit what is asked
for, and which go to the trash. A faceset that `--restart` moves away keeps its records, so that
undoing that brings both back. Knows nothing of networks and pixels.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import FileError, FormatError, OptionError
from understudy.faces.settings import ExtractSettings
from understudy.files import make_dir, read_bytes, remove_files, write_bytes
from understudy.job import Job
from understudy.steps.faceset.measured import refuse_pak
from understudy.steps.journal import Journal
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Side, SideName, Workspace

if TYPE_CHECKING:
    from understudy.steps.extract import ExtractOptions
    from understudy.types import FaceSample

RESTART = "extract --restart"
REDO = "extract --redo"
UNRECORDED = "extract"
# What all faces of a faceset share; the rest may differ where some frames are done again.
_SHARED = ("face_type", "image_size")
# Of these the first two say which faces are finished; the others tell of them.
_FILES = ("extract_{}.jsonl", "found_{}.jsonl", "tracks_{}.json", "look_{}.json")

Facts = dict[str, Any]  # JSON values


@dataclass(frozen=True, slots=True)
class Records:
    """What earlier runs left: frames that are finished, and what was found in each frame."""

    done: Journal
    found: Journal

    @classmethod
    def open(cls, workspace: Workspace, side: SideName, *, anew: bool) -> "Records":
        names = (f"extract_{side}", f"found_{side}")
        done, found = (Journal(workspace.manifests_dir / f"{n}.jsonl", anew=anew) for n in names)
        return cls(done, found)

    def begin(self, made_with: dict[str, Any]) -> None:
        self.found.begin({})
        self.done.begin(made_with)


def take_up(
    options: "ExtractOptions",
    side: Side,
    records: Records,
    frames: list[list[Any]] | None,
    *,
    job: Job,
) -> bool:
    """Whether frames without a record are to be done; not where the faceset is the user's own.

    Raises:
        OptionError: faces made with other options are there and `restart` is off.
        FileError: a picture for `like` is missing.
    """
    from understudy.facesets.moves import edit_plan

    made_with = {
        "settings": options.model_dump(mode="json", include=set(ExtractSettings.model_fields)),
        "detector": options.detector,
        "landmarker": options.landmarker,
        "like": [str(path) for path in options.like],
        "embedder": options.embedder,
        "frames": frames,
    }
    faces = faces_of(side)
    done = records.done
    check_pictures(options.like, done.header.get("like", []))
    if options.restart:
        if faces:
            number = edit_plan.next_number(edit_plan.edits_dir(side.aligned_dir))
            keep_records(side, label_of(number))  # where undoing this finds them
            _to_trash(side, faces, RESTART)
            _tell_moved(counted(len(faces), "face"), job)
        remove_files(side.debug_dir.glob("*.jpg") if side.debug_dir.is_dir() else ())
        records.begin(made_with)
    elif not done.header:
        if faces and options.redo == "none":
            return False
        _adopt(options, side, records, made_with)
    elif not faces and any(row["files"] for row in done.items.values()):
        records.begin(made_with)  # the user took all of them away
    else:
        names = _SHARED if options.redo != "none" else None
        changed = _difference(done.header, made_with, names=names)
        if changed:
            raise OptionError(
                side.aligned_dir,
                expected="the frames and options these faces were made with",
                found=changed,
                remedy="Add --restart to move these faces away, or repeat the old options.",
            )
        if not records.found.path.exists():  # of a version that kept none
            records.found.begin({})
    return True


def _adopt(options: "ExtractOptions", side: Side, records: Records, made_with: Facts) -> None:
    """Take faces that another program made for finished, so that some can be done again."""
    files: dict[str, list[str]] = {}
    for place, (path, face) in enumerate(_loose(side)):
        if not place:
            _refuse_other_cut(options, path, face)
        if face.source_name:
            files.setdefault(face.source_name, []).append(path.name)
    records.begin(made_with)
    if not files:
        return
    with records.done as journal:
        for path in sorted(side.frames_dir.iterdir()):
            if path.is_file():  # where there is no face of it, the user may have removed it
                journal.add(path.name, files=files.get(path.name, []))


def _refuse_other_cut(options: "ExtractOptions", path: Path, face: "FaceSample") -> None:
    from understudy.facesets.dfl.face_file import read_file_header

    size = max(read_file_header(path).shape_hw)
    if (face.face_type, size) != (options.face_type, options.image_size):
        raise OptionError(
            path,
            expected=f"a {options.face_type.value} of {options.image_size} px, as asked for",
            found=f"a {face.face_type.value} of {size} px",
            remedy=f"Add --face-type {face.face_type.value} --image-size {size}, or --restart.",
        )


def set_aside(side: Side, records: Records, again: list[Path]) -> None:
    """Make frames unfinished; their faces, whatever they are called now, go to the trash."""
    if not again:
        return
    names = {path.name for path in again}
    _to_trash(side, [p for p, face in _loose(side) if face.source_name in names], REDO)
    records.found.forget(names)
    records.done.forget(names)


def _loose(side: Side) -> "Iterator[tuple[Path, FaceSample]]":
    """Files of the faces, and what they say; damaged ones are left where they are.

    Raises:
        FileError: the faces are in a pak.
    """
    from understudy.facesets.faceset import list_loose
    from understudy.facesets.moves.edit import recover

    refuse_pak(side.aligned_dir, side.name)
    if not side.aligned_dir.is_dir():
        return
    recover(side.aligned_dir)
    for entry in list_loose(side.aligned_dir):
        try:
            face = entry.read()
        except FormatError:
            continue
        yield entry.path, face


def _to_trash(side: Side, faces: list[Path], operation: str) -> None:
    from understudy.facesets.moves.edit import apply_moves, trash_moves

    if faces:
        moves = trash_moves(side.aligned_dir, faces)
        apply_moves(side.aligned_dir, moves, operation=operation)


def faces_of(side: Side) -> list[Path]:
    """Files that hold the faces of a side, a pak among them."""
    from understudy.facesets.dfl.pack import PAK_NAME
    from understudy.facesets.faceset import list_loose

    if not side.aligned_dir.is_dir():
        return []
    pak = side.aligned_dir / PAK_NAME
    loose = [face.path for face in list_loose(side.aligned_dir)]
    return [*loose, pak] if pak.is_file() else loose


def _difference(
    before: dict[str, Any], now: dict[str, Any], *, names: tuple[str, ...] | None
) -> str:
    """What changed, of `names` or of all; early records lack options that came later."""
    old = {**now["settings"], **now, **before.get("settings", {}), **before}
    new = {**now["settings"], **now}
    compared = [k for k in new if k != "settings" and (names is None or k in names)]
    changed = [k for k in compared if old.get(k) != new[k]]
    return ", ".join(f"{k} {old.get(k)} before, {new[k]} now" for k in changed)


def check_pictures(like: Sequence[Path], recorded: Sequence[str] = ()) -> None:
    """Nothing, if the pictures of a person are there; those of finished faces may be gone since.

    Raises:
        FileError: one is missing.
    """
    for path in like:
        if str(path) not in recorded and not path.is_file():
            raise FileError(
                path,
                expected="a picture of one person for --like",
                found="a folder" if path.is_dir() else "no such file",
                remedy="Check the path.",
            )


def clear_way(side: Side, todo: set[str], job: Job) -> None:
    """Nothing is overwritten: faces under the names that unfinished frames want go to the trash."""
    stems = {Path(name).stem for name in todo}
    in_the_way = []
    for path in faces_of(side):
        match = re.fullmatch(r"(.+)_[0-9]+", path.stem)
        if path.parent == side.aligned_dir and match and match[1] in stems:
            in_the_way.append(path)
    _to_trash(side, in_the_way, UNRECORDED)
    if in_the_way:
        _tell_moved(f"{counted(len(in_the_way), 'face')} of frames that are not finished", job)


def _tell_moved(what: str, job: Job) -> None:
    job.message(f"{what} moved to aligned_trash; faceset undo brings back what moved")


def report_foreign(side: Side, chosen: Sequence[tuple[int, Path]]) -> Report:
    """What is told of faces that were made elsewhere: nobody knows which frames were looked at."""
    from understudy.facesets.dfl.pack import PAK_NAME

    count = len(faces_of(side))
    summary = f"{counted(count, 'face')} of {side.name}, made elsewhere, stay as they are"
    details: Facts = {"faces": count, "unit": "frame", "made_elsewhere": True}
    if (side.aligned_dir / PAK_NAME).is_file():
        summary = f"faces of {side.name} in a pak, made elsewhere, stay as they are"
    else:
        sources = {face.source_name for _, face in _loose(side)}
        names = {path.name for _, path in chosen}
        empty = sorted(names - sources)
        if names.isdisjoint(sources):
            summary += "; they name none of these frames; --restart moves them to the trash"
        elif empty:
            details["frames_without_face"] = len(empty)
            summary += f"; {counted(len(empty), 'frame')} without a face there: see --redo faceless"
    details["summary"] = summary
    return Report("extract", outputs=[side.aligned_dir], details=details)


# ---------------------------------------------------------------------- undoing


def keep_records(side: Side, label: str) -> None:
    """Copy the records aside; `label` is a part of the copies' names."""
    for path in _paths(side):
        kept = _kept(path, label)
        if path.is_file():
            write_bytes(kept, read_bytes(path))
        else:
            remove_files([kept])  # of an earlier operation that had this label


def drop_records(side: Side) -> None:
    """Take the records away; without them faces count as the user's own."""
    remove_files(_paths(side))


def restore_records(side: Side, label: str) -> None:
    """Bring back what `keep_records` copied aside."""
    for path in reversed(_paths(side)):  # what says that faces are finished comes last
        kept = _kept(path, label)
        if kept.is_file():
            write_bytes(path, read_bytes(kept))
            remove_files([kept])


def label_of(number: int) -> str:
    """Label of the records from before the operation of that number."""
    return f"before_{number:02d}"


def forget_unwritten(side: Side) -> None:
    """Let frames that a redo left unfinished be looked at again."""
    records = Records.open(Workspace(side.root), side.name, anew=False)
    records.found.forget(set(records.found.items) - set(records.done.items))


def _paths(side: Side) -> list[Path]:
    folder = make_dir(Workspace(side.root).manifests_dir)
    return [folder / name.format(side.name) for name in _FILES]


def _kept(path: Path, label: str) -> Path:
    return path.with_name(f"{path.stem}.{label}{path.suffix}")
