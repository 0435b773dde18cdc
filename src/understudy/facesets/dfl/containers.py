"""Where a face's metadata sits in its picture file: APP15 of a JPEG, chunk fcWp of a PNG.

Streams and bytes of picture files in, the payload or new bytes out. Pixels are never decoded nor
encoded here: everything but the payload's own segment keeps its bytes. Knows nothing of what the
payload means. Source: reference "dfl-formats" sections 1 and 4; ITU T.81; the PNG specification.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from understudy.errors import FormatError

JPEG_PAYLOAD_LIMIT = 65_533
"""Most bytes a JPEG segment holds."""

_MAX_PIXELS = 1 << 25
_MAX_PNG_PAYLOAD = 1 << 24
_MAX_JPEG_HEADER = 1 << 24  # bytes before the pixels
_MAX_IDLE = 1 << 12  # segments, and bytes that only fill
_MAX_SCANS = 1 << 12
_MAX_PNG_CHUNKS = 1 << 16
_PIECE = 1 << 20
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_TYPE = b"fcWp"
_SOI, _EOI, _SOS, _APP0, _APP15 = 0xD8, 0xD9, 0xDA, 0xE0, 0xEF
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


class Header(NamedTuple):
    """What stands before the pixels: the payload, if any, and the picture's (height, width)."""

    payload: bytes | None
    shape_hw: tuple[int, int]


class _Segment(NamedTuple):
    marker: int
    content: bytes


def read_header(stream: io.BufferedIOBase, source: Path | str) -> Header:
    """Payload and size of the picture in `stream`; reads no pixels of a JPEG.

    Raises:
        FormatError: no JPEG or PNG, a broken one, or one of absurd size.
    """
    start = stream.read(2)
    if start == b"\xff\xd8":
        header = _jpeg_header(stream, source)
    elif start + stream.read(6) == _PNG_MAGIC:
        header = _png_header(stream, source)
    else:
        raise _broken(source, "another kind of file" if start else "an empty file")
    height, width = header.shape_hw
    if not 0 < height * width <= _MAX_PIXELS:
        raise _broken(source, f"a picture of {width}x{height} pixels")
    return header


def has_payload(stream: io.BufferedReader, source: Path | str) -> bool:
    """Whether the picture in `stream` holds metadata; looks no further than to the first.

    Raises:
        FormatError: no JPEG or PNG, or one that is broken before.
    """
    if stream.peek(2)[:2] != b"\xff\xd8":
        return bool(read_header(stream, source).payload)
    stream.read(2)
    return any(s.marker == _APP15 and s.content for s in _jpeg_segments(stream, source))


def check_whole(data: bytes, source: Path | str) -> None:
    """Look whether a picture goes to its end: decoders fill what is missing with grey.

    Raises:
        FormatError: no JPEG or PNG, a broken one, or one of absurd size.
    """
    read_header(io.BytesIO(data), source)
    if is_jpeg(data):
        _split_jpeg(data, source)


def is_jpeg(data: bytes) -> bool:
    """Whether `data` begins as a JPEG does."""
    return data[:2] == b"\xff\xd8"


def is_png(data: bytes) -> bool:
    """Whether `data` begins as a PNG does."""
    return data[:8] == _PNG_MAGIC


def jpeg_with_payload(jpeg: bytes, payload: bytes, source: Path | str) -> bytes:
    """The same picture with `payload` as its only APP15, right after the last APPn before it.

    What follows the end of the picture is dropped: DFL can't read past it.

    Raises:
        FormatError: `jpeg` is broken, or `payload` is too long for a segment.
    """
    if len(payload) > JPEG_PAYLOAD_LIMIT:
        raise FormatError(
            source,
            expected=f"at most {JPEG_PAYLOAD_LIMIT} bytes of metadata in a JPEG",
            found=f"{len(payload)} bytes",
            remedy="Draw simpler polygons, or keep this face as a .png.",
        )
    segments, rest = _split_jpeg(jpeg, source)
    kept = [segment for segment in segments if segment.marker != _APP15]
    at = max((i + 1 for i, s in enumerate(kept) if _APP0 <= s.marker < _APP15), default=0)
    kept.insert(at, _Segment(_APP15, payload))
    head = b"".join(
        struct.pack(">BBH", 0xFF, s.marker, len(s.content) + 2) + s.content for s in kept
    )
    return b"\xff\xd8" + head + rest


def png_with_payload(png: bytes, payload: bytes, source: Path | str) -> bytes:
    """The same picture with `payload` as its only fcWp chunk, right before the end.

    Raises:
        FormatError: `png` is broken or `payload` is absurdly long.
    """
    if len(payload) > _MAX_PNG_PAYLOAD:
        raise _broken(source, f"{len(payload)} bytes of metadata")
    parts = [_PNG_MAGIC]
    for kind, content in _png_chunks(io.BytesIO(png[8:]), source, keep_pixels=True):
        if kind == b"IEND":
            parts.append(_png_chunk(_PNG_TYPE, payload))
        if kind != _PNG_TYPE:
            parts.append(_png_chunk(kind, content))
    return b"".join(parts)


