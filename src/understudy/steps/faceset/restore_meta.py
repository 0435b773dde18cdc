"""Give edited or resized pictures the metadata back that were saved before."""

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.facesets.dfl.meta import SavedFace

_ENDINGS = (".jpg", ".jpeg", ".png")


class RestoreMetaOptions(StepOptions):
    """Options of `faceset restore-meta`."""

    faces: str = argument("Faceset to restore: src, dst or a folder with a meta.dat.")
    only_missing: bool = option(False, "Leave pictures alone that have metadata.")
    resize_back: bool = option(
        False, "Resample resized pictures to the saved size and encode them again, as DFL does."
    )


def restore_meta(options: RestoreMetaOptions, job: Job) -> Report:
    """The saved metadata in each picture there is; those of resized ones are scaled to them.

    Raises:
        MaterialError: none were saved.
        FormatError: what was saved is damaged.
    """
    from understudy.errors import MaterialError
    from understudy.facesets.dfl.entry_names import inside
    from understudy.facesets.dfl.meta import META_NAME, read_meta, restore_face

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    path = folder / META_NAME
    if not path.is_file():
        raise MaterialError(
            folder,
            expected=f"a {META_NAME}",
            found="none",
            remedy=f"It is made by: understudy faceset save-meta {options.faces}",
        )
    saved = read_meta(path)

    def restore(name: str) -> str:
        picture = _find(folder, name, saved)
        if picture is None:
            return "gone"
        if options.only_missing and _has_metadata(picture):
            return "left alone"
        return restore_face(inside(picture, folder), saved[name], resize_back=options.resize_back)

    counts = dict.fromkeys(("as saved", "scaled", "resized", "left alone", "gone"), 0)
    for _, how in job.map(restore, saved, total=len(saved), message="restoring"):
        counts[how] += 1
    done = sum(counts[how] for how in ("as saved", "scaled", "resized"))
    told = ", ".join(f"{count} {how}" for how, count in counts.items() if count)
    said = f"metadata restored to {counted(done, 'face')} ({told})"
    details = {"summary": said, "counts": counts}
    return Report("faceset restore-meta", done=done, outputs=[folder], details=details)


def _find(folder: Path, name: str, saved: "dict[str, SavedFace]") -> Path | None:
    """The picture saved as `name`, or the one an editor made of it under another ending."""
    path = folder / name
    if path.is_file():
        return path
    others = (path.with_suffix(ending) for ending in _ENDINGS)
    free = (other for other in others if other.is_file() and _key(other, folder) not in saved)
    return next(free, None)


def _key(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _has_metadata(path: Path) -> bool:
    from understudy.facesets.dfl.face_file import read_file_header

    return bool(read_file_header(path).payload)
