"""Which steps ran in a workspace, in a file that only grows, each line tied to the one before.

A report's bytes in, a line out: the hash of the report, and that of the line before it. Changing,
leaving out or reordering a line breaks the chain from there on; the last hash stands in what is
signed afterwards. Knows nothing of what the steps do.
"""

import datetime
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from understudy.errors import FormatError, from_os_error
from understudy.files import make_dir, read_bytes

LOG_NAME = "log.jsonl"
_NONE = "0" * 64
_CLEAR = "clear"
_LIMIT = 512 << 20
_BINARY = getattr(os, "O_BINARY", 0)


class RunLog:
    """The log in a folder of reports. One process at a time adds to it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG_NAME

    def add(self, step: str, report: Path, **facts: Any) -> None:  # any JSON values
        """A line for the report just written.

        Raises:
            FileError: the report can't be read, or the log can't be written.
        """
        make_dir(self.path.parent)
        whole, cut_off = self._content()
        row = {
            "previous": _hash(whole[-1]) if whole else _NONE,
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "step": step,
            "report": report.name,
            "report_sha256": hashlib.sha256(read_bytes(report)).hexdigest(),
            **facts,
        }
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY, 0o666)
            try:
                if cut_off:  # by a kill: it was never whole, so nothing is tied to it
                    os.ftruncate(handle, sum(len(line) + 1 for line in whole))
                os.write(handle, json.dumps(row).encode() + b"\n")
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise from_os_error(error, self.path, doing="write") from error

    def head(self) -> str:
        """Hash of the last line, which stands for all of them; empty if there are none."""
        whole, _ = self._content()
        return _hash(whole[-1]) if whole else ""

    def hashes(self) -> list[str]:
        """Hashes of all lines: any of them may stand in what was signed at its time."""
        return [_hash(line) for line in self._content()[0]]

    def complaints(self) -> list[str]:
        """What breaks the chain, and which reports are not those that were logged last.

        Raises:
            FormatError: a line is no JSON object.
        """
        found, before, last = [], _NONE, dict[str, str]()
        for number, line in enumerate(self._content()[0], start=1):
            row = self._row(line, number)
            if row.get("previous") != before:
                found.append(
                    f"understudy.log.broken: line {number} does not follow line {number - 1}"
                )
            before = _hash(line)
            if row.get("step") == _CLEAR:  # which takes the reports away, but not the log
                last.clear()
            last[str(row.get("report", ""))] = str(row.get("report_sha256", ""))
        for name, digest in last.items():
            path = self.path.with_name(name)
            if not path.is_file():
                found.append(f"understudy.log.report-missing: {name}")
            elif hashlib.sha256(read_bytes(path)).hexdigest() != digest:
                found.append(f"understudy.log.report-changed: {name}")
        return found

    def _row(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise FormatError(
                self.path,
                expected="one JSON object per line",
                found=f"something else in line {number}",
                remedy="Restore it from a copy.",
            )
        return row

    def _content(self) -> tuple[list[bytes], bytes]:
        """Whole lines, and what a kill left of another."""
        if not self.path.exists():
            return [], b""
        *whole, rest = read_bytes(self.path, limit=_LIMIT).split(b"\n")
        return whole, rest


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
