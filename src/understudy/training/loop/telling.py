"""What a run tells while it goes: losses, how far it is and how long it still takes; its pictures.

A state, options and pictures in; events of a job and files in the previews folder out. Knows no
loop and no network.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from understudy.errors import StorageError
from understudy.job import Job
from understudy.training.loop.pace import seconds_left
from understudy.training.monitor.preview import preview_picture, write_loss_graph, write_preview
from understudy.training.monitor.sheets import Sheet
from understudy.training.plan.options import TrainOptions
from understudy.training.state.history import History, is_likeness
from understudy.training.state.train_state import TrainState

R = TypeVar("R")

_TELL_SECONDS = 0.2
_SPLIT_SECONDS = 10.0
_MEASURE_EVERY = 50  # iterations, on an accelerator
_PACE_SECONDS = 300.0  # a pace is of the last minutes: phases and changed options change it
_KEEP_EVERY = 1.02  # numbered previews: growth of training time from one to the next


class Pace:
    """Iterations per second of training, of this run alone."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, float]] = deque()

    def see(self, iteration: int, *, seconds: float) -> None:
        """The run is so far after so many seconds of training."""
        if self._seen and iteration < self._seen[-1][0]:
            self._seen.clear()  # it went back to a save
        self._seen.append((iteration, seconds))
        while len(self._seen) > 2 and seconds - self._seen[1][1] >= _PACE_SECONDS:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """The pace; 0 if it can't be known yet."""
        if not self._seen:
            return 0.0
        (first, began), (last, ended) = self._seen[0], self._seen[-1]
        return (last - first) / (ended - began) if ended > began else 0.0


class Split:
    """What the seconds of an iteration go into, on average since they were last asked for.

    An accelerator has to be waited for to know, so that only some iterations are measured there.
    """

    def __init__(self, device: torch.device) -> None:
        self._waits = device.type != "cpu"
        self._measured = True
        self._seconds: dict[str, list[float]] = {}

    def begin(self, iteration: int) -> None:
        """The iteration begins."""
        self._measured = not self._waits or iteration % _MEASURE_EVERY == 0

    def timed(self, name: str, work: Callable[[], R]) -> R:
        """What `work` gives; its time is that of the part `name`."""
        if not self._measured:
            return work()
        self._wait()
        start = time.perf_counter()
        made = work()
        self._wait()
        self._seconds.setdefault(name, []).append(time.perf_counter() - start)
        return made

    def take(self) -> dict[str, float]:
        """Mean seconds of each part."""
        means = {name: sum(times) / len(times) for name, times in self._seconds.items()}
        self._seconds.clear()
        return means

    def _wait(self) -> None:
        if self._waits:
            torch.accelerator.synchronize()


class Teller:
    """Tells a job how training goes, a few times a second."""

    def __init__(self, job: Job, state: TrainState, device: torch.device) -> None:
        self._job, self.split = job, Split(device)
        self._split_told = -math.inf
        self._told, self._told_iteration = time.monotonic(), state.iteration
        self._pace = Pace()

    @property
    def is_due(self) -> bool:
        """Whether it is time to tell again."""
        return time.monotonic() - self._told >= _TELL_SECONDS

    def tell(self, state: TrainState, options: TrainOptions, *, learning_rate: float) -> None:
        """The last losses and how far the run is, if it is time to or at an end."""
        now = time.monotonic()
        edge = state.iteration in (1, options.target_iter)
        if now - self._told < _TELL_SECONDS and not edge:
            return
        done = max(0, state.iteration - self._told_iteration)  # less than 0 after going back
        rate = done / max(now - self._told, 1e-6)
        self._told, self._told_iteration = now, state.iteration
        self._pace.see(state.iteration, seconds=state.seconds)
        losses = {name: curve[-1] for name, curve in state.history.curves.items()}
        for name, loss in losses.items():
            self._job.metric(f"{name} loss", loss, step=state.iteration)
        if now - self._split_told >= _SPLIT_SECONDS:
            self._split_told = now
            self._job.metric("lr", learning_rate, step=state.iteration)
            for name, seconds in self.split.take().items():
                self._job.metric(f"{name} seconds", seconds, step=state.iteration)
        shown = " ".join(f"{loss:.3f}" for loss in losses.values())
        text = f"iteration {state.iteration}, {rate:.1f} a second, loss {shown}"
        left = seconds_left(state, options, rate=self._pace.rate)
        done, total = state.iteration, options.target_iter or None
        if options.minutes and not options.target_iter:
            done, total = int(state.seconds), int(60 * options.minutes)
        self._job.progress(done, total, text, seconds_left=left)


class Previews:
    """The pictures of a model; one that finds no room is told and no error.

    Each sheet has a folder of its own with its history; the newest of the main one also lies where
    it is found first.
    """

    def __init__(self, folder: Path, job: Job) -> None:
        self._folder, self._job = folder, job
        self._kept_at = 0.0

    def write(
        self,
        sheets: Sequence[Sheet],
        history: History,
        *,
        title: str,
        iteration: int,
        seconds: float,
    ) -> None:
        """The newest previews and the loss graph; the previews under their number too, at times."""
        # Kept ever more rarely, so that a week of training leaves hundreds and not thousands.
        keep = seconds >= _KEEP_EVERY * self._kept_at
        number = iteration if keep else None
        heading = f"iteration {iteration}"
        last = {name: value for _, name, value in history.measures if is_likeness(name)}
        heading += "".join(f"   {name} {value:.3f}" for name, value in last.items())
        written: list[tuple[str, Path]] = []
        try:
            for sheet in sheets:
                told = f"{title}   {sheet.name}   {heading}"
                picture = preview_picture(sheet, history, title=told)
                path = write_preview(self._folder / sheet.name, picture, number=number)
                if not written:
                    write_preview(self._folder, picture, number=None)
                written.append((sheet.name, path))
            write_loss_graph(self._folder, history, title=f"{title}   {heading}")
        except StorageError as error:  # a save may still find room, and matters more
            self._job.message(f"no preview: {error}")
            return
        self._kept_at = seconds if keep else self._kept_at
        for name, path in written:
            self._job.preview(name, path, step=iteration)
