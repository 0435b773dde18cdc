"""Empty a workspace."""

from pathlib import Path

from understudy.errors import OptionError
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class ClearOptions(StepOptions):
    """Options of `clear`."""

    workspace: Path = argument("Workspace to empty.")
    yes: bool = option(False, "Really remove; without it only the content is counted.")


def clear(options: ClearOptions, job: Job) -> Report:
    """Remove frames, faces, models and results; clips, consent and the report of this step stay.

    Raises:
        OptionError: `yes` is missing; says what would be lost.
    """
    workspace = Workspace.open(options.workspace)
    content = workspace.content()
    files = [p for folder in content for p in folder.rglob("*") if p.is_file()]
    if files and not options.yes:
        size = sum(p.stat().st_size for p in files) / 1e6
        folders = ", ".join(p.name for p in content)
        raise OptionError(
            workspace.root,
            expected="--yes",
            found=f"{len(files)} files ({size:.0f} MB) in {folders} that would be removed for good",
            remedy="Add --yes to remove them.",
        )
    workspace.clear()
    return Report(
        "clear",
        done=len(files),
        outputs=[workspace.root],
        details={"summary": f"{len(files)} files removed"},
    )
