"""How far a run is, what ends it and when, the step size that follows, and how often to save.

A state and options in, numbers and reasons out. Knows no loop.
"""

import math
from dataclasses import dataclass, field

from understudy.training.plan.options import TrainOptions
from understudy.training.state.train_state import TrainState

SAVING_SHARE = 0.02
"""Share of the time that saves may take before they become rarer."""
WRITTEN_PER_SECOND = 4e6
"""Bytes a second that saves may write on the average, so that a disk lasts for years."""
TIME_IS_UP = "time is up"
FIRST_SAVE_SECONDS = 10.0
"""Until the first save of a run, of which is not known what it takes."""


def share_done(state: TrainState, options: TrainOptions) -> float:
    """How much of the run is done, of the phase where a plan is followed, 0..1; 0 if endless."""
    if state.plan is not None:
        return min(1.0, state.plan.phase_share(state.iteration, state.seconds, options))
    by_count = state.iteration / options.target_iter if options.target_iter else 0.0
    by_time = state.seconds / (60 * options.minutes) if options.minutes else 0.0
    return min(1.0, max(by_count, by_time))


def why_ended(state: TrainState, options: TrainOptions) -> str | None:
    """Why the run is over, if it is."""
    if options.target_iter and state.iteration >= options.target_iter:
        return "target iteration reached"
    if options.minutes and state.seconds >= 60 * options.minutes:
        return TIME_IS_UP
    if state.plan is not None and state.plan.is_over:
        return f"all phases of recipe {state.plan.recipe} are done"
    return None


def seconds_left(state: TrainState, options: TrainOptions, *, rate: float) -> float | None:
    """Training time until the first end that was set, at `rate` iterations a second.

    None if there is no such end, or the only one is a number of iterations and the rate is 0.
    """
    ends = []
    if options.target_iter and rate > 0:
        ends.append((options.target_iter - state.iteration) / rate)
    if options.minutes:
        ends.append(60 * options.minutes - state.seconds)
    return max(0.0, min(ends)) if ends else None


def learning_rate(options: TrainOptions, *, iteration: int, share: float) -> float:
    """Step size at an iteration, when `share` of the run is done."""
    risen = min(1.0, (iteration + 1) / options.lr_warmup) if options.lr_warmup else 1.0
    late = max(0.0, share - 1 + options.lr_fall) / options.lr_fall if options.lr_fall else 0.0
    return float(options.learning_rate * risen * 0.1 ** min(1.0, late))


@dataclass(slots=True)
class SaveClock:
    """When to save next: the cheaper a save, the more often, since a kill costs what came after.

    Counts training time, which all processes of a run share.
    """

    saved_at: float
    every: float = field(default_factory=lambda: FIRST_SAVE_SECONDS)
    failures: int = 0
    failed_at: float = -math.inf

    def is_due(self, state: TrainState, options: TrainOptions) -> bool:
        """Whether the last save is old enough."""
        return state.seconds - self.saved_at >= min(self.every, 60 * options.save_minutes)

    def saved(self, state: TrainState, options: TrainOptions, *, began: float) -> None:
        """A save that was begun at `began` is on disk."""
        self.saved_at = state.seconds
        size = state.num_bytes / WRITTEN_PER_SECOND
        self.every = max((self.saved_at - began) / SAVING_SHARE, size)
        if self.saved_at - self.failed_at >= 60 * options.save_minutes:
            self.failures = 0

    def failed(self, state: TrainState) -> int:
        """How often training failed in a row: without `save_minutes` of success between."""
        self.failures, self.failed_at = self.failures + 1, state.seconds
        return self.failures
