"""Whether a file is as it was signed, and by whom."""

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.job import Job
from understudy.options import argument
from understudy.steps.perform import LooseOptions
from understudy.types import Failure, Report

if TYPE_CHECKING:
    from understudy.provenance.verify import Verdict


class VerifyOptions(LooseOptions):
    """Options of `verify`."""

    file: Path = argument("Video or picture to look at.")


def verify(options: VerifyOptions, job: Job) -> Report:
    """The verdict on a file; it counts as failed unless it is intact.

    Raises:
        FileError: it can't be read.
        FormatError: it is no media file.
    """
    from understudy.provenance import verify as room

    verdict = room.verify(options.file)
    report = Report("verify", details={"verdict": verdict.to_json(), "lines": _lines(verdict)})
    report.details["summary"] = f"{options.file.name}: {verdict.sentence()}"
    if verdict.integrity == "intact":
        report.done = 1
    else:
        report.failed.append(Failure(str(options.file), verdict.sentence()))
    return report


def _lines(verdict: "Verdict") -> list[str]:
    """What the manifest tells, one fact per line."""
    facts = [
        ("made with", verdict.tool),
        ("actions", "; ".join(verdict.actions)),
        ("made from", "; ".join(verdict.ingredients)),
        ("consent", verdict.consent.removeprefix("consent: ")),
        ("reasons", "; ".join(verdict.reasons)),
    ]
    return [f"  {name:<10} {fact}" for name, fact in facts if fact]
