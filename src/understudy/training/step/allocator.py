"""Keeps the memory of one training step for the next, and gives it back when it runs short.

No data; settings and calls of the C library and of torch's allocators. A step frees and asks again
for hundreds of megabytes; glibc hands large blocks back to the system each time, which then has to
clear every page anew. What it sets aside for each further thread it gives back whatever the
thresholds say, so all threads share one arena.
"""

import ctypes
import gc
import platform

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Whether freed memory now stays with this process; only glibc knows how."""
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    wanted = ((_M_MMAP_THRESHOLD, 2**30), (_M_TRIM_THRESHOLD, _LARGEST), (_M_ARENA_MAX, 1))
    kept = [library.mallopt(name, value) for name, value in wanted]
    return all(kept)


def give_back(device: torch.device) -> None:
    """Let go of freed memory that was kept: for another try at what did not fit."""
    gc.collect()  # an error and the frames it went through hold each other, and their tensors
    if device.type in ("cuda", "xpu", "mps"):
        getattr(torch, device.type).empty_cache()
    elif platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
