"""Put a model into the trash."""

import shlex

from understudy.job import Job
from understudy.options import argument
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class DeleteOptions(StepOptions):
    """Options of `model delete`."""

    model: str = argument("Name of the model.")


def delete(options: DeleteOptions, job: Job) -> Report:
    """The model's folder in the trash of the workspace; nothing is lost until that is emptied.

    Raises:
        FileError: there is no such model.
    """
    from understudy.training.state import shelf_moves

    path = shelf_moves.delete(Workspace.open(options.workspace).model_dir, options.model)
    back = f"understudy model import {shlex.quote(str(path))}"
    job.message(f"to have it back: {back} --workspace {shlex.quote(str(options.workspace))}")
    summary = f"{options.model} lies in the trash; remove it there to free its space"
    return Report("model delete", done=1, outputs=[path], details={"summary": summary})
