"""Looks at a manifest store as bytes, for what the C2PA library does not: remains and blemishes.

A path in; whether there are remains of a manifest the library no longer finds, and whether the
parts of the store that no signature covers (padding, box sizes, names of the stores, framing) are
as every writer must leave them. Knows the JUMBF box structure (ISO/IEC 19566-5) and how PNG, JPEG
and MP4 frame it; nothing else of media.
Source: C2PA Technical Specification 2.x, "Manifests" and "Embedding manifests".
"""

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from understudy.errors import from_os_error

_CHUNK = 4 << 20
_OVERLAP = 64
_LIMIT = 256 << 20
_TAIL = b"\x00\x11\x00\x10\x80\x00\x00\xaa\x008\x9bq"
_BMFF_ID = b"\xd8\xfe\xc3\xd6\x1b\x0e\x48\x3c\x92\x97\x58\x28\x87\x7e\xc4\x81"
_STORE = b"jumdc2pa" + _TAIL
_STORE_OFFSET = 12  # of this from the start of the store: two sizes and a box name
_REMAINS = (
    *(name + _TAIL for name in (b"c2pa", b"c2ma", b"c2um", b"c2as", b"c2cl", b"c2cs")),
    _BMFF_ID,
)
_GIF_MARK = b"C2PA_GIF"  # a GIF cuts the store into pieces of 255 bytes
_BMFF_HEAD = re.compile(rb"(?s)uuid" + re.escape(_BMFF_ID) + rb"(.{4})[a-z]+\x00(.{8})$")
_JPEG_HEAD = re.compile(rb"(?s)\xff\xeb(..)(..)..(.{4})$")
_JPEG_OVERHEAD = 10  # of a segment: its size, mark, instance and number
_LABELS = {
    b"c2pa": re.compile(rb"c2pa"),
    b"c2as": re.compile(rb"c2pa\.assertions"),
    b"c2cl": re.compile(rb"c2pa\.claim(\.v2)?"),
    b"c2cs": re.compile(rb"c2pa\.signature"),
}
_TOGGLES = {b"\x03", b"\x13"}  # named, reachable by its name; with a salt or without
_ZEROS = bytes(64)
_EC_SIZES = (64, 96, 132)
_RSA_SIZES = (256, 384, 512)


class _BrokenError(Exception):
    """A box does not fit its parent."""


@dataclass(frozen=True, slots=True)
class Store:
    """The bytes of a manifest store, and whether the container frames it as it should."""

    data: bytes
    framed: bool


def has_remains(path: Path) -> bool:
    """Whether a manifest is, or was, in this file: some box name of one is still there.

    Raises:
        FileError: it can't be read.
    """
    if _search(path, _TAIL, _BMFF_ID) is None:  # the quick look decides for nearly every film
        return False
    return _search(path, *_REMAINS) is not None


def find_store(path: Path) -> Store | None:
    """The first manifest store in a file; None if there is none, or not in one piece.

    Raises:
        FileError: it can't be read.
    """
    found = _search(path, _STORE)
    if found is None or found < _STORE_OFFSET:
        return None
    start = found - _STORE_OFFSET
    try:
        with path.open("rb") as file:
            file.seek(max(0, start - _OVERLAP))
            before = file.read(min(start, _OVERLAP))
            if _GIF_MARK in before:
                return _joined(file, start)
            size = int.from_bytes(file.read(4), "big")
            if _is_cut(file, before, start, size):
                return None
            file.seek(start)
            data = file.read(min(size, _LIMIT))
            return Store(data, framed=len(data) == size and _is_framed(file, before, data))
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error


def _joined(file: IO[bytes], start: int) -> Store:
    """The store of a GIF, whose first piece begins at `start`, a byte with its length before it."""
    file.seek(start - 1)
    pieces, total = [], 0
    while (length := file.read(1)) and length[0] and total < _LIMIT:
        pieces.append(file.read(length[0]))
        total += len(pieces[-1])
    data = b"".join(pieces)
    return Store(data, framed=len(data) == int.from_bytes(data[:4], "big"))


