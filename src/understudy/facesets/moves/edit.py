"""Moves of face files as one transaction that a kill can't break and that can be undone.

Moves in, files under their new names out, and a record of each operation in a hidden folder beside
the faceset (`.aligned_edits`). A plan is on disk before the first file moves; whoever opens the
faceset next finishes what a killed process began. Nothing is overwritten or deleted: what is
rejected goes to `aligned_trash` beside the faceset, as DFL users know it. Knows nothing of why
files move, nor of their content.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import FileError, MaterialError
from understudy.facesets.dfl.face_file import SIDECAR_SUFFIX, sidecar_path
from understudy.facesets.moves import edit_plan
from understudy.facesets.moves.edit_plan import Pair, Plan
from understudy.facesets.moves.free_names import WITH_SIDECAR, free_name, is_there
from understudy.facesets.moves.transaction import finish_pending, locked, run

TRASH_SUFFIX = "_trash"


@dataclass(frozen=True, slots=True)
class Move:
    """A face file and the path it gets; both in the folder that holds the faceset."""

    source: Path
    target: Path


@dataclass(frozen=True, slots=True)
class Undone:
    """What undoing did.

    Of the `moved` faces `returned` came back into the faceset, and `renamed_only` stayed where they
    were under their old names; the rest, made since, left it.
    `missing` are files that are gone since; `renamed` those whose old name was taken meanwhile,
    each with the name it has now. Both relative to the folder that holds the faceset.
    """

    operation: str
    moved: int
    returned: int
    renamed_only: int
    missing: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]


def trash_dir(aligned_dir: Path) -> Path:
    """Folder beside the faceset for faces that were sorted out."""
    real = aligned_dir.resolve()
    return real.with_name(real.name + TRASH_SUFFIX)


def trash_moves(
    aligned_dir: Path, faces: Iterable[Path], *, leaving: Collection[Path] = ()
) -> list[Move]:
    """Moves of these faces to the trash under names free there once `leaving` left, by person."""
    trash, home = trash_dir(aligned_dir), aligned_dir.resolve()
    taken: set[Path] = set()
    moves = []
    for face in faces:
        parent = face.parent.resolve()
        inside = parent.relative_to(home) if parent.is_relative_to(home) else Path()
        target = free_name(trash / inside / face.name, taken, leaving=leaving)
        taken |= {target, sidecar_path(target)}
        moves.append(Move(face, target))
    return moves


def apply_moves(aligned_dir: Path, moves: Sequence[Move], *, operation: str) -> int:
    """Number of faces that got another path; all moves are done or none.

    A mask's sidecar goes with its face. Targets may be names that other moves free. `operation`
    is what the user calls it, "sort blur"; it is what `undo` tells.

    Raises:
        FileError: a source is missing, a target is taken or lies elsewhere; nothing was moved.
        StorageError: a file can't be moved; those moved before are back.
        WorkspaceBusyError: another process is moving files of this faceset.
    """
    root = aligned_dir.resolve().parent
    with locked(aligned_dir) as edits_dir:
        finish_pending(edits_dir)
        pairs = [pair for pair in _relative(moves, root) if pair.source != pair.target]
        _check_sources(pairs, root)
        complete = pairs + _sidecars(pairs, root)
        _check_targets(complete, root)
        if complete:
            made = _missing_dirs(complete, root)
            number = edit_plan.next_number(edits_dir)
            plan = Plan(root, operation, tuple(complete), number=number, made_dirs=made)
            edit_plan.write(edits_dir, plan)
            run(edits_dir, plan)
    return len(pairs)


def recover(aligned_dir: Path) -> str | None:
    """The operation a killed process left half done and that is finished now; else None.

    Writes nothing where there is nothing to finish.

    Raises:
        FormatError: the plan is damaged or asks for something no plan may ask for.
        StorageError: a file can't be moved; all are back under their old names.
        WorkspaceBusyError: the process that moves the files is still at work.
    """
    if edit_plan.pending(edit_plan.edits_dir(aligned_dir)) is None:
        return None
    with locked(aligned_dir) as edits_dir:
        return finish_pending(edits_dir)


def operations(aligned_dir: Path) -> tuple[str, ...]:
    """Operations that can be undone, the last one at the end."""
    edits_dir = edit_plan.edits_dir(aligned_dir)
    found = sorted(edit_plan.numbers(edits_dir))
    return tuple(edit_plan.operation_of(edits_dir, number) for number in found)


def undo(aligned_dir: Path, *, replaced: Sequence[Path] = ()) -> Undone:
    """Brings back names and places of the last operation; called again, of the one before.

    Faces in `replaced`, made since, go to the trash in the same transaction. A face that is gone
    since is passed over; one whose old name was taken since gets a free one.

    Raises:
        MaterialError: there is nothing to undo.
        FormatError: the record is damaged.
        StorageError: a file can't be moved; those moved before are back.
    """
    recover(aligned_dir)
    root = aligned_dir.resolve().parent
    if not edit_plan.numbers(edit_plan.edits_dir(aligned_dir)):
        raise MaterialError(
            aligned_dir,
            expected="an operation to undo",
            found="none recorded",
            remedy="Sorting, trimming and sorting out faces are recorded; deleting is not.",
        )
    with locked(aligned_dir) as edits_dir:
        last = edit_plan.read_record(edits_dir, max(edit_plan.numbers(edits_dir)), root)
        missing = {pair.target for pair in last.moves if not (root / pair.target).is_file()}
        coming = [pair for pair in last.moves if pair.target not in missing]
        away = _away(aligned_dir, replaced, coming, root=root)
        back = _way_back(coming, root, also_leaving=[pair.source for pair in away])
        name = f"undo {last.operation}"
        plan = Plan(root, name, (*away, *back), undoes=last.number, made_dirs=last.made_dirs)
        edit_plan.write(edits_dir, plan)
        run(edits_dir, plan)
    home = {pair.target: pair.source for pair in last.moves}
    faces = [pair for pair in back if not pair.target.endswith(SIDECAR_SUFFIX)]
    renamed = ((home[pair.source], pair.target) for pair in back)

    def inside(path: str) -> bool:
        return path.startswith(f"{aligned_dir.resolve().name}/")

    return Undone(
        last.operation,
        moved=len(faces),
        returned=sum(inside(pair.target) and not inside(pair.source) for pair in faces),
        renamed_only=sum(inside(pair.target) and inside(pair.source) for pair in faces),
        missing=tuple(sorted(missing)),
        renamed=tuple((old, now) for old, now in renamed if old != now),
    )


def _away(
    aligned_dir: Path, faces: Sequence[Path], coming: Sequence[Pair], *, root: Path
) -> list[Pair]:
    """Moves of faces and masks to the trash, where they may have the names of those coming back."""
    sources = {pair.target for pair in coming}
    moves = trash_moves(aligned_dir, faces, leaving={root / source for source in sources})
    pairs = [pair for pair in _relative(moves, root) if pair.source not in sources]
    return pairs + [pair for pair in _sidecars(pairs, root) if pair.source not in sources]


def _way_back(moves: Sequence[Pair], root: Path, *, also_leaving: Sequence[str] = ()) -> list[Pair]:
    """The moves reversed; a face whose old name is taken gets a free one, and its mask with it."""
    leaving = {root / name for name in (*(pair.target for pair in moves), *also_leaving)}
    taken: set[Path] = set()
    masks: dict[str, str] = {}
    back = []
    for pair in sorted(moves, key=lambda pair: pair.source.endswith(SIDECAR_SUFFIX)):
        home = free_name(root / masks.get(pair.source, pair.source), taken, leaving=leaving)
        taken.add(home)
        if home.suffix.lower() in WITH_SIDECAR:
            old, new = sidecar_path(root / pair.source), sidecar_path(home)
            masks[old.relative_to(root).as_posix()] = new.relative_to(root).as_posix()
        back.append(Pair(pair.target, home.relative_to(root).as_posix()))
    return back


def _relative(moves: Iterable[Move], root: Path) -> list[Pair]:
    """Moves as paths below `root`, which stay true when the workspace is carried elsewhere."""
    parents: dict[Path, Path] = {}

    def relative(path: Path) -> str:
        if path.parent not in parents:
            parents[path.parent] = path.parent.resolve()
        real = parents[path.parent] / path.name
        if not real.is_relative_to(root):
            raise FileError(
                path,
                expected=f"a file in {root}",
                found="one elsewhere",
                remedy="Faces move only inside their clip's folder; copy them there first.",
            )
        return real.relative_to(root).as_posix()

    return [Pair(relative(move.source), relative(move.target)) for move in moves]


def _check_sources(pairs: Sequence[Pair], root: Path) -> None:
    seen: set[str] = set()
    for pair in pairs:
        if pair.source in seen or not (root / pair.source).is_file():
            raise FileError(
                root / pair.source,
                expected="a file to move once",
                found="the same file twice" if pair.source in seen else "none",
                remedy="Look at the folder and start again; nothing was moved.",
            )
        seen.add(pair.source)


def _check_targets(pairs: Sequence[Pair], root: Path) -> None:
    leaving = {pair.source for pair in pairs}
    seen: set[str] = set()
    for pair in pairs:
        path = root / pair.target
        taken = pair.target not in leaving and is_there(path)
        if taken and path.exists() and path.samefile(root / pair.source):
            taken = False  # the file's own name, where capitals make no difference
        if taken or pair.target in seen:
            raise FileError(
                path,
                expected="a free name",
                found="a file that is there already" if taken else "two files that want it",
                remedy="Move it away or rename it; nothing was moved.",
            )
        seen.add(pair.target)


def _sidecars(pairs: Sequence[Pair], root: Path) -> list[Pair]:
    """Moves of the masks that lie beside faces, and of orphans that lie where those go."""
    found: dict[str, Pair] = {}
    asked = {pair.source for pair in pairs}
    for pair in pairs:
        mask = sidecar_path(root / pair.source)
        if (root / pair.source).suffix.lower() in WITH_SIDECAR and mask.is_file():
            source = mask.relative_to(root).as_posix()
            target = sidecar_path(root / pair.target).relative_to(root).as_posix()
            if source not in asked:
                found.setdefault(source, Pair(source, target))
    orphans = []
    for pair in found.values():
        mask = root / pair.target
        if pair.target not in found and mask.is_file() and not _has_face(mask):
            away = free_name(mask.with_name("orphan_" + mask.name), set())
            orphans.append(Pair(pair.target, away.relative_to(root).as_posix()))
    return [pair for pair in found.values() if pair.source != pair.target] + orphans


def _has_face(sidecar: Path) -> bool:
    stem = sidecar.name.removesuffix(SIDECAR_SUFFIX)
    return any(sidecar.with_name(stem + suffix).is_file() for suffix in WITH_SIDECAR)


def _missing_dirs(pairs: Iterable[Pair], root: Path) -> tuple[str, ...]:
    """Folders that the moves need and that are not there, the outer before the inner."""
    wanted: set[Path] = set()
    for parent in {(root / pair.target).parent for pair in pairs}:
        wanted |= {p for p in (parent, *parent.parents) if p.is_relative_to(root)}
    return tuple(p.relative_to(root).as_posix() for p in sorted(wanted) if not p.is_dir())
