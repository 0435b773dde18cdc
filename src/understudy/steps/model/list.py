"""List the models of a workspace."""

from understudy.job import Job
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class ListOptions(StepOptions):
    """Options of `model list`."""


def list(options: ListOptions, job: Job) -> Report:
    """Each model with its shape, iterations, last losses and size."""
    from understudy.training.state import shelf

    found = shelf.models(Workspace.open(options.workspace).model_dir)
    for facts in found:
        if facts.preview is not None:
            job.preview(facts.name, facts.preview)
    return Report(
        "model list",
        done=len(found),
        details={
            "summary": f"{len(found)} model{'' if len(found) == 1 else 's'}"
            + ("" if found else "; `understudy train` makes one"),
            "lines": [f"  {line}" for line in shelf.table(found)],
            "models": [facts.as_json() for facts in found],
        },
    )
