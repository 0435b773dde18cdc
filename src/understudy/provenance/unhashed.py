"""What an MP4 or QuickTime film holds that no C2PA hash covers: brands, padding, an old index.

A path in, the hash of those boxes out, so that a signature can speak of them, too. Knows the
outermost boxes of the container (ISO/IEC 14496-12) and nothing else.
Source: C2PA Technical Specification 2.x, "BMFF-based hash", its exclusions.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from understudy.errors import from_os_error

_UNHASHED = (b"ftyp", b"free", b"skip", b"mfra")
_HEAD = 8
_CHUNK = 4 << 20


def unhashed_sha256(path: Path) -> str:
    """Hex SHA-256 of these boxes, heads and all, in their order.

    Raises:
        FileError: it can't be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for start, size in _boxes(file):
                file.seek(start)
                while size > 0 and (part := file.read(min(size, _CHUNK))):
                    digest.update(part)
                    size -= len(part)
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error
    return digest.hexdigest()


def _boxes(file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """Start and size of each box that is left out of the hash."""
    end = file.seek(0, 2)
    start = 0
    while start + _HEAD <= end:
        file.seek(start)
        head = file.read(2 * _HEAD)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < _HEAD:  # 0 says "to the end"; less is no box
            size = end - start
        if kind in _UNHASHED:
            yield start, size
        start += size
