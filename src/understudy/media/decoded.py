"""Pictures that only the video library reads: OpenEXR, DPX, TIFF with alpha.

Bytes in, arrays out, numbers as stored: integers of 8 or 16 bits, or floats, scene values beyond
0..1 and all. Opens no file.
"""

from pathlib import Path
from typing import cast

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from jaxtyping import Float32, UInt8, UInt16

from understudy.errors import FormatError

Decoded = UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w c"] | Float32[np.ndarray, "h w c"]
"""One channel, RGB or RGBA; integers up to their largest, floats as they are."""

EXR = b"\x76\x2f\x31\x01"
"""How every OpenEXR file begins."""


def is_half(data: bytes) -> bool:
    """Whether an OpenEXR file holds half floats only: all its channels are of that type."""
    kinds = _channel_kinds(data)
    return bool(kinds) and set(kinds) == {_HALF}


_HALF = 1


def _channel_kinds(data: bytes) -> list[int]:
    """Types in the header's list of channels: 0 whole numbers, 1 half, 2 float."""
    at = data.find(b"channels\0chlist\0")
    if at < 0:
        return []
    at += len(b"channels\0chlist\0") + 4
    kinds = []
    while data[at : at + 1] not in (b"\0", b""):
        at = data.find(b"\0", at) + 1
        kinds.append(int.from_bytes(data[at : at + 4], "little"))
        at += 16
    return kinds


def decode_picture(data: bytes, codec: str, name: str | Path) -> Decoded:
    """The picture as stored, all its channels; DPX of 10 bits comes as 16, white as white.

    Raises:
        FormatError: it is damaged.
    """
    context = cast(VideoCodecContext, av.CodecContext.create(codec, "r"))
    try:
        frames = [*context.decode(Packet(data)), *context.decode(None)]
    except av.FFmpegError as error:
        raise _no_still(name, codec, error.strerror or "a refusal") from error
    if not frames:
        raise _no_still(name, codec, "a damaged one")
    frame = frames[0]
    if frame.format.name.endswith("f16le"):
        return _halves(frame)
    if frame.format.name == "gbrp10le":
        levels = frame.to_ndarray().astype(np.uint32)
        return ((levels * 65535 + 511) // 1023).astype(np.uint16)
    pixels = frame.to_ndarray()
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _halves(frame: VideoFrame) -> Float32[np.ndarray, "h w c"]:
    """Half floats, which the library hands over as bare planes: green, blue, red, alpha."""
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.float16)
        planes.append(rows.reshape(plane.height, plane.line_size // 2)[:, : plane.width])
    order = [0] if len(planes) == 1 else [2, 0, 1, 3][: len(planes)]
    return np.stack([planes[index] for index in order], axis=-1).astype(np.float32)


def _no_still(name: str | Path, codec: str, found: str) -> FormatError:
    return FormatError(
        name,
        expected=f"a whole {codec} picture",
        found=found,
        remedy="Replace it or take it out of the folder.",
    )
