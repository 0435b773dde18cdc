"""The most memory that was taken meanwhile, as the device or the system counts it.

A device in, bytes out; None where nobody counts. Knows nothing of what is done.
"""

import torch

from understudy.host_memory import forget_peak, peak_of_process
from understudy.training.step.allocator import give_back


class Meter:
    """Counts from when it is made. On a processor the peak of the whole process begins anew."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        give_back(device)
        self._start: int | None = None
        if device.type == "cpu":
            now = peak_of_process()
            self._start = now[0] if now is not None and forget_peak() else None
        elif device.type in ("cuda", "xpu"):
            backend = getattr(torch, device.type)
            backend.reset_peak_memory_stats(device)
            self._start = backend.memory_allocated(device)

    def taken(self) -> int | None:
        """Bytes at most beside those held at the start."""
        if self._start is None:
            return None
        if self._device.type != "cpu":
            peak = getattr(torch, self._device.type).max_memory_allocated(self._device)
            return max(0, int(peak) - self._start)
        now = peak_of_process()
        return None if now is None else max(0, now[1] - self._start)
