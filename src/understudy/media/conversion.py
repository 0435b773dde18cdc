"""Decoded frames as upright RGB arrays.

One frame of the decoder in, its pixels, tags and orientation out. Colours follow the tags, chroma
its siting. Opens no file.
"""

import struct
import threading
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from understudy.media.color_tags import SCALER_MATRICES, completed, tags_from_numbers
from understudy.media.images import Pixels
from understudy.types import ColorTags

# Accurate rounding and full chroma: decoding and encoding a plate again leaves its luma within one
# level. Bicubic chroma keeps coloured edges that a bilinear one washes out.
SCALING = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)

_LIMITED, _FULL = 1, 2

# Between limited-range YUV and 16-bit RGB the scaler takes white as 255 * 256, not 65535; what is
# full-range it only shifts up.
WHITE_16, SCALER_WHITE_16 = 65535, 65280

_local = threading.local()  # a scaler keeps tables and serves one thread


def to_rgb(frame: VideoFrame, *, threads: int) -> Pixels:
    """Upright RGB of a decoded frame; uint16 where the source has more than 8 bits.

    `threads` 0 takes all cores; 1 is for callers that convert many frames side by side.
    """
    scaler = getattr(_local, "scaler", None)
    if scaler is None:
        scaler = _local.scaler = VideoReformatter()
    tags = completed(
        tags_from_numbers(primaries=2, transfer=2, matrix=frame.colorspace, range_=0),
        height=frame.height,
    )
    matrix = SCALER_MATRICES[tags.matrix or "bt709"]
    converted = scaler.reformat(
        frame,
        format="rgb48le" if bit_depth(frame) > 8 else "rgb24",
        interpolation=SCALING,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=frame.color_range or (_FULL if _is_unscaled(frame) else _LIMITED),
        dst_color_range=_FULL,
        threads=threads,
    )
    pixels = converted.to_ndarray()
    if pixels.dtype == np.uint16 and not _is_unscaled(frame):
        depth = bit_depth(frame)
        full_white = ((1 << depth) - 1) << (16 - depth)
        white = full_white if frame.color_range == _FULL else SCALER_WHITE_16
        pixels = cv2.addWeighted(pixels, WHITE_16 / white, pixels, 0, 0)
    return _upright(pixels, orientation(frame))


@dataclass(frozen=True, slots=True)
class Orientation:
    """How the stored picture becomes upright: first transposed, then mirrored."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False


def orientation(frame: VideoFrame) -> Orientation:
    """Orientation the file asks for; turns that are no quarter turns are left alone."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation()
    # Nine 16.16 numbers: x' = a x + c y, y' = b x + d y with y down.
    a, b, _, c, d = (value / 65536 for value in struct.unpack_from("=5i", cast(Buffer, data)))
    if max(abs(b), abs(c)) < 0.01:
        return Orientation(mirror_x=a < 0, mirror_y=d < 0)
    if max(abs(a), abs(d)) < 0.01:
        return Orientation(transpose=True, mirror_x=c < 0, mirror_y=b < 0)
    return Orientation()


def upright_size(frame: VideoFrame) -> tuple[int, int]:
    """(height, width) of the frame's upright picture."""
    size = (frame.height, frame.width)
    return size[::-1] if orientation(frame).transpose else size


def _upright(pixels: np.ndarray, how: Orientation) -> np.ndarray:  # a turn swaps the sides
    if how == Orientation():
        return pixels
    turned = pixels.transpose(1, 0, 2) if how.transpose else pixels
    return np.ascontiguousarray(turned[:: -1 if how.mirror_y else 1, :: -1 if how.mirror_x else 1])


def bit_depth(frame: VideoFrame) -> int:
    """Bits per channel of the decoded frame."""
    return max(component.bits for component in frame.format.components)


def color_tags(frame: VideoFrame, stream: VideoStream) -> ColorTags:
    """Colour tags of the frame, the track's where the frame has none."""
    context = stream.codec_context

    def pick(own: int, general: int, unspecified: int = 2) -> int:
        return general if own == unspecified else own

    return tags_from_numbers(
        primaries=pick(frame.color_primaries, context.color_primaries),
        transfer=pick(frame.color_trc, context.color_trc),
        matrix=pick(frame.colorspace, context.colorspace),
        range_=pick(frame.color_range, context.color_range, 0),
    )


def _is_unscaled(frame: VideoFrame) -> bool:
    return frame.format.is_rgb or frame.format.name.startswith(("gray", "pal", "mono"))
