"""Events drawn in a terminal: one line per step, then what was made.

On a terminal the line moves (bar, rate, time left, what is being done); in a log a line appears
every ten seconds. Progress goes to standard error, the last word to standard output.
"""

import json
import os
import sys
import time
from io import TextIOWrapper
from pathlib import Path
from typing import IO, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from understudy.errors import from_os_error
from understudy.job import Event

LOG_SECONDS = 10.0
LEAST_SECONDS = 0.1
LISTED = 20
"""Items that failed which are named; all of them stand in the report."""


class _WhileRead:
    """Standard error, silent once its reader is gone (a closed pipe or terminal): work goes on."""

    def __init__(self, stream: TextIOWrapper) -> None:
        self._stream = stream
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._fall_silent()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._fall_silent()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def _fall_silent(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # also for what the stream still holds
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        if task.fields["left"] is not None:  # its items are not what takes the time
            return Text("")
        speed = task.finished_speed or task.speed
        return Text("" if not speed else f"{speed:.1f}/s", style="cyan")


class _TimeLeft(ProgressColumn):
    def render(self, task: Task) -> Text:
        known: float | None = task.fields["left"]
        left = task.time_remaining if known is None else known
        if task.finished or left is None:
            return Text("")
        return Text(f"{clock(left)} left", style="green")


class Drawing:
    """A sink that draws; use it as a context so that the terminal is left clean."""

    def __init__(self) -> None:
        self._console = Console(file=cast("IO[str]", _WhileRead(cast(TextIOWrapper, sys.stderr))))
        self._progress = Progress(
            TextColumn("[bold]{task.description:<10}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            _TimeLeft(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[message]}"),
            console=self._console,
            speed_estimate_period=20.0,
            refresh_per_second=5,
        )
        self._tasks: dict[str, TaskID] = {}
        self._live = self._console.is_terminal
        self._logged = 0.0
        self._num_failed = 0
        self._begun: dict[str, tuple[float, int, int | None]] = {}

    def __enter__(self) -> "Drawing":
        if self._live:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Draw one event."""
        if event.kind == "progress":
            self._moved(event)
        elif event.kind == "message":
            self._told(event)
        elif event.kind == "finished":
            self._ended(event)

    def _told(self, event: Event) -> None:
        text = str(event.data["text"])
        if "item" in event.data:
            self._num_failed += 1
            if self._num_failed > LISTED + 1:
                return
            if self._num_failed > LISTED:
                text = "more items fail; their reasons are in the report"
        self._say(f"{event.step}: {text}")

    def _moved(self, event: Event) -> None:
        if self._live:
            self._draw(event)
        else:
            self._log(event)

    def _draw(self, event: Event) -> None:
        done, total = event.data["done"], event.data["total"]
        message, left = event.data["message"], event.data.get("seconds_left")
        task = self._tasks.get(event.step)
        if task is not None and total is None and self._is_bounded(task):
            self._progress.remove_task(task)  # of other items than before: rich keeps a total
            task = None
        if task is None:
            task = self._progress.add_task(
                event.step, total=total, message="", completed=done, left=left
            )
            self._tasks[event.step] = task
        self._progress.update(task, completed=done, total=total, message=message, left=left)

    def _is_bounded(self, task: TaskID) -> bool:
        return any(t.id == task and t.total is not None for t in self._progress.tasks)

    def _log(self, event: Event) -> None:
        done, total = event.data["done"], event.data["total"]
        begun = self._begun.get(event.step)
        if begun is None or done < begun[1] or total != begun[2]:  # other items than before
            begun = self._begun[event.step] = (event.time, done, total)
        if time.monotonic() - self._logged < LOG_SECONDS and done != total:
            return
        self._logged = time.monotonic()
        of = f"/{total}" if total else ""
        message = event.data["message"]
        tail = f"  {message}" if message else ""
        self._say(f"{event.step}: {done}{of}{_pace_of(event, begun[0], begun[1])}{tail}")

    def _ended(self, event: Event) -> None:
        task = self._tasks.get(event.step)
        if task is not None:
            self._progress.update(task, message="")
            self._progress.stop_task(task)

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _pace_of(event: Event, first_time: float, first_done: int) -> str:
    """In brackets: items a second, and the time left if it can be known."""
    done, total = event.data["done"], event.data["total"]
    known: float | None = event.data.get("seconds_left")
    if known is not None:
        return f" ({clock(known)} left)" if done != total else ""
    seconds = event.time - first_time
    if done == first_done or seconds < LEAST_SECONDS:  # no pace yet, or none worth telling
        return ""
    rate = (done - first_done) / seconds
    left = f", {clock((total - done) / rate)} left" if total and rate > 0 and done < total else ""
    return f" ({rate:.1f}/s{left})"


class EventLog:
    """A sink that writes each event as one JSON line; a `FileError` tells if it can't."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file: IO[bytes] = path.open("ab", buffering=0)
        except OSError as error:
            raise from_os_error(error, path, doing="write") from error

    def __call__(self, event: Event) -> None:
        """Write one event."""
        line = json.dumps(event.to_json(), ensure_ascii=False) + "\n"
        try:
            self._file.write(line.encode(errors="backslashreplace"))
        except OSError as error:
            raise from_os_error(error, self._path, doing="write") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def clock(seconds: float) -> str:
    """A time span as people write it: 8 s, 3:05, 1:02:03."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
