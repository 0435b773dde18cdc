"""RGB arrays as frames for an encoder: YUV or RGB, of any depth, with alpha or without.

Pixels in, frames out. Knows chroma siting, ranges and odd sizes; opens no file.
"""

import itertools
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from jaxtyping import UInt8, UInt16

from understudy.media.color_tags import SCALER_MATRICES
from understudy.media.conversion import SCALER_WHITE_16, WHITE_16
from understudy.types import ColorTags

Stored = UInt8[np.ndarray, "_ _ c"] | UInt16[np.ndarray, "_ _ c"]
"""RGB or, with a straight matte as its fourth channel, RGBA."""

_SCALE_FILTER_NAMES = {1: "bt709", 4: "fcc", 5: "smpte170m", 7: "smpte240m", 9: "bt2020"}
_KINDS = {
    ("u1", 3): "rgb24",
    ("u1", 4): "rgba",
    ("u2", 3): "rgb48le",
    ("u2", 4): "rgba64le",
}
# A limited-range 16-bit plane: zero of luma, middle of chroma, what white and full colour add.
_LUMA_ZERO, _CHROMA_ZERO, _LUMA_SPAN, _CHROMA_SPAN = 16 << 8, 128 << 8, 219 << 8, 224 << 8


class FrameMaker:
    """Turns pictures of one size into frames for the encoder.

    Chroma is sited left, where H.264 puts it when it says nothing (the plain scaler would centre
    it, and each round through a file would move colours by half a pixel). Sizes that subsampled
    chroma can't hold gain a copy of their last row or column. YUV of the full range is made from 16
    bits of the limited one: made directly, the scaler rounds chroma down, half a level each time.
    """

    def __init__(
        self,
        shape_hw: tuple[int, int],
        color: ColorTags,
        *,
        pixel_format: str = "yuv420p",
        is_full_range: bool = False,
    ) -> None:
        stored = VideoFormat(pixel_format)
        self.pixel_format, self.is_rgb = pixel_format, stored.is_rgb
        step_x = step_y = 1
        if not self.is_rgb:  # four pixels share how many samples of chroma?
            step_x, step_y = 4 // stored.chroma_width(4), 4 // stored.chroma_height(4)
        self.height, self.width = (
            -(-n // s) * s for n, s in zip(shape_hw, (step_y, step_x), strict=True)
        )
        self._padding = (
            (0, self.height - shape_hw[0]),
            (0, self.width - shape_hw[1]),
            (0, 0),
        )
        self.bit_depth = max(part.bits for part in stored.components)
        self.has_alpha = len(stored.components) == 4 or pixel_format == "bgra"
        self._full = is_full_range and not self.is_rgb
        made = pixel_format.removesuffix("10le") + "16le" if self._full else pixel_format
        matrix = SCALER_MATRICES[color.matrix or "bt709"]
        self._steps = (
            "in_range=pc:out_range=tv:"
            f"out_color_matrix={_SCALE_FILTER_NAMES[matrix]}:"
            "out_chroma_loc=left:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
        )
        self._made = made
        self._graphs: dict[str, Graph] = {}

    def make(self, pixels: Stored) -> VideoFrame:
        """The frame to encode; the encoder's own time stamps are left to the caller."""
        if pixels.shape[:2] != (self.height, self.width):
            pixels = np.pad(pixels, self._padding, mode="edge")
        if self.is_rgb:
            return self._repacked(pixels)
        if pixels.dtype == np.uint16:
            pixels = _at_scaler_white(pixels)
        kind = _KINDS[pixels.dtype.str[1:], pixels.shape[2]]
        graph = self._graphs.get(kind)
        if graph is None:
            graph = self._graphs[kind] = self._build(kind)
        graph.push(VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=kind))
        frame = cast(VideoFrame, graph.pull())
        return self._widened(frame) if self._full else frame

    def _repacked(self, pixels: Stored) -> VideoFrame:
        wanted = np.uint8 if self.bit_depth == 8 else np.uint16
        if pixels.dtype != wanted:
            pixels = to_depth(pixels, 8 if wanted is np.uint8 else 16)
        kind = _KINDS[pixels.dtype.str[1:], pixels.shape[2]]
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=kind)
        return frame if kind == self.pixel_format else frame.reformat(format=self.pixel_format)

    def _widened(self, frame: VideoFrame) -> VideoFrame:
        """Planes of 16 bits and limited range as planes of the wanted depth and full range."""
        widened = VideoFrame(frame.width, frame.height, self.pixel_format)
        top = (1 << self.bit_depth) - 1
        for index, (read, write) in enumerate(zip(frame.planes, widened.planes, strict=True)):
            levels = read_plane(read, np.uint16).astype(np.float32)
            if index in (1, 2):
                levels = (levels - _CHROMA_ZERO) * (top / _CHROMA_SPAN) + (top + 1) / 2
            else:
                levels = (levels - _LUMA_ZERO) * (top / _LUMA_SPAN)
            kind = np.uint8 if self.bit_depth == 8 else np.uint16
            fill_plane(write, np.clip(np.rint(levels), 0, top).astype(kind))
        return widened

    def _build(self, kind: str) -> Graph:
        graph = Graph()
        source = graph.add_buffer(
            width=self.width,
            height=self.height,
            format=VideoFormat(kind, self.width, self.height),
            time_base=Fraction(1, 25),
        )
        scale = graph.add("scale", self._steps)
        pixel_format = graph.add("format", f"pix_fmts={self._made}")
        sink = graph.add("buffersink")
        for left, right in itertools.pairwise((source, scale, pixel_format, sink)):
            left.link_to(right)
        graph.configure()
        return graph


def to_depth(pixels: Stored, depth: int) -> Stored:
    """`pixels` in 8 or 16 bits, white staying white."""
    if depth == 8 and pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if depth == 16 and pixels.dtype == np.uint8:
        return pixels.astype(np.uint16) * 257
    return pixels


def _at_scaler_white(pixels: Stored) -> Stored:
    scaled = cv2.addWeighted(pixels, SCALER_WHITE_16 / WHITE_16, pixels, 0, 0)
    if pixels.shape[2] == 4:
        scaled[..., 3] = pixels[..., 3]  # a matte has no colour
    return np.asarray(scaled)


def read_plane(plane: VideoPlane, kind: type[np.uint8] | type[np.uint16]) -> np.ndarray:
    """Samples of a plane, without what pads its rows."""
    size = np.dtype(kind).itemsize
    rows = np.frombuffer(memoryview(plane), kind).reshape(plane.height, plane.line_size // size)
    return np.asarray(rows[:, : plane.width])


def fill_plane(plane: VideoPlane, levels: np.ndarray) -> None:
    """Put samples into a plane."""
    rows = np.zeros((plane.height, plane.line_size // levels.itemsize), levels.dtype)
    rows[:, : plane.width] = levels
    plane.update(rows.tobytes())
