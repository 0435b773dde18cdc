"""Losses of every iteration and measures taken now and then, exactly, as lines of a file.

Numbers in, JSON lines out and back. Kept as one growing file beside the saves: a save notes how
long the file was, so that it can be cut back to what belongs to it. Knows nothing of training.
"""

import json
import os
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from understudy import files
from understudy.errors import FormatError, from_os_error

FACES = ("src", "dst")
"""Names of the losses of a model of faces: one of each side."""

Curves = dict[str, "array[float]"]


def _curves(names: Sequence[str] = FACES) -> Curves:
    return {name: array("d") for name in names}


@dataclass(slots=True)
class History:
    """Mean losses of iteration `start` + 1, + 2, ... and measures as (iteration, name, value).

    `curves` holds each loss under its name. `start` is not 0 only where earlier losses were lost.
    """

    curves: Curves = field(default_factory=_curves)
    measures: list[tuple[int, str, float]] = field(default_factory=list)
    start: int = 0

    @classmethod
    def of(cls, names: Sequence[str], *, start: int = 0) -> "History":
        """An empty history of these losses."""
        return cls(_curves(names), start=start)

    @property
    def src(self) -> "array[float]":
        """Losses of the src side."""
        return self.curves["src"]

    @property
    def dst(self) -> "array[float]":
        """Losses of the dst side."""
        return self.curves["dst"]

    def __len__(self) -> int:
        return len(next(iter(self.curves.values())))

    def add(self, *losses: float) -> None:
        """Losses of the next iteration, in the order of their names."""
        for curve, loss in zip(self.curves.values(), losses, strict=True):
            curve.append(loss)

    def measure(self, iteration: int, name: str, value: float) -> None:
        """A measure taken after `iteration`."""
        self.measures.append((iteration, name, value))

    def lines(self, *, after: int, measures_after: int) -> Iterable[str]:
        """What came after that many iterations and measures, as lines of the file."""
        for index in range(after, len(self)):
            losses = {name: curve[index] for name, curve in self.curves.items()}
            yield json.dumps({"i": self.start + index + 1, **losses}) + "\n"
        for iteration, name, value in self.measures[measures_after:]:
            yield json.dumps({"i": iteration, "name": name, "value": value}) + "\n"


def is_likeness(name: str) -> bool:
    """Whether a measure of this name says how good faces kept aside come out, 1 at best."""
    return name.endswith(("SSIM", "IoU"))


def append(path: Path, text: str, *, at: int) -> int:
    """Length of the file in bytes after `text` was put at byte `at`; what lay beyond is dropped.

    Raises:
        StorageError: the disk is full or the file can't be written; it is cut back to `at` then.
    """
    data = text.encode()
    try:
        with path.open("r+b" if path.exists() else "w+b", buffering=0) as file:
            try:
                file.truncate(at)
                file.seek(at)
                written = 0
                while written < len(data):
                    written += file.write(data[written:])
                os.fsync(file.fileno())
            except OSError:
                file.truncate(at)
                raise
    except OSError as error:
        raise from_os_error(error, path, doing="write") from error
    return at + len(data)


def read(path: Path, *, length: int, names: Sequence[str] = FACES) -> History:
    """History of the losses called `names` held by the first `length` bytes of the file.

    Raises:
        FileError: it can't be read.
        FormatError: it is shorter, or a line is not what it should be.
    """
    data = files.read_bytes(path) if path.exists() else b""
    if len(data) < length:
        raise FormatError(
            path,
            expected=f"{length} bytes",
            found=f"{len(data)}",
            remedy="Losses are missing; training itself is not touched.",
        )
    history = History.of(names)
    try:
        for line in data[:length].splitlines():
            _add_line(history, json.loads(line))
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            path,
            expected="lines of losses and measures",
            found=f"one that is not ({error})",
            remedy="Losses are missing; training itself is not touched.",
        ) from error
    return history


def _add_line(history: History, line: dict[str, int | float | str]) -> None:
    if "name" in line:
        history.measure(int(line["i"]), str(line["name"]), float(line["value"]))
        return
    number = int(line["i"])
    if not len(history):
        history.start = number - 1
    if number != history.start + len(history) + 1:
        raise ValueError(f"iteration {number} after {history.start + len(history)}")
    history.add(*(float(line[name]) for name in history.curves))
