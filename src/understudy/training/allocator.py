"""Keeps the memory of one training step for the next.

No data; one setting of the C library. A step frees and asks again for hundreds of megabytes; glibc
hands large blocks back to the system each time, which then has to clear every page anew.
"""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Whether freed memory now stays with this process; only glibc knows how."""
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    kept = library.mallopt(_M_MMAP_THRESHOLD, 2**30) and library.mallopt(
        _M_TRIM_THRESHOLD, _LARGEST
    )
    return bool(kept)
