"""Reads and writes `faceset.pak`: many face files in one, behind an index.

A file in, entries out that read their face when asked; faces in, a pak out that was read back
before it took its name. Only the index is ever in memory, and only while it is read or one face of
it is written. Knows nothing of what a face means. Source: reference "dfl-formats" section 5.
"""

import hashlib
import io
import os
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any  # the index is of any type until it is checked

import numpy as np

from understudy import files, safe_pickle
from understudy.errors import FileError, FormatError, StorageError, from_os_error
from understudy.facesets.dfl import containers
from understudy.facesets.dfl.entry_names import plain_name
from understudy.facesets.dfl.face_file import MAX_FACE_BYTES, parse_face
from understudy.types import FaceSample

PAK_NAME = "faceset.pak"

_VERSION = 1
_MAX_INDEX_BYTES = 1 << 32


class PackedFace:
    """A face file inside a pak."""

    __slots__ = ("name", "offset", "pak", "size")

    def __init__(self, pak: Path, name: str, *, offset: int, size: int) -> None:
        self.pak, self.name, self.offset, self.size = pak, name, offset, size

    @property
    def source(self) -> str:
        """What errors call it."""
        return f"{self.pak}:{self.name}"

    def check(self) -> None:
        """Nothing: only faces are listed in a pak, and reading one tells if it is damaged."""

    def read(self) -> FaceSample:
        """The face; its picture is read when asked for."""
        header = self.header()
        encoded = partial(self.encoded)
        return parse_face(header.payload, source=self.source, name=self.name, encoded=encoded)

    def header(self) -> containers.Header:
        """What stands before the picture's pixels."""
        try:
            with self.pak.open("rb") as stream:
                stream.seek(self.offset)
                part = io.BufferedReader(_Part(stream, self.size))
                return containers.read_header(part, self.source)
        except OSError as error:
            raise from_os_error(error, self.pak, doing="read") from error

    def encoded(self) -> bytes:
        """Bytes of the face's own file."""
        if self.size > MAX_FACE_BYTES:
            raise _broken(self.pak, f"a face of {self.size} bytes: {self.name}")
        try:
            with self.pak.open("rb") as stream:
                stream.seek(self.offset)
                return stream.read(self.size)
        except OSError as error:
            raise from_os_error(error, self.pak, doing="read") from error


class _Part(io.RawIOBase):
    """So many bytes of a stream, as a stream of their own."""

    def __init__(self, stream: io.BufferedIOBase, size: int) -> None:
        self._stream, self._left = stream, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # any writable buffer
        piece = self._stream.read(min(len(buffer), self._left))
        buffer[: len(piece)] = piece
        self._left -= len(piece)
        return len(piece)


def read_index(pak: Path) -> list[PackedFace]:
    """What lies where in a pak, in its order.

    Raises:
        FileError: it can't be read.
        FormatError: it is no pak, one of another version, or broken.
        UnsafeFileError: it asks for something no pak may ask for, or names a path.
    """
    entries, offsets, start, end = _read_head(pak)
    names = _names(entries, pak)
    # The last number is the end of the file in files by DFL, and its distance from the first face
    # in others; either way the last face ends with the file.
    borders = [start + offset for offset in offsets[:-1]] + [end]
    if any(low > high for low, high in pairwise(borders)) or (names and borders[0] != start):
        raise _broken(pak, "faces that lie outside it or in one another")
    return [
        PackedFace(pak, name, offset=low, size=high - low)
        for name, (low, high) in zip(names, pairwise(borders), strict=True)
    ]


def check_no_pak(folder: Path, faces: str) -> None:
    """Nothing, if faces in `folder` are files of their own; `faces` is what the user calls it.

    Raises:
        FileError: they are in a pak.
    """
    if (folder / PAK_NAME).is_file():
        raise FileError(
            folder / PAK_NAME,
            expected="faces in files of their own",
            found="a pak",
            remedy=f"First: understudy faceset unpack {faces}",
        )


def read_entries(pak: Path) -> list[dict[str, Any]]:
    """What the index of a pak says of each face, in DFL's words.

    Raises:
        FileError: it can't be read.
        FormatError: it is no pak, one of another version, or broken.
    """
    return _read_head(pak)[0]


