"""Make a workspace."""

from pathlib import Path

from understudy.job import Job
from understudy.options import argument
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class NewOptions(StepOptions):
    """Options of `new`."""

    workspace: Path = argument("Folder to make.")


def new(options: NewOptions, job: Job) -> Report:
    """A workspace with its folders; what lies in the folder already stays."""
    workspace = Workspace.create(options.workspace)
    return Report(
        "new",
        done=1,
        outputs=[workspace.root],
        details={"summary": "workspace ready"},
    )