def _broken(source: Path | str, found: str) -> FormatError:
    return FormatError(
        source,
        expected="a whole JPEG or PNG picture",
        found=found,
        remedy="Extract this face again or remove the file.",
    )


def _exactly(stream: io.BufferedIOBase, count: int, source: Path | str) -> bytes:
    data = stream.read(min(count, _PIECE))
    if len(data) == count:
        return data
    return data + b"".join(_pieces(stream, count - len(data), source))


def _pieces(stream: io.BufferedIOBase, count: int, source: Path | str) -> Iterator[bytes]:
    """The next `count` bytes bit by bit: a claim of gigabytes takes no memory."""
    while count > 0:
        piece = stream.read(min(count, _PIECE))
        if not piece:
            raise _broken(source, "a file that ends too early")
        count -= len(piece)
        yield piece


def _jpeg_segments(stream: io.BufferedIOBase, source: Path | str) -> Iterator[_Segment]:
    """Segments from after SOI to SOS, whose content is left to the reader."""
    spare, idle = _MAX_JPEG_HEADER, _MAX_IDLE
    while True:
        if _exactly(stream, 1, source) != b"\xff":
            raise _broken(source, "bytes between its segments")
        marker = 0xFF
        while marker == 0xFF:  # any number of fill bytes may stand before a marker
            marker = _exactly(stream, 1, source)[0]
            idle -= 1
            if min(spare, idle) < 0:
                raise _broken(source, "far more before the pixels than a face has")
        if marker == _SOS:
            yield _Segment(marker, b"")
            return
        if marker in (0x00, _SOI, _EOI):
            raise _broken(source, "no picture between start and end")
        if marker in _ALONE:
            continue
        size = struct.unpack(">H", _exactly(stream, 2, source))[0]
        if size < 2:
            raise _broken(source, "a segment of impossible length")
        spare -= size
        yield _Segment(marker, _exactly(stream, size - 2, source))


def _jpeg_header(stream: io.BufferedIOBase, source: Path | str) -> Header:
    payload, shape = None, None
    for marker, content in _jpeg_segments(stream, source):
        if marker == _APP15:
            payload = content  # the last one counts
        elif marker in _FRAME_HEADERS and len(content) >= 5:
            shape = struct.unpack(">HH", content[1:5])
    if shape is None:
        raise _broken(source, "no picture size before the pixels")
    return Header(payload, shape)


def _split_jpeg(jpeg: bytes, source: Path | str) -> tuple[list[_Segment], bytes]:
    """Segments before the pixels, and the bytes from SOS to EOI as they are."""
    if not is_jpeg(jpeg):
        raise _broken(source, "another kind of file")
    stream = io.BytesIO(jpeg)
    stream.seek(2)
    segments = list(_jpeg_segments(stream, source))[:-1]
    pixels = stream.tell() - 2
    position, scans = pixels + 2, 0
    while (found := _NEXT_MARKER.search(jpeg, position)) is not None:
        marker, position, scans = jpeg[found.end() - 1], found.end(), scans + 1
        if scans > _MAX_SCANS:
            break
        if marker == _EOI:
            return segments, jpeg[pixels:position]
        if marker not in _ALONE and position + 2 <= len(jpeg):  # further scans and their tables
            position += max(struct.unpack_from(">H", jpeg, position)[0], 2)
    raise _broken(source, "a picture without an end")


def _png_chunks(
    stream: io.BufferedIOBase, source: Path | str, *, keep_pixels: bool
) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk up to and with IEND."""
    kind, spare = b"", _MAX_PNG_CHUNKS
    while kind != b"IEND":
        spare -= 1
        if spare < 0:
            raise _broken(source, "far more parts than a face has")
        size, kind = struct.unpack(">I4s", _exactly(stream, 8, source))
        if kind == _PNG_TYPE and size > _MAX_PNG_PAYLOAD:
            raise _broken(source, f"{size} bytes of metadata")
        kept, checksum = [], zlib.crc32(kind)
        for piece in _pieces(stream, size, source):
            checksum = zlib.crc32(piece, checksum)
            if keep_pixels or kind in (b"IHDR", _PNG_TYPE):
                kept.append(piece)
        if struct.unpack(">I", _exactly(stream, 4, source))[0] != checksum:
            raise _broken(source, f"a damaged {kind.decode('latin1')!r} part")
        yield kind, b"".join(kept)


def _png_header(stream: io.BufferedIOBase, source: Path | str) -> Header:
    payload, shape = None, None
    for kind, content in _png_chunks(stream, source, keep_pixels=False):
        if kind == b"IHDR" and len(content) >= 8:
            width, height = struct.unpack(">II", content[:8])
            shape = (height, width)
        elif kind == _PNG_TYPE:
            payload = content
    if shape is None:
        raise _broken(source, "no picture size")
    return Header(payload, shape)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    size = struct.pack(">I4s", len(content), kind)
    return size + content + struct.pack(">I", zlib.crc32(kind + content))
