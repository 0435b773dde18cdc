"""Copy a model, to try something on the copy."""

from understudy.job import Job
from understudy.options import argument
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class CopyOptions(StepOptions):
    """Options of `model copy`."""

    model: str = argument("Name of the model.")
    to: str = argument("Name of the copy.")


def copy(options: CopyOptions, job: Job) -> Report:
    """A model that goes on from where the other is; backups stay with the other.

    Raises:
        FileError: there is no such model, or the name is taken.
    """
    from understudy.training.state import shelf_moves

    model_dir = Workspace.open(options.workspace).model_dir
    shelf_moves.sweep(model_dir)
    source = shelf_moves.model_path(model_dir, options.model)
    target = shelf_moves.free_path(model_dir, options.to)

    def progress(done: int, total: int) -> None:
        job.check()
        job.progress(done, total, "copying")

    shelf_moves.copy(source, target, progress=progress)
    summary = f"{options.to} is a copy of {options.model}"
    return Report("model copy", done=1, outputs=[target], details={"summary": summary})
