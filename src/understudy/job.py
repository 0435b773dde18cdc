"""What a running step talks to: progress, metrics, messages, cancelling, workers, commands.

A step calls the methods; whoever started it passes sinks that draw or store the events. Commands
(set, save, backup, preview, pause, resume, stop) come the other way, as JSON values, and whoever
sent one may wait for its answer. Knows no step and no screen.
"""

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from understudy.errors import Cancelled, OptionError, StorageError, UnderstudyError
from understudy.types import Failure, Report

T = TypeVar("T")
R = TypeVar("R")

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "set": ("key", "value", "values"),
    "save": (),
    "backup": (),
    "preview": ("src", "dst"),
    "pause": (),
    "resume": (),
    "stop": (),
}
"""What a running step can be told, and the values that may come with it."""

PROGRESS_SECONDS = 0.1

Values = Mapping[str, Any]
"""Values that come with a command: any of JSON."""

Answer = Callable[[str | UnderstudyError], None]
"""Takes what became of a command: a sentence, or the error why nothing did."""


def _unheard(answer: str | UnderstudyError) -> None:
    """Nobody waits for the answer."""


@dataclass(frozen=True, slots=True)
class Command:
    """One of `COMMANDS` with its values, JSON's; who does it answers."""

    name: str
    values: Values = field(default_factory=dict)
    answer: Answer = _unheard


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
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
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
        child._commands = self._commands
        child._cancelled, child._running = self._cancelled, self._running
        child._stop_asked, child._emitting = self._stop_asked, self._emitting
        return child

    @contextmanager
    def heard_by(self, sink: Sink) -> Iterator[None]:
        """One more watcher meanwhile."""
        self._sinks = (*self._sinks, sink)
        try:
            yield
        finally:
            self._sinks = tuple(other for other in self._sinks if other is not sink)

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

    def preview(self, name: str, path: Path, *, step: int | None = None) -> None:
        """A picture that shows how it goes, of an iteration if it belongs to one."""
        self._emit("preview", name=name, path=str(path), step=step)

    def message(self, text: str) -> None:
        """A sentence for the user."""
        self._emit("message", text=text)

    def fail(self, item: str, reason: str) -> None:
        """Record an item that could not be done; the step goes on."""
        self.failures.append(Failure(item, reason))
        self._emit("message", text=f"{item}: {reason}", item=item)

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

    def rest(self) -> bool:
        """Waits while paused, but no longer than until a command comes: whether one did.

        Raises:
            Cancelled: the user stopped the job.
        """
        while self._commands.empty():
            if self._running.wait(0.1) or self._cancelled.is_set():
                break
        if self._cancelled.is_set():
            raise Cancelled
        return not self._running.is_set()

    def commands(self) -> list[Command]:
        """Commands that came since the last call, of set, save, backup, preview, stop.

        A step that calls this handles "stop" itself; for others "stop" cancels.
        """
        self._listens = True
        found = []
        while True:
            try:
                found.append(self._commands.get_nowait())
            except queue.Empty:
                return found

    def obey(self, actions: Mapping[str, Callable[[Values], str]]) -> None:
        """Does what came since the last call, each command by its action, and tells the answers.

        An action gets the command's values and says what it did. What it refuses by an
        `OptionError` is told and the step goes on; any other error is the step's.
        """
        for command in self.commands():
            try:
                said: str | UnderstudyError = actions[command.name](command.values)
            except OptionError as error:
                said = error
            except Exception as error:  # who asked is told before the step ends by it
                command.answer(_not_done(command, error))
                raise
            self.message(str(said))
            command.answer(said)

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
                # Here and now: the garbage collector may end it in one of its own threads.
                if isinstance(source, Generator):
                    source.close()

    def _item_failed(self, item: str, error: BaseException) -> None:
        if not _is_of_item(error):
            raise error
        self.fail(item, str(error) or type(error).__name__)

    # ------------------------------------------------------------------ what a watcher says

    def cancel(self) -> None:
        """Ask the step to end as soon as it can; what is finished stays."""
        self._cancelled.set()

    def ask(self, said: Any, answer: Answer = _unheard) -> None:  # any JSON value
        """Send the command that a JSON value is: {"command": NAME, ...}, or just the name.

        Raises:
            OptionError: it is none.
        """
        values = dict(said) if isinstance(said, dict) else {"command": said}
        name = values.pop("command", None)
        known = COMMANDS.get(name) if isinstance(name, str) else None
        if known is None or not set(values) <= set(known):
            raise OptionError(
                "command",
                expected=f"one of {', '.join(COMMANDS)}" if known is None else _form(str(name)),
                found=repr(said)[:80],
                remedy='Send one JSON object per line: {"command": "save"}.',
            )
        self.command(str(name), values, answer)

    def command(self, name: str, values: Values | None = None, answer: Answer = _unheard) -> None:
        """Send one of `COMMANDS` to the step; pausing and going on need no doing of its own."""
        if name == "pause":
            self._running.clear()
            answer("paused")
        elif name == "resume":
            self._running.set()
            answer("going on")
        else:
            self._commands.put(Command(name, values or {}, answer))
            if name == "stop":
                self._stop_asked.set()
                self._running.set()

    def _emit(self, kind: str, **data: Any) -> None:  # any JSON value
        event = Event(kind, self.step, time.time(), data)
        with self._emitting:
            for sink in self._sinks:
                sink(event)


def _is_of_item(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, Cancelled | StorageError)


def _form(name: str) -> str:
    values = ", ".join(COMMANDS[name])
    return f"{name} with {f'nothing but {values}' if values else 'no values'}"


def _not_done(command: Command, error: Exception) -> UnderstudyError:
    return OptionError(
        command.name,
        expected="a job that goes on",
        found=f"one that can't: {error}",
        remedy="See what the job itself says.",
    )
