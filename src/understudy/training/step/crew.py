"""Threads that each do a part of one step, side by side.

Functions in, their results out; knows nothing of training. Two threads that work apart meet twice
in a step, where one operation split over two cores makes them meet thousands of times: each meeting
is processor time spent waiting, and on a busy machine most of the time.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

T = TypeVar("T")


class Crew:
    """`size` threads among which the processor threads torch has now are shared out."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.num_threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(size, "crew")
        everyone = Barrier(size)
        for started in [self._pool.submit(self._start, everyone) for _ in range(size)]:
            started.result()
        # The count is each thread's own, but setting it also sets what later threads begin with.
        torch.set_num_threads(self.num_threads)

    def run(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """Results of the tasks, in their order; the first error if any fails, once all ended."""
        futures = [self._pool.submit(task) for task in tasks]
        errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None:
                raise error
        return [future.result() for future in futures]

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()

    def _start(self, everyone: Barrier) -> None:
        everyone.wait()  # so that each thread of the pool runs this once
        torch.get_num_threads()  # a thread's first look at its count would undo what is set before
        torch.set_num_threads(max(1, self.num_threads // self.size))
