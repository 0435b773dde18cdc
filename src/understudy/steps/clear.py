"""Empty a workspace."""

from pathlib import Path

from understudy.errors import OptionError
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace


class ClearOptions(StepOptions):
    """Options of `clear`."""

    workspace: Path = argument("Workspace to empty.")
    yes: bool = option(False, "Really remove; without it only the content is counted.")


def clear(options: ClearOptions, job: Job) -> Report:
    """Remove frames, faces, models and results; clips, consent and the report of this step stay.

    So do files of kinds that no step makes, wherever they lie; they are named.

    Raises:
        WorkspaceError: the folder is not plainly a workspace.
        OptionError: `yes` is missing; says what would be lost.
    """
    workspace = Workspace.open(options.workspace)
    workspace.check_may_be_cleared()
    content = workspace.content()
    if content.made and not options.yes:
        size = sum(path.lstat().st_size for path in content.made) / 1e6
        folders = {path.relative_to(workspace.root).parts[0]: None for path in content.made}
        raise OptionError(
            workspace.root,
            expected="--yes",
            found=f"{counted(len(content.made), 'file')} ({size:.0f} MB) in {', '.join(folders)} "
            "that would be removed for good",
            remedy="Add --yes to remove them.",
        )
    workspace.clear()
    if content.foreign:
        job.message(f"kept, as no step makes such files: {workspace.named(content.foreign)}")
    return Report(
        "clear",
        done=len(content.made),
        skipped=len(content.foreign),
        outputs=[workspace.root],
        details={
            "summary": f"{counted(len(content.made), 'file')} removed",
            "kept": [str(path) for path in content.foreign],
        },
    )
