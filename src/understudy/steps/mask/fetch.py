"""Gather the labelled faces of a faceset in a folder of their own."""

from pathlib import Path

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.faceset.left_out import tell_left_out
from understudy.steps.faceset.measured import refuse_pak
from understudy.steps.mask.copies import copy_faces
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace

SUFFIX = "_xseg"


class FetchOptions(StepOptions):
    """Options of `mask fetch`."""

    faces: str = argument("Which faces: src, dst or a folder.")
    out: Path | None = option(
        None,
        "Folder for the copies; if not given, aligned_xseg beside the faceset.",
        group="Output",
    )
    replace: bool = option(
        False,
        "Put newer versions in the place of copies fetched before; those go to the trash beside "
        "the copies.",
        group="Output",
    )
    delete_originals: bool = option(
        False,
        "Move the fetched faces out of the faceset, to the trash beside it; understudy faceset "
        "undo brings them back.",
    )


def fetch(options: FetchOptions, job: Job) -> Report:
    """Copies of all faces with labels, as they are, with the masks that lie beside them.

    Raises:
        MaterialError: there are no faces, or none has labels.
        FileError: faces to be moved away are in a pak.
    """
    from understudy.facesets.faceset import Faceset
    from understudy.facesets.moves import edit
    from understudy.files import make_dir, remove_leftovers
    from understudy.masks.polygons import is_labelled

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    faceset = Faceset.open(folder)
    if options.delete_originals:
        refuse_pak(folder, options.faces)
    out_dir = _out_dir(options, folder)
    names = faceset.names
    remove_leftovers(make_dir(out_dir))
    labels = job.map(
        lambda index: is_labelled(faceset[index].polygons),
        range(len(names)),
        total=len(names),
        name=lambda index: names[index],
        message="looking for labels",
    )
    labelled = [index for index, has_some in labels if has_some]
    copied, there = copy_faces(faceset, labelled, out_dir, job, replace=options.replace)
    if not copied and not there and not job.failures:
        _remove_if_empty(out_dir)
        raise _no_labels(folder, len(names), options.faces)
    summary = f"{len(copied)} labelled faces fetched"
    if options.delete_originals:
        fetched = [folder / name for name in (*copied, *there)]
        moves = edit.trash_moves(folder, fetched)
        edit.apply_moves(folder, moves, operation="mask fetch")
        summary += f"; the originals are in {edit.trash_dir(folder).name}"
    left_out = tell_left_out(faceset, job)
    return Report(
        "mask fetch",
        done=len(copied),
        skipped=len(there),
        outputs=[out_dir],
        details={
            "summary": summary,
            "faces": len(names),
            "unlabelled": len(names) - len(labelled),
            "left_out": left_out,
        },
    )


def _out_dir(options: FetchOptions, folder: Path) -> Path:
    from understudy.errors import OptionError

    real = folder.resolve()
    out_dir = options.out or real.with_name(real.name + SUFFIX)
    if out_dir.resolve() == real:
        raise OptionError(
            "--out",
            expected="another folder than the faceset's",
            found=str(out_dir),
            remedy="Leave --out away for a folder beside the faceset.",
        )
    return out_dir


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def _no_labels(folder: Path, count: int, faces: str) -> Exception:
    from understudy.errors import MaterialError

    return MaterialError(
        folder,
        expected="faces with labels",
        found=f"{count} faces without any",
        remedy=f"Label some first; which ones, tells: understudy mask suggest {faces}",
    )
