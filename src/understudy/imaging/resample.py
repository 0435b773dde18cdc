"""Reading a part of a picture through an affine map, without aliasing, and laying one down.

Pictures of any depth in, the part asked for out, in the same depth; pixel coordinates as they are
(the centre of the top-left pixel is (0, 0)). Knows nothing of faces or files.
"""

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16

from understudy.imaging.geometry import compose, invert, scale_of, transform_points

Pixels = UInt8[np.ndarray, "..."] | UInt16[np.ndarray, "..."] | Float32[np.ndarray, "..."]
"""(h, w) or (h, w, channels), of any depth; float is 0..1."""

Levels = Float32[np.ndarray, "..."]
"""Pixels in the levels of the picture they come from: 0..1, 0..255 or 0..65535."""

Affine = Float[np.ndarray, "2 3"]

_CUBIC_REACH = 2
_THREE_TAPS = 0.5
_SMALLEST_SCALE = 1e-4


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of whole pixels: left and top inside, right and bottom just outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def shape_hw(self) -> tuple[int, int]:
        """Height and width, never negative."""
        return max(self.bottom - self.top, 0), max(self.right - self.left, 0)

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return 0 in self.shape_hw

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the rectangle in an array of rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def clipped(self, shape_hw: tuple[int, int]) -> "Box":
        """The part that lies in a picture of that shape."""
        height, width = shape_hw
        return Box(
            min(max(self.left, 0), width),
            min(max(self.top, 0), height),
            min(max(self.right, 0), width),
            min(max(self.bottom, 0), height),
        )


def reach_of(area: Box, matrix: Affine) -> Box:
    """All pixels of the canvas that `place_part` can colour from the pixels in `area`.

    `matrix` maps from the picture that `area` is in to the canvas.
    """
    scale = max(scale_of(matrix), _SMALLEST_SCALE)
    # In pixels of the picture; one that shrinks is softened over about as many as make one.
    reach = _CUBIC_REACH if scale >= 1.0 else math.ceil((_CUBIC_REACH + 1) / scale)
    left, top, right, bottom = (
        area.left - reach,
        area.top - reach,
        area.right - 1 + reach,
        area.bottom - 1 + reach,
    )
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    points = transform_points(corners, matrix)
    low, high = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int)
    return Box(int(low[0]), int(low[1]), int(high[0]) + 1, int(high[1]) + 1)


def read_part(picture: Pixels, matrix: Affine, *, shape_hw: tuple[int, int]) -> Levels:
    """`picture` through `matrix` (source to result), free of aliasing; its rim goes on outside it.

    The result holds the picture's levels, unrounded, and may overshoot them slightly.

    What shrinks is first averaged to the sharpness the result can hold, which grows evenly with the
    scale: nothing jumps when a face crosses a whole factor in the middle of a shot.
    """
    height, width = picture.shape[:2]
    # A pixel more than is asked for: softening the part bends its rim, where the picture goes on.
    box = reach_of(Box(-1, -1, shape_hw[1] + 1, shape_hw[0] + 1), invert(matrix))
    # A box that misses the picture still reads its nearest rim.
    near = Box(
        min(max(box.left, 0), width - 1),
        min(max(box.top, 0), height - 1),
        max(min(box.right, width), 1),
        max(min(box.bottom, height), 1),
    )
    part = picture[near.slices]
    to_result = compose(np.array([[1.0, 0.0, near.left], [0.0, 1.0, near.top]]), matrix)
    scale = max(scale_of(matrix), _SMALLEST_SCALE)
    if scale < 1.0:
        part, to_result = _soften(part, to_result, scale)
    out_height, out_width = shape_hw
    return np.asarray(
        cv2.warpAffine(
            part.astype(np.float32, copy=False),
            to_result,
            (out_width, out_height),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def place_part(
    picture: Pixels, matrix: Affine, box: Box, *, rim: Literal["continue", "zero"] = "zero"
) -> Pixels:
    """The part `box` of the canvas onto which `matrix` (source to canvas) lays `picture`.

    Cubic, softened first where it shrinks; outside the picture its rim goes on, or there is 0.
    """
    to_box = compose(matrix, np.array([[1.0, 0.0, -box.left], [0.0, 1.0, -box.top]]))
    scale = max(scale_of(matrix), _SMALLEST_SCALE)
    if scale < 1.0:
        picture, to_box = _soften(picture, to_box, scale)
    height, width = box.shape_hw
    border = cv2.BORDER_REPLICATE if rim == "continue" else cv2.BORDER_CONSTANT
    return np.asarray(
        cv2.warpAffine(picture, to_box, (width, height), flags=cv2.INTER_CUBIC, borderMode=border)
    )


def _soften(picture: Pixels, matrix: Affine, scale: float) -> tuple[Pixels, Affine]:
    """`picture` with only the detail that survives `scale`, and `matrix` for it.

    Samples lie `1 / scale` pixels apart. A plain mean of that many would have half this variance
    and let fine patterns through, which shimmer when the face moves; twice this is visibly soft.
    What averaging whole blocks does of it is taken off the rest, so that nothing jumps.
    """
    variance = (1.0 / scale**2 - 1.0) / 6.0
    factor = min(int(1.0 / scale), *picture.shape[:2])
    if factor > 1:
        height, width = (side // factor for side in picture.shape[:2])
        # Whole blocks only: the odd last rows are repeated by nobody, and never exceed the margin.
        whole = picture[: height * factor, : width * factor]
        picture = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))
        matrix = compose(_from_blocks(factor), matrix)
        variance = (variance - (factor**2 - 1) / 12.0) / factor**2
    return _blurred(picture, variance), matrix


def _blurred(picture: Pixels, variance: float) -> Pixels:
    """`picture` blurred by exactly that variance, which a sampled Gaussian misses where narrow."""
    if variance > _THREE_TAPS:
        sigma = math.sqrt(variance)
        blurred = cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(blurred)
    taps = np.array([variance / 2, 1 - variance, variance / 2])
    return np.asarray(cv2.sepFilter2D(picture, -1, taps, taps, borderType=cv2.BORDER_REPLICATE))


def _from_blocks(factor: int) -> Affine:
    shift = (factor - 1) / 2
    return np.array([[factor, 0.0, shift], [0.0, factor, shift]])
