"""Keeps the memory of one training step for the next.

No data; one setting of the C library. A step frees and asks again for hundreds of megabytes; glibc
hands large blocks back to the system each time, which then has to clear every page anew. What it
sets aside for each further thread it gives back whatever the thresholds say, so all threads share
one arena.
"""

import ctypes
import platform

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
