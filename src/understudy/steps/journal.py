"""What a step has finished, item by item, so that a killed step goes on where it was.

One JSON line per item in a file that only grows; its first line says what the items were made with.
A line cut off by a kill counts as never written. Knows nothing of the items.
"""

import errno
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from understudy.errors import FormatError, from_os_error
from understudy.files import make_dir, read_bytes, write_bytes

SYNC_SECONDS = 2.0
_BINARY = getattr(os, "O_BINARY", 0)  # or Windows makes two bytes of each end of a line


class Journal:
    """Finished items by name. Use as a context while adding; `anew` leaves a file unread."""

    def __init__(self, path: Path, *, anew: bool = False) -> None:
        self.path = path
        self.header: dict[str, Any] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self._handle = -1
        self._synced = 0.0
        if path.exists() and not anew:
            self._read()

    def _read(self) -> None:
        lines = read_bytes(self.path).split(b"\n")[:-1]  # what follows the last newline was cut off
        try:
            rows = [json.loads(line) for line in lines]
            self.header = dict(rows[0]) if rows else {}
            self.items = {row["item"]: row for row in rows[1:]}
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(
                self.path,
                expected="one JSON object per line",
                found=f"something else ({error})",
                remedy="Remove it and start the step again; extract needs --restart then.",
            ) from error

    def begin(self, header: dict[str, Any]) -> None:
        """Start anew: forget all items and say what the next ones are made with."""
        make_dir(self.path.parent)
        self.header, self.items = header, {}
        write_bytes(self.path, _line(header))

    def forget(self, items: Iterable[str]) -> None:
        """Take these items for unfinished again."""
        gone = set(items)
        left = [row for name, row in self.items.items() if name not in gone]
        if len(left) == len(self.items):
            return
        write_bytes(self.path, b"".join(_line(row) for row in (self.header, *left)))
        self.items = {row["item"]: row for row in left}

    def __enter__(self) -> "Journal":
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_APPEND | _BINARY)
            self._drop_cut_off_line()
        except OSError as error:
            raise from_os_error(error, self.path, doing="write") from error
        return self

    def _drop_cut_off_line(self) -> None:
        content = self.path.read_bytes()
        os.ftruncate(self._handle, content.rfind(b"\n") + 1)

    def add(self, item: str, **facts: Any) -> None:  # any JSON values
        """Record an item as finished."""
        row = {"item": item, **facts}
        line = _line(row)
        try:
            if os.write(self._handle, line) < len(line):  # the next line must not be glued to it
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._handle)
                self._synced = time.monotonic()
        except OSError as error:
            raise from_os_error(error, self.path, doing="write") from error
        self.items[item] = row

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._handle)
        self._handle = -1


def _line(row: dict[str, Any]) -> bytes:
    """A row as the file has it; escaped, since a name that is no UTF-8 holds half characters."""
    return json.dumps(row).encode() + b"\n"
