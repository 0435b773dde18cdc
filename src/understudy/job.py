"""What a running step talks to: progress, metrics, messages, cancelling, workers, commands.

A step calls the methods; whoever started it passes sinks that draw or store the events. Commands
(save, backup, preview, pause, resume, stop) come the other way. Knows no step and no screen.
"""

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from understudy.errors import Cancelled, OptionError, StorageError
from understudy.types import Failure, Report

T = TypeVar("T")
R = TypeVar("R")

COMMANDS = ("save", "backup", "preview", "pause", "resume", "stop")
PROGRESS_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Event:
    """Something a watcher may want to know.

    `kind` is one of started, progress, metric, preview, message, finished, failed, cancelled;
    `data` holds JSON values.
    """

    kind: str
    step: str
    time: float
    data: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Flat JSON form, one line of an events file."""
        return {"event": self.kind, "step": self.step, "time": round(self.time, 3), **self.data}


Sink = Callable[[Event], None]


class Job:
    """Link between a step and those who watch or steer it; safe to use from several threads."""

    def __init__(self, step: str, *, sinks: Sequence[Sink] = (), workers: int = 0) -> None:
        self.step = step
        self.workers = workers or os.cpu_count() or 1
        self.failures: list[Failure] = []
        self._sinks = tuple(sinks)
        self._commands: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._settings: deque[tuple[str, Any]] = deque()
        self._cancelled = threading.Event()
        self._running = threading.Event()
        self._running.set()
        self._stop_asked = threading.Event()
        self._listens = False
        self._last_progress = 0.0
        self._emitting = threading.Lock()

    def for_step(self, step: str) -> "Job":
        """The same watchers, commands and cancelling, under the name of another step."""
        child = Job(step, sinks=self._sinks, workers=self.workers)
        child._commands, child._settings = self._commands, self._settings
        child._cancelled, child._running = self._cancelled, self._running
        child._stop_asked, child._emitting = self._stop_asked, self._emitting
        return child

    # ------------------------------------------------------------------ what a step says

    def progress(
        self,
        done: int,
        total: int | None = None,
        message: str = "",
        *,
        seconds_left: float | None = None,
    ) -> None:
        """How far the step is, in its own items; `message` says what is being done.

        A step that knows better than its items tell how long it still takes gives `seconds_left`.
        """
        now = time.monotonic()
        if done != total and now - self._last_progress < PROGRESS_SECONDS:
            return
        self._last_progress = now
        known = {} if seconds_left is None else {"seconds_left": round(seconds_left, 1)}
        self._emit("progress", done=done, total=total, message=message, **known)

    def metric(self, name: str, value: float, *, step: int | None = None) -> None:
        """A measured number, at an iteration if it belongs to one."""
        self._emit("metric", name=name, value=value, step=step)

    def preview(self, name: str, path: Path) -> None:
        """A picture that shows how it goes."""
        self._emit("preview", name=name, path=str(path))

    def message(self, text: str) -> None:
        """A sentence for the user."""
        self._emit("message", text=text)

    def fail(self, item: str, reason: str) -> None:
        """Record an item that could not be done; the step goes on."""
        self.failures.append(Failure(item, reason))
        self._emit("message", text=f"{item}: {reason}")

    def started(self, options: dict[str, Any]) -> None:
        """The step begins with these options."""
        self._emit("started", options=options)

    def finished(self, report: Report) -> None:
        """The step is through."""
        self._emit("finished", report=report.to_json())

    def failed(self, error: BaseException) -> None:
        """The step ended with an error."""
        self._emit("failed", error=str(error), error_type=type(error).__name__)

    def was_cancelled(self) -> None:
        """The step ended because the user stopped it."""
        self._emit("cancelled")

    # ------------------------------------------------------------------ what a step asks

    def check(self) -> None:
        """Waits while paused.

        Raises:
            Cancelled: the user stopped the job.
        """
        while not self._running.is_set() and not self._cancelled.is_set():
            self._running.wait(0.1)
        stopped = self._stop_asked.is_set() and not self._listens
        if self._cancelled.is_set() or stopped:
            raise Cancelled

    def commands(self) -> list[str]:
        """Commands that came since the last call, of save, backup, preview, stop.

        A step that calls this handles "stop" itself; for others "stop" cancels.
        """
        self._listens = True
        found = []
        while True:
            try:
                found.append(self._commands.get_nowait())
            except queue.Empty:
                return found

    def settings(self) -> list[tuple[str, Any]]:
        """Options to change, with their values, that came since the last call."""
        found = []
        while self._settings:
            found.append(self._settings.popleft())
        return found

    def map(
        self,
        function: Callable[[T], R],
        items: Iterable[T],
        *,
        total: int | None = None,
        name: Callable[[T], str] = str,
        count: Callable[[T], int] = lambda _: 1,
        done_before: int = 0,
        workers: int | None = None,
        message: str = "",
        alone: Callable[[T], Sequence[T]] = lambda _: (),
        shown: bool = True,
    ) -> Iterator[tuple[T, R]]:
        """Items with their results, in order, worked on by threads a bounded way ahead.

        An item whose function raises is recorded in `failures` and left out. Two errors are the
        job's and not an item's, and end it: `Cancelled` and `StorageError` (a full disk).
        `total` and `done_before` count in items that an earlier run finished; `count` says for how
        many an item stands. `alone` gives the parts of an item that holds several: if it fails,
        each is tried by itself. Progress is told only if `shown`.
        """
        width = workers or self.workers
        pending: deque[tuple[T, Future[R]]] = deque()
        done = done_before
        source = iter(items)
        with ThreadPoolExecutor(width, thread_name_prefix=self.step) as pool:
            try:
                while True:
                    self.check()
                    for item in source:
                        pending.append((item, pool.submit(function, item)))
                        if len(pending) >= 2 * width + 2:
                            break
                    if not pending:
                        break
                    item, future = pending.popleft()
                    error = future.exception()
                    parts = alone(item) if error is not None and _is_of_item(error) else ()
                    if len(parts) > 1:
                        again = [(part, pool.submit(function, part)) for part in parts]
                        pending.extendleft(reversed(again))
                        continue
                    done += count(item)
                    if error is None:
                        yield item, future.result()
                    else:
                        self._item_failed(name(item), error)
                    if shown:
                        self.progress(done, total, message)
            finally:
                for _, future in pending:
                    future.cancel()

    def _item_failed(self, item: str, error: BaseException) -> None:
        if not _is_of_item(error):
            raise error
        self.fail(item, str(error) or type(error).__name__)

    # ------------------------------------------------------------------ what a watcher says

    def cancel(self) -> None:
        """Ask the step to end as soon as it can; what is finished stays."""
        self._cancelled.set()

    def command(self, name: str) -> None:
        """Send one of `COMMANDS` to the step.

        Raises:
            OptionError: there is no such command.
        """
        if name not in COMMANDS:
            raise OptionError(
                "command",
                expected=f"one of {', '.join(COMMANDS)}",
                found=repr(name),
                remedy='Send one JSON object per line: {"command": "save"}.',
            )
        if name == "pause":
            self._running.clear()
        elif name == "resume":
            self._running.set()
        else:
            if name == "stop":
                self._stop_asked.set()
                self._running.set()
            self._commands.put(name)

    def set(self, key: str, value: Any) -> None:  # any JSON value
        """Ask the step to change one of its options while it runs; it says whether it can."""
        self._settings.append((key, value))

    def _emit(self, kind: str, **data: Any) -> None:  # any JSON value
        event = Event(kind, self.step, time.time(), data)
        with self._emitting:
            for sink in self._sinks:
                sink(event)


def _is_of_item(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, Cancelled | StorageError)