def _is_cut(file: IO[bytes], before: bytes, start: int, size: int) -> bool:
    """Whether a JPEG holds the store in several segments, with headers in between."""
    head = _JPEG_HEAD.search(before)
    here = int.from_bytes(head[1], "big") - _JPEG_OVERHEAD if head else size
    if size <= here:
        return False
    file.seek(start + here)
    return file.read(2) == b"\xff\xeb"


def _is_framed(file: IO[bytes], before: bytes, data: bytes) -> bool:
    """Whether the container's own header of the store is sound; `file` stands behind `data`."""
    if before.endswith(b"caBX"):
        return zlib.crc32(b"caBX" + data) == int.from_bytes(file.read(4), "big")
    jpeg = _JPEG_HEAD.search(before)
    if jpeg:
        return jpeg[2] == b"JP" and int.from_bytes(jpeg[3], "big") == 1
    mp4 = _BMFF_HEAD.search(before)
    if mp4:
        hashes_at = int.from_bytes(mp4[2], "big")  # of fragments; a file in one piece has none
        if hashes_at:
            if hashes_at > file.seek(0, io.SEEK_END):
                return False
            file.seek(hashes_at + 4)
        return not any(mp4[1]) and (not hashes_at or file.read(4) == b"uuid")
    return True


def _search(path: Path, *needles: bytes) -> int | None:
    """Where the first chunk with one of `needles` has it."""
    position, kept = 0, b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                window = kept + chunk
                hits = [hit for hit in map(window.find, needles) if hit >= 0]
                if hits:
                    return position - len(kept) + min(hits)
                position += len(chunk)
                kept = window[-_OVERLAP:]
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error
    return None


def blemish(store: Store) -> str:
    """What is wrong in the parts no signature covers, in a word; empty if nothing is."""
    if not store.framed:
        return "framing"
    pending = [(0, len(store.data))]
    try:
        while pending:
            start, end = pending.pop()
            for kind, first, last in _boxes(store.data, start, end):
                if kind == b"jumb":
                    complaint = _superbox_blemish(store.data, first, last)
                    if complaint:
                        return complaint
                    pending.append((first, last))
    except _BrokenError:
        return "boxes"
    return ""


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind and content range of the boxes that fill `start`..`end`."""
    while start < end:
        size, header = int.from_bytes(data[start : start + 4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif size == 0:
            size = end - start
        if size < header or start + size > end:
            raise _BrokenError
        yield data[start + 4 : start + 8], start + header, start + size
        start += size


def _superbox_blemish(data: bytes, start: int, end: int) -> str:
    children = list(_boxes(data, start, end))
    if not children or children[0][0] != b"jumd":
        return "boxes"
    first, last = children[0][1:]
    kind = data[first : first + 4]
    if data[first + 16 : first + 17] not in _TOGGLES:
        return "labels"
    wanted = _LABELS.get(kind)
    if wanted and not wanted.fullmatch(data[first + 17 : last].split(b"\x00", 1)[0]):
        return "labels"
    if kind == b"c2cs" and not all(_signature_is_clean(data[a:b]) for _, a, b in children[1:]):
        return "padding"
    return ""


def _signature_is_clean(box: bytes) -> bool:
    return _padding_is_zero(box) and _payload_is_detached(box)


def _padding_is_zero(box: bytes) -> bool:
    """Whether the byte string named "pad" in a COSE signature holds zeros only."""
    at = box.rfind(b"\x63pad")
    if at < 0:
        return _ZEROS not in box  # padding whose name was overwritten
    form, rest = box[at + 4 : at + 5], box[at + 5 :]
    width = {b"\x58": 1, b"\x59": 2}.get(form, 0)
    size = int.from_bytes(rest[:width], "big") if width else int.from_bytes(form, "big") & 0x1F
    return not any(rest[width : width + size])


def _payload_is_detached(box: bytes) -> bool:
    """Whether "nil" stands where the signed bytes would be: they are the claim, stored apart."""
    for size in _EC_SIZES + _RSA_SIZES:
        head = b"\x58" + bytes([size]) if size < 256 else b"\x59" + size.to_bytes(2, "big")
        end = len(box) - size
        if box[end - len(head) : end] == head:
            return box[end - len(head) - 1 : end - len(head)] == b"\xf6"
    return True
