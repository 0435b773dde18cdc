"""Whether a file is as it was signed, and by whom."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import FileError
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import LooseOptions
from understudy.types import Failure, Report

if TYPE_CHECKING:
    from understudy.provenance.verify import Verdict


class VerifyOptions(LooseOptions):
    """Options of `verify`."""

    file: Path = argument(
        "Video, picture, delivered folder, or a workspace's reports/log.jsonl to look at."
    )
    json_: bool = option(False, "Print the verdict as JSON on standard output.")


def verify(options: VerifyOptions, job: Job) -> Report:
    """The verdict on a file; it counts as failed unless it is intact.

    Raises:
        FileError: it can't be read.
        FormatError: it is no media file.
    """
    from understudy.provenance import verify as room
    from understudy.provenance.run_log import LOG_NAME

    if options.file.name == LOG_NAME:
        return _verify_log(options)
    verdict = room.verify(options.file)
    told = verdict.to_json()
    if options.workspace is not None:
        told["run_log"] = _run_log(options.workspace, verdict)
    report = Report("verify", details={"verdict": told, "lines": _lines(verdict)})
    if options.json_:
        text = json.dumps({"file": str(options.file), **told}, indent=1)
        report.details |= {"lines": [text], "machine_readable": True}
    report.details["summary"] = f"{options.file.name}: {verdict.integrity}"
    if verdict.integrity == "intact":
        report.details["summary"] = f"{options.file.name}: {verdict.sentence()}"
        report.done = 1
    else:  # which tells the whole sentence
        report.failed.append(Failure(str(options.file), verdict.sentence()))
    return report


def _run_log(workspace: Path, verdict: "Verdict") -> str:
    """Whether what was signed names a line of that workspace's log."""
    from understudy.provenance.run_log import RunLog
    from understudy.workspace import Workspace

    named = verdict.record.get("run_log_sha256")
    if not named:
        return "not named"
    hashes = RunLog(Workspace.open(workspace).reports_dir).hashes()
    return "holds" if named in hashes else "not of this workspace"


def _verify_log(options: VerifyOptions) -> Report:
    """Whether the lines of a workspace's log follow each other and tell of these reports."""
    from understudy.provenance.run_log import RunLog

    if not options.file.is_file():
        raise FileError(
            options.file, expected="a log of runs", found="nothing", remedy="Check the path."
        )
    log = RunLog(options.file.parent)
    complaints, count = log.complaints(), len(log.hashes())
    told: dict[str, Any] = {"integrity": "altered" if complaints else "intact"}
    told |= {"reasons": complaints, "lines": count, "head": log.head()}
    report = Report("verify", details={"verdict": told})
    state = "altered" if complaints else f"intact: {count} runs, each after the last"
    report.details["summary"] = f"{options.file}: {state}"
    if complaints:
        report.failed = [Failure(str(options.file), complaint) for complaint in complaints]
    else:
        report.done = 1
    if options.json_:
        text = json.dumps({"file": str(options.file), **told}, indent=1)
        report.details |= {"lines": [text], "machine_readable": True}
    return report


def _lines(verdict: "Verdict") -> list[str]:
    """What the manifest tells, one fact per line."""
    facts = [
        ("made with", verdict.tool),
        ("actions", "; ".join(verdict.actions)),
        ("made from", "; ".join(verdict.ingredients)),
        ("consent", verdict.consent.removeprefix("consent: ")),
        ("more", "; ".join(verdict.reasons[1:])),  # the sentence tells the first
    ]
    return [f"  {name:<10} {fact}" for name, fact in facts if fact]
