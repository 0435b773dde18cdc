"""Where the time of a step goes: seconds of each part, for those who measure.

Marks of moments in, sums by name out. On an accelerator, where work is done long after it was asked
for, the device itself marks the moments. Knows no training.
"""

import threading
import time
from collections import defaultdict

import torch


class Stopwatch:
    """Adds up the time between two marks of the same thread."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last = threading.local()
        self._lock = threading.Lock()
        self._spans: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []
        self._seconds: dict[str, float] = defaultdict(float)

    def start(self) -> None:
        """From now on."""
        self._last.mark = self._now()

    def lap(self, name: str, *, threads: int = 1) -> None:
        """The time since the last mark went into `name`, side by side on so many threads."""
        now = self._now()
        last, self._last.mark = self._last.mark, now
        if isinstance(now, float):
            with self._lock:
                self._seconds[name] += (now - last) / threads
        else:
            self._spans.append((name, last, now))

    def seconds(self) -> dict[str, float]:
        """Seconds by name so far."""
        if self._spans:
            torch.cuda.synchronize(self._device)
        for name, start, end in self._spans:
            self._seconds[name] += start.elapsed_time(end) / 1000
        self._spans.clear()
        return dict(self._seconds)

    def _now(self) -> "float | torch.cuda.Event":
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event
