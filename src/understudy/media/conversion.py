"""Decoded frames as upright RGB arrays, and RGB arrays as frames to encode.

One frame of the decoder in, its pixels, tags and orientation out; and back. Colours follow the
tags, chroma its siting. Opens no file.
"""

import itertools
import struct
import threading
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, cast

import cv2
import numpy as np
from av.buffer import Buffer
from av.filter import Graph
from av.video.format import VideoFormat
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

# Between YUV and 16-bit RGB the scaler takes white as 255 * 256, not 65535.
_WHITE_16, _SCALER_WHITE_16 = 65535, 65280

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
        pixels = cv2.addWeighted(pixels, _WHITE_16 / _SCALER_WHITE_16, pixels, 0, 0)
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


class YuvConverter:
    """Turns RGB pictures of one size into limited-range frames for the encoder.

    Chroma is sited left, where H.264 puts it when it says nothing (the plain scaler would centre
    it, and each round through a file would move colours by half a pixel). The range is always the
    limited one: every player takes it right, and for the full one the scaler rounds chroma down,
    half a level at each round. Odd sizes, which 4:2:0 can't hold, gain a copy of their last row or
    column; 4:4:4 holds them as they are.
    """

    def __init__(
        self,
        shape_hw: tuple[int, int],
        color: ColorTags,
        *,
        bit_depth: Literal[8, 10] = 8,
        chroma: Literal["4:2:0", "4:4:4"] = "4:2:0",
    ) -> None:
        odd = (0, 0) if chroma == "4:4:4" else tuple(length % 2 for length in shape_hw)
        self._padding = ((0, odd[0]), (0, odd[1]), (0, 0))
        self.height, self.width = shape_hw[0] + odd[0], shape_hw[1] + odd[1]
        depth = "" if bit_depth == 8 else "10le"
        self.pixel_format = f"yuv{chroma.replace(':', '')}p{depth}"
        matrix = SCALER_MATRICES[color.matrix or "bt709"]
        self._scale = (
            f"in_range=pc:out_range=tv:out_color_matrix={_SCALE_FILTER_NAMES[matrix]}:"
            "out_chroma_loc=left:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
        )
        self._graphs: dict[str, Graph] = {}

    def convert(self, pixels: Pixels) -> VideoFrame:
        """The frame to encode; the encoder's own time stamps are left to the caller."""
        if pixels.shape[:2] != (self.height, self.width):
            pixels = np.pad(pixels, self._padding, mode="edge")
        kind = "rgb24"
        if pixels.dtype == np.uint16:
            kind = "rgb48le"
            pixels = cv2.addWeighted(pixels, _SCALER_WHITE_16 / _WHITE_16, pixels, 0, 0)
        graph = self._graphs.get(kind)
        if graph is None:
            graph = self._graphs[kind] = self._build(kind)
        graph.push(VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=kind))
        return cast(VideoFrame, graph.pull())

    def _build(self, kind: str) -> Graph:
        graph = Graph()
        source = graph.add_buffer(
            width=self.width,
            height=self.height,
            format=VideoFormat(kind, self.width, self.height),
            time_base=Fraction(1, 25),
        )
        scale = graph.add("scale", self._scale)
        pixel_format = graph.add("format", f"pix_fmts={self.pixel_format}")
        sink = graph.add("buffersink")
        for left, right in itertools.pairwise((source, scale, pixel_format, sink)):
            left.link_to(right)
        graph.configure()
        return graph


_SCALE_FILTER_NAMES = {1: "bt709", 4: "fcc", 5: "smpte170m", 7: "smpte240m", 9: "bt2020"}
