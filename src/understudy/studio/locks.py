"""Locks that end with whoever holds them: the system lets go when the last holder has ended.

A lock's handle may be handed to a child process, which then holds it as long as it lives, whatever
becomes of its parent.
"""

import fcntl
import os
from pathlib import Path


class Lock:
    """A file, locked or not."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.handle = -1

    def take(self) -> bool:
        """Whether the lock is ours now."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self.handle = handle
        return True

    def release(self) -> None:
        """Let go of our handle; a child that was given it still holds the lock."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock at `path`."""
    if not path.exists():
        return False
    lock = Lock(path)
    free = lock.take()
    lock.release()
    return not free