def _read_head(pak: Path) -> tuple[list[dict[str, Any]], tuple[int, ...], int, int]:
    """The index, the table of places, where the faces begin and where the file ends."""
    try:
        with pak.open("rb") as stream:
            end = os.fstat(stream.fileno()).st_size
            version, index_size = _numbers(stream, 2, pak)
            if version != _VERSION:
                raise _broken(pak, f"version {version}")
            if index_size > min(end, _MAX_INDEX_BYTES):
                raise _broken(pak, f"an index of {index_size} bytes in a file of {end}")
            index = safe_pickle.loads(
                stream.read(index_size), source=pak, limit=_MAX_INDEX_BYTES, compact=True
            )
            if not isinstance(index, list) or not all(isinstance(entry, dict) for entry in index):
                raise _broken(pak, "an index that is no list of faces")
            offsets = _numbers(stream, len(index) + 1, pak)
            return index, offsets, stream.tell(), end
    except OSError as error:
        raise from_os_error(error, pak, doing="read") from error


@dataclass(frozen=True, slots=True)
class PakItem:
    """A face to pack: its name in the pak ("alice/1.jpg"), its bytes, what the index says of it.

    `size` and `digest` are those of the bytes that were looked at; other bytes are not packed.
    """

    name: str
    read: Callable[[], bytes]
    entry: dict[str, Any]
    size: int
    digest: bytes


def write_pak(
    pak: Path,
    items: Iterable[PakItem],
    *,
    progress: Callable[[str, int], None] = lambda _doing, _done: None,
    ready: Callable[[int], None] = lambda _faces: None,
) -> list[str]:
    """Names of the faces in the new `pak`, which takes its name only after it was read back.

    `items` is gone through once; `progress` is told what is done and to how many faces; `ready` is
    called with the number of faces right before the pak takes its name. Either may raise to stop it
    all and leave what was there.

    Raises:
        FormatError: a face changed while it was packed.
        StorageError: the pak can't be written, or does not come back as it was written.
    """
    with files.replacing(pak) as temporary:
        with temporary.open("xb") as stream:
            stream.write(bytes(16))
            packed: list[_Packed] = []
            for piece in safe_pickle.dump_list(_remembering(items, packed)):
                stream.write(piece)
            index_size = stream.tell() - 16
            table = np.zeros(len(packed) + 1, "<u8")
            stream.write(table.tobytes())
            start = stream.tell()
            for place, item in enumerate(packed):
                progress("pack", place)
                table[place] = stream.tell() - start
                stream.write(_unchanged(item))
            table[-1] = stream.tell()  # DFL writes the file's end here, not a distance
            stream.seek(0)
            stream.write(struct.pack("<QQ", _VERSION, index_size))
            stream.seek(start - table.nbytes)
            stream.write(table.tobytes())
        _read_back(temporary, pak, packed, progress)
        ready(len(packed))
    return [item.name for item in packed]


@dataclass(frozen=True, slots=True)
class _Packed:
    name: str
    read: Callable[[], bytes]
    size: int
    digest: bytes


def _remembering(items: Iterable[PakItem], packed: list[_Packed]) -> Iterator[dict[str, Any]]:
    """The entries of the index, once; what is needed later is put into `packed`."""
    for item in items:
        packed.append(_Packed(item.name, item.read, item.size, item.digest))
        yield item.entry


def digest(data: bytes) -> bytes:
    """A checksum that tells any two files apart."""
    return hashlib.blake2b(data, digest_size=16).digest()


def _unchanged(item: _Packed) -> bytes:
    data = item.read()
    if len(data) != item.size or digest(data) != item.digest:
        raise FormatError(
            item.name,
            expected="the face as it was when packing began",
            found="another one",
            remedy="Let nothing else write to this faceset and pack again.",
        )
    return data


def _read_back(
    temporary: Path, pak: Path, packed: list[_Packed], progress: Callable[[str, int], None]
) -> None:
    """Look whether the file holds every face byte for byte."""
    held = read_index(temporary)
    whole = [face.name for face in held] == [item.name for item in packed]
    for place, (face, item) in enumerate(zip(held, packed, strict=True) if whole else ()):
        progress("check", place)
        whole = whole and face.size == item.size and digest(face.encoded()) == item.digest
    if not whole:
        raise StorageError(
            pak,
            expected="to read back what was written",
            found="something else",
            remedy="Check the disk; no face was touched.",
        )


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


def _names(entries: list[dict[str, Any]], pak: Path) -> list[str]:
    """Names of the faces with their person before them; each may be a file's name here."""
    names = []
    for position, entry in enumerate(entries):
        given, person = entry.get("filename"), entry.get("person_name")
        name = plain_name(given, pak) if isinstance(given, str) else f"{position:05d}.jpg"
        inside = isinstance(person, str) and person
        names.append(f"{plain_name(person, pak)}/{name}" if inside and person else name)
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise _broken(pak, f"two faces called {twice!r}")
    return names
