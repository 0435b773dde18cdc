"""Take back the last operation that moved or renamed faces."""

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import UnderstudyError
from understudy.job import Job
from understudy.options import argument
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Side, Workspace

if TYPE_CHECKING:
    from understudy.facesets.moves.edit import Undone


class UndoOptions(StepOptions):
    """Options of `faceset undo`."""

    faces: str = argument("Faceset to put back as it was: src, dst or a folder of faces.")


def undo(options: UndoOptions, job: Job) -> Report:
    """Names and places of before the last operation; once more, of before the one before it.

    Raises:
        MaterialError: there is nothing to undo.
    """
    from understudy.facesets.moves import edit

    workspace = Workspace.open(options.workspace)
    folder = workspace.faceset_dir(options.faces)
    edit.recover(folder)
    last = next(reversed(edit.operations(folder)), "")
    replaced = _replaced(folder, last)
    undone = _undo(folder, last, replaced, side=_side(workspace, folder))
    if replaced:
        job.message(
            f"{counted(len(replaced), 'face')} made since are in {edit.trash_dir(folder).name} now"
        )
    for name in undone.missing:
        job.message(f"{name}: gone since")
    for old, now in undone.renamed:
        job.message(f"{old}: its name was taken since; it is {now} now")
    left = len(edit.operations(folder))
    more = f"{counted(left, 'operation')} more can be undone" if left else "nothing more to undo"
    summary = f"undone: {undone.operation} ({_in_words(undone)}); {more}"
    return Report(
        "faceset undo",
        done=undone.moved,
        skipped=len(undone.missing),
        outputs=[folder],
        details={"summary": summary, "operation": undone.operation, "left": left},
    )


def _in_words(undone: "Undone") -> str:
    """Faces that came back, apart from those that stayed and have their old names again."""
    told = [f"{counted(undone.returned, 'face')} brought back"] if undone.returned else []
    if undone.renamed_only:
        told.append(f"{counted(undone.renamed_only, 'face')} renamed back")
    return ", ".join(told) or "no face came back"


def _undo(folder: Path, last: str, replaced: list[Path], *, side: Side | None) -> "Undone":
    """Take back the operation `last`; what is recorded of an extraction fits the faces then."""
    from understudy.facesets.moves import edit, edit_plan
    from understudy.steps import extract_records as records

    if side is None or last != records.RESTART:
        undone = edit.undo(folder, replaced=replaced)
        if side is not None and last in (records.REDO, records.UNRECORDED):
            records.forget_unwritten(side)
        return undone
    number = edit_plan.next_number(edit_plan.edits_dir(folder)) - 1
    records.keep_records(side, "undone")
    # Stopped from here on, the faces count as the user's own, whichever lie there.
    records.drop_records(side)
    try:
        undone = edit.undo(folder, replaced=replaced)
    except UnderstudyError:
        records.restore_records(side, "undone")
        raise
    records.restore_records(side, records.label_of(number))
    return undone


def _replaced(folder: Path, operation: str) -> list[Path]:
    """Faces that an extraction made in the place of those it moved away."""
    from understudy.facesets.dfl.pack import PAK_NAME
    from understudy.facesets.faceset import is_picture_name, list_loose
    from understudy.facesets.moves import edit_plan
    from understudy.steps import extract_records as records

    if operation == records.RESTART:
        pak = folder / PAK_NAME
        return [f.path for f in list_loose(folder)] + ([pak] if pak.is_file() else [])
    if operation in (records.REDO, records.UNRECORDED):
        edits_dir = edit_plan.edits_dir(folder)
        places = edit_plan.places_before(edits_dir, edit_plan.next_number(edits_dir) - 1)
        return [path for path in places if is_picture_name(path.name) and path.is_file()]
    return []


def _side(workspace: Workspace, folder: Path) -> Side | None:
    """The side whose faceset the folder is, in this workspace or another."""
    real = folder.resolve()
    roots = (workspace.root, real.parent.parent)
    sides = (side for root in roots for side in (Workspace(root).src, Workspace(root).dst))
    return next((side for side in sides if side.aligned_dir.resolve() == real), None)
