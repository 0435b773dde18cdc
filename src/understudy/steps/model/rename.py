"""Give a model another name."""

from understudy.job import Job
from understudy.options import argument
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class RenameOptions(StepOptions):
    """Options of `model rename`."""

    model: str = argument("Name of the model.")
    to: str = argument("Its new name.")


def rename(options: RenameOptions, job: Job) -> Report:
    """The model under its new name, with its saves, backups and previews.

    Raises:
        FileError: there is no such model, or the name is taken.
    """
    from understudy.training.state import shelf_moves

    model_dir = Workspace.open(options.workspace).model_dir
    path = shelf_moves.rename(model_dir, options.model, options.to)
    summary = f"{options.model} is called {options.to} now"
    return Report("model rename", done=1, outputs=[path], details={"summary": summary})
