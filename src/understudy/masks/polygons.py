"""Polygons drawn by hand become a mask: what includes is filled first, what excludes always cuts.

Outlines in pixels of a picture in, a mask of its size out. Pixels are those DFL draws, because
models trained elsewhere learned from them. Knows no files. Source: reference "dfl-formats" section
2 and "dfl-pipeline" section 11, golden.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Int32

from understudy.errors import FormatError
from understudy.types import Mask, Polygon

Outlines = Sequence[Polygon | tuple[bool, Float[np.ndarray, "_ 2"]]]
"""Pairs of whether the polygon includes, and its points, x then y."""

_FARTHEST_PX = 1e8  # still drawn exactly; what lies beyond would leave 32-bit numbers


def rasterize(polygons: Outlines, shape_hw: tuple[int, int]) -> Mask:
    """Mask of the polygons, 0 or 1: all that include, in their order, then all that exclude.

    Coordinates are truncated towards zero and the outline itself belongs to the polygon, so that
    two points make a line and one makes a dot. What crosses itself is filled by the even-odd rule,
    what lies outside the picture is cut off, and without polygons the mask is 0.

    Raises:
        FormatError: a coordinate is no finite number.
    """
    mask = np.zeros(shape_hw, np.float32)
    for include, points in sorted(polygons, key=lambda polygon: not polygon[0]):
        if len(points):
            cv2.fillPoly(mask, [_on_pixels(points)], (1.0 if include else 0.0,))
    return mask


def is_labelled(polygons: Outlines) -> bool:
    """Whether there is anything drawn: a face counts for training then."""
    return any(len(points) for _, points in polygons)


def _on_pixels(points: Float[np.ndarray, "n 2"]) -> Int32[np.ndarray, "n 2"]:
    single = np.asarray(points, np.float32)
    if not np.isfinite(single).all():
        raise FormatError(
            "polygon",
            expected="points with finite coordinates",
            found="one without",
            remedy="Draw this polygon again.",
        )
    return np.clip(np.trunc(single), -_FARTHEST_PX, _FARTHEST_PX).astype(np.int32)
