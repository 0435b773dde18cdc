"""Take back the last operation that moved or renamed faces."""

from understudy.job import Job
from understudy.options import argument
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class UndoOptions(StepOptions):
    """Options of `faceset undo`."""

    faces: str = argument("Faceset to put back as it was: src, dst or a folder of faces.")


def undo(options: UndoOptions, job: Job) -> Report:
    """Names and places of before the last operation; once more, of before the one before it.

    Raises:
        MaterialError: there is nothing to undo.
    """
    from understudy.facesets import edit

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    undone = edit.undo(folder)
    for name in undone.missing:
        job.message(f"{name}: gone since")
    for old, now in undone.renamed:
        job.message(f"{old}: its name was taken since; it is {now} now")
    left = len(edit.operations(folder))
    summary = f"undone: {undone.operation}, {undone.moved} faces; {left} more can be undone"
    return Report(
        "faceset undo",
        done=undone.moved,
        skipped=len(undone.missing),
        outputs=[folder],
        details={"summary": summary, "operation": undone.operation, "left": left},
    )
