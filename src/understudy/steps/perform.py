"""Run one step the same way wherever it is started from.

Takes the workspace's lock, tells the watchers, times it, and leaves its report in the workspace.
"""

import time
from pathlib import Path
from typing import Any

from understudy.errors import Cancelled, FileError, StorageError
from understudy.files import make_dir, write_json
from understudy.job import Job
from understudy.options import Options, option
from understudy.steps import STEPS
from understudy.types import Failure, Report
from understudy.workspace import Workspace

# These only look, write nothing that another step reads, or speak to who holds the workspace: they
# need none that is free.
NEED_NO_LOCK = (
    *("info", "model list", "model info", "verify", "preview", "devices", "weights", "studio"),
    *("faceset inspect", "faceset sheet", "faceset stats"),
    *("mask info", "mask suggest", "mask export"),
    *("train set", "train save", "train backup", "train preview"),
    *("train pause", "train resume", "train stop"),
)

# These check their input before the workspace is made, so that a wrong one leaves nothing behind.
MAKE_THEIR_WORKSPACE = ("new", "run", "demo")


class StepOptions(Options):
    """What every step that works in a workspace takes."""

    workspace: Path = option(Path("workspace"), "Folder of the job.")


class LooseOptions(Options):
    """What a step takes that needs no workspace."""

    workspace: Path | None = option(None, "Workspace to leave the report in.")


def perform(name: str, options: Options, job: Job) -> Report:
    """The report of step `name`, also written to `<workspace>/reports/<name>.json`.

    The file of a step of two words joins them: `faceset_pack.json`.

    Raises:
        UnderstudyError: the user's input is wrong.
        Cancelled: the user stopped it; what is finished is kept.
    """
    side = getattr(options, "side", None)
    job = job.for_step(f"{name} {side}" if side else name)
    job.started(options.model_dump(mode="json", exclude_defaults=True))
    folder = getattr(options, "workspace", None)
    try:
        if folder is None:
            report = _timed(name, options, job)
        elif name in MAKE_THEIR_WORKSPACE or name in NEED_NO_LOCK:
            report = _timed(name, options, job)
            _leave(report, Workspace.open(folder), options, job)
        else:
            workspace = Workspace.open(folder)
            if name == "clear":  # not even a lock is left in a folder that is no workspace
                workspace.check_may_be_cleared()
            report = _in_workspace(name, options, job, workspace)
    except Cancelled:
        job.was_cancelled()
        raise
    except Exception as error:  # a step's outermost entry: watchers hear of bugs too
        job.failed(error)
        raise
    job.finished(report)
    return report


def _in_workspace(name: str, options: Options, job: Job, workspace: Workspace) -> Report:
    """The report of a step that has the workspace to itself; left there however it ends."""
    with workspace.lock():
        start = time.monotonic()
        try:
            report = _timed(name, options, job)
        except BaseException as error:  # told in the report and raised again
            stopped = isinstance(error, Cancelled | KeyboardInterrupt)
            reason = "stopped" if stopped else str(error) or type(error).__name__
            report = Report(name, failed=[*job.failures, Failure(name, reason)])
            report.seconds = time.monotonic() - start
            _leave(report, workspace, options, job, logged=True)
            raise
        _write_report(report, workspace, options)
        _log(report, workspace)
        return report


def _timed(name: str, options: Options, job: Job) -> Report:
    start = time.monotonic()
    report = STEPS[name].function(options, job)
    report.failed.extend(job.failures)
    report.seconds = time.monotonic() - start
    return report


def _leave(
    report: Report, workspace: Workspace, options: Options, job: Job, *, logged: bool = False
) -> None:
    """Write the report where that is possible; its absence must not hide what it tells."""
    try:
        _write_report(report, workspace, options)
        if logged:
            _log(report, workspace)
    except (StorageError, FileError) as error:
        job.message(f"no report: {error}")


def _log(report: Report, workspace: Workspace) -> None:
    """Tie the report into the workspace's chain of runs."""
    from understudy.provenance.consent import marking_enabled
    from understudy.provenance.run_log import RunLog

    marking = "on" if marking_enabled(workspace.root) else "off"
    path = workspace.reports_dir / f"{report.step.replace(' ', '_')}.json"
    RunLog(workspace.reports_dir).add(
        report.step, path, done=report.done, failed=len(report.failed), marking=marking
    )


def _write_report(report: Report, workspace: Workspace, options: Options) -> None:
    from understudy.provenance.consent import read_consent, status_sentence

    report.details.setdefault("consent", status_sentence(read_consent(workspace.root)))
    content: dict[str, Any] = report.to_json()
    content["options"] = options.model_dump(mode="json")
    make_dir(workspace.reports_dir)
    name = report.step.replace(" ", "_")
    write_json(workspace.reports_dir / f"{name}.json", content)
    side = getattr(options, "side", None)
    if side is not None:  # the report of src stays when dst is next
        write_json(workspace.reports_dir / f"{name}_{side}.json", content)
