"""What a command ends with: what was made, where, how long, and what failed."""

import sys

from understudy.cli.drawing import LISTED, clock
from understudy.types import Report
from understudy.wording import counted


def print_report(report: Report) -> None:
    """Print the report's lines; the last one on standard output begins with "done:"."""
    for line in report.details.get("lines", []):
        print(line)
    for failure in report.failed[:LISTED]:
        print(f"failed: {failure.item}: {failure.reason}", file=sys.stderr)
    if len(report.failed) > LISTED:
        print(f"failed: and {len(report.failed) - LISTED} more, see the report", file=sys.stderr)
    machine_readable = bool(report.details.get("machine_readable"))
    print(last_line(report), file=sys.stderr if machine_readable else sys.stdout)


def last_line(report: Report) -> str:
    """One sentence: what was made, where, how long."""
    parts = [str(report.details.get("summary") or f"{report.step}: {report.done} done")]
    if report.skipped:
        unit = report.details.get("unit")
        kept = counted(report.skipped, unit) if unit else str(report.skipped)
        parts.append(f"{kept} kept from an earlier run")
    if report.failed:
        parts.append(f"{len(report.failed)} failed")
    made = ", ".join(str(path) for path in report.outputs[:3])
    return f"done: {', '.join(parts)}{f' -> {made}' if made else ''} ({clock(report.seconds)})"
