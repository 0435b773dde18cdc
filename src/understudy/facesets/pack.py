"""Reads `faceset.pak`: many face files in one, behind an index.

A file in, entries out that read their face when asked. Knows nothing of what a face means. Source:
reference "dfl-formats" section 5.
"""

import io
import struct
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any  # the index is of any type until it is checked

from understudy import safe_pickle
from understudy.errors import FormatError, from_os_error
from understudy.facesets import containers
from understudy.facesets.dfl import parse_face
from understudy.types import FaceSample

PAK_NAME = "faceset.pak"

_VERSION = 1
_MAX_INDEX_BYTES = 1 << 32


class PackedFace:
    """A face file inside a pak."""

    def __init__(self, pak: Path, name: str, *, offset: int, size: int) -> None:
        self.pak, self.name, self.offset, self.size = pak, name, offset, size

    def check(self) -> None:
        """Look whether the slice is a picture with metadata."""
        self.read()

    def read(self) -> FaceSample:
        """The face."""
        data = self.encoded()
        source = f"{self.pak}:{self.name}"
        payload = containers.read_header(io.BytesIO(data), source).payload
        return parse_face(payload, source=source, name=self.name, encoded=partial(self.encoded))

    def encoded(self) -> bytes:
        """Bytes of the face's own file."""
        try:
            with self.pak.open("rb") as stream:
                stream.seek(self.offset)
                return stream.read(self.size)
        except OSError as error:
            raise from_os_error(error, self.pak, doing="read") from error


def read_index(pak: Path) -> list[PackedFace]:
    """What lies where in a pak, in its order.

    Raises:
        FileError: it can't be read.
        FormatError: it is no pak, one of another version, or broken.
    """
    try:
        end = pak.stat().st_size
        with pak.open("rb") as stream:
            version, index_size = _numbers(stream, 2, pak)
            if version != _VERSION:
                raise _broken(pak, f"version {version}")
            if index_size > min(end, _MAX_INDEX_BYTES):
                raise _broken(pak, f"an index of {index_size} bytes in a file of {end}")
            index = safe_pickle.loads(stream.read(index_size), source=pak, limit=_MAX_INDEX_BYTES)
            names = _names(index, pak)
            offsets = _numbers(stream, len(names) + 1, pak)
            start = stream.tell()
    except OSError as error:
        raise from_os_error(error, pak, doing="read") from error
    # The last number is the end of the file in files by DFL, and its distance from the first face
    # in others; either way the last face ends with the file.
    borders = [start + offset for offset in offsets[:-1]] + [end]
    if any(low > high for low, high in pairwise(borders)):
        raise _broken(pak, "faces that lie outside it")
    return [
        PackedFace(pak, name, offset=low, size=high - low)
        for name, (low, high) in zip(names, pairwise(borders), strict=True)
    ]


def _broken(pak: Path, found: str) -> FormatError:
    return FormatError(
        pak,
        expected="a whole faceset.pak of version 1",
        found=found,
        remedy="Pack the faceset again or take the file from a backup.",
    )


def _numbers(stream: io.BufferedIOBase, count: int, pak: Path) -> tuple[int, ...]:
    data = stream.read(8 * count)
    if len(data) != 8 * count:
        raise _broken(pak, "a file that ends too early")
    return struct.unpack(f"<{count}Q", data)


def _names(index: Any, pak: Path) -> list[str]:
    if not isinstance(index, list) or not all(isinstance(entry, dict) for entry in index):
        raise _broken(pak, "an index that is no list of faces")
    names = []
    for position, entry in enumerate(index):
        name = _base_name(entry.get("filename")) or f"{position:05d}.jpg"
        person = _base_name(entry.get("person_name"))
        names.append(f"{person}/{name}" if person else name)
    return names


def _base_name(value: Any) -> str | None:
    """The last part of a path by any system's rules, so that no name leads out of a folder."""
    if not isinstance(value, str):
        return None
    name = PureWindowsPath(PurePosixPath(value).name).name
    return name if name not in ("", ".", "..") else None
