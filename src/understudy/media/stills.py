"""Single pictures for delivery and handoff: PNG, TIFF, OpenEXR and DPX, with alpha.

Arrays in, files out, whole or not at all, and back. Numbers are stored as they come: nothing is
linearised, and alpha stays straight. Knows nothing of frames or faces.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, cast

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from understudy.errors import OptionError
from understudy.files import read_bytes, write_bytes
from understudy.media.decoded import EXR, Decoded, decode_picture
from understudy.media.formats import checked_depth, depths_of
from understudy.media.images import MAX_BYTES, decode_stored, to_pixels
from understudy.media.stored_frames import to_depth

Still = Decoded

_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)
_GRAY, _RGB, _RGBA = 1, 3, 4
_LARGEST_HALF = np.float32(65504)


@dataclass(frozen=True, slots=True)
class StillFormat:
    """How pictures of one ending are stored: frame formats by bits and number of channels."""

    suffix: str
    codec: str
    pixel_formats: Mapping[tuple[int, int], str]
    options: Mapping[int, Mapping[str, str]]
    sentence: str

    @property
    def depths(self) -> tuple[int, ...]:
        """Bits per channel it can store, fewest first."""
        return depths_of(self.pixel_formats)


_INTEGERS = {
    (8, _GRAY): "gray",
    (8, _RGB): "rgb24",
    (8, _RGBA): "rgba",
    (16, _GRAY): "gray16le",
    (16, _RGB): "rgb48le",
    (16, _RGBA): "rgba64le",
}
_FLOATS = {
    (depth, channels): name
    for depth in (16, 32)
    for channels, name in ((_GRAY, "grayf32le"), (_RGB, "gbrpf32le"), (_RGBA, "gbrapf32le"))
}
_HALF = {"format": "half", "compression": "zip16"}
STILL_FORMATS = {
    "png": StillFormat(".png", "png", _INTEGERS, {}, "8 or 16 bits, alpha straight"),
    "tiff": StillFormat(
        ".tif",
        "tiff",
        _INTEGERS,
        {8: {"compression_algo": "deflate"}, 16: {"compression_algo": "deflate"}},
        "8 or 16 bits, alpha straight",
    ),
    "exr": StillFormat(
        ".exr", "exr", _FLOATS, {16: _HALF, 32: _HALF | {"format": "float"}}, "half or float"
    ),
    "dpx": StillFormat(
        ".dpx",
        "dpx",
        {(10, _RGB): "gbrp10le", (16, _RGB): "rgb48le", (16, _RGBA): "rgba64le"},
        {},
        "10 or 16 bits",
    ),
}


def still_depth(name: str, asked: int | None, *, is_deep: bool) -> int:
    """Bits per channel to store: what was asked for, or what keeps the pictures' own.

    Raises:
        OptionError: the format can't hold that many.
    """
    depths = STILL_FORMATS[name].depths
    if asked is None:
        return depths[0] if name == "exr" or not is_deep else depths[-1]
    return checked_depth(name, depths, asked)


def write_still(path: Path, picture: Still, *, bit_depth: int, durable: bool = False) -> None:
    """Put the picture at `path`, whole or not at all, in the format of its ending.

    For EXR 16 bits are half floats and integers become 0..1; for the others floats are taken as
    0..1.

    Raises:
        StorageError: the disk is full or the folder can't be written.
        OptionError: the format can't hold the depth or the alpha.
    """
    write_bytes(path, encode_still(picture, path.suffix, bit_depth=bit_depth), durable=durable)


def encode_still(picture: Still, suffix: str, *, bit_depth: int) -> bytes:
    """Encoded bytes of a picture; `suffix` (".png", ".tif", ".exr", ".dpx") names the format.

    Raises:
        OptionError: the format is unknown or can't hold the depth or the alpha.
    """
    chosen = next((each for each in STILL_FORMATS.values() if each.suffix == suffix), None)
    channels = picture.shape[2]
    if chosen is None or (bit_depth, channels) not in chosen.pixel_formats:
        raise OptionError(
            "picture format",
            expected="png or tiff of 8 or 16 bits, exr of 16 or 32, dpx of 10 or 16 (alpha: 16)",
            found=f"{suffix} of {bit_depth} bits, {channels} channels",
            remedy="Choose another format or depth.",
        )
    kind = chosen.pixel_formats[bit_depth, channels]
    stored = np.ascontiguousarray(_in_form(picture, chosen, bit_depth))
    if chosen.codec == "png":
        return _png(stored)
    if channels == _GRAY:
        stored = stored[..., 0]
    context = cast(VideoCodecContext, av.CodecContext.create(chosen.codec, "w"))
    context.width, context.height = picture.shape[1], picture.shape[0]
    context.pix_fmt, context.time_base = kind, Fraction(1, 25)
    context.options = dict(chosen.options.get(bit_depth, {}))
    frame = VideoFrame.from_ndarray(stored, format=kind)
    packets = [*context.encode(frame), *context.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def _in_form(picture: Still, chosen: StillFormat, bit_depth: int) -> np.ndarray:
    if chosen.codec == "exr":
        floats = picture
        if floats.dtype != np.float32:
            floats = picture.astype(np.float32) / np.float32(np.iinfo(picture.dtype).max)
        if bit_depth == 16:  # the encoder would cut off what half floats can't hold
            held = np.clip(floats, -_LARGEST_HALF, _LARGEST_HALF)
            floats = np.where(np.isinf(floats), floats, held).astype(np.float16)
        return floats.astype(np.float32)
    wanted: Literal[8, 16] = 8 if bit_depth == 8 else 16
    if picture.dtype == np.float32:
        stored = to_pixels(picture, bit_depth=wanted)
    else:
        stored = to_depth(picture, wanted)
    if bit_depth == 10:
        return ((stored.astype(np.uint32) * 1023 + 32767) // 65535).astype(np.uint16)
    return stored


def _png(stored: np.ndarray) -> bytes:
    codes = {_RGB: cv2.COLOR_RGB2BGR, _RGBA: cv2.COLOR_RGBA2BGRA}
    code = codes.get(stored.shape[2])
    done, data = cv2.imencode(".png", stored if code is None else cv2.cvtColor(stored, code), _PNG)
    if not done:
        raise OptionError(
            "picture format",
            expected="a picture that png can hold",
            found=f"one of {stored.shape[1]}x{stored.shape[0]}",
            remedy="Choose another format.",
        )
    return np.asarray(data).tobytes()


def read_still(path: Path) -> Still:
    """The picture as stored, all its channels: integers of 8 or 16 bits, or float32 from EXR.

    DPX of 10 bits comes as 16, white as white.

    Raises:
        FileError: it can't be read.
        FormatError: it is no such picture.
    """
    data = read_bytes(path, limit=MAX_BYTES)
    if data.startswith(EXR):
        return decode_picture(data, "exr", path)
    if data[:4] in (b"SDPX", b"XPDS"):
        return decode_picture(data, "dpx", path)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return decode_picture(
            data, "tiff", path
        )  # OpenCV would multiply 8-bit colours by their alpha
    stored = decode_stored(data, path, flags=cv2.IMREAD_UNCHANGED)
    if stored.ndim == 2:
        return stored[..., None]
    code = cv2.COLOR_BGRA2RGBA if stored.shape[2] == _RGBA else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(stored, code))
