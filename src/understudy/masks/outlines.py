"""A mask becomes polygons that a person can edit: outlines that include, holes that exclude.

A mask in, a few dozen points out, with how well they draw the mask again. Knows no files.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from understudy.masks.polygons import rasterize
from understudy.masks.simplify import simplify
from understudy.types import Mask, Polygon

TOLERANCE = 0.003
"""How far a polygon may be from the mask's edge, as a part of the picture's longer side."""

LEAST_AREA = 0.0005
"""Specks and holes smaller than this part of the picture are left out."""

_LEAST_PX = 0.7  # finer, a polygon would follow the steps of the pixels

_NEXT, _INNER, _OUTER = 0, 2, 3  # columns of OpenCV's tree of outlines
Plane = UInt8[np.ndarray, "h w"]
Loop = Float64[np.ndarray, "n 2"]


@dataclass(frozen=True, slots=True)
class Traced:
    """Polygons of a mask; `iou` is that of the mask drawn from them with the one traced."""

    polygons: tuple[Polygon, ...]
    iou: float

    @property
    def num_points(self) -> int:
        """Corners of all polygons together."""
        return sum(len(points) for _, points in self.polygons)


def trace_polygons(
    mask: Mask, *, tolerance: float = TOLERANCE, least_area: float = LEAST_AREA
) -> Traced:
    """As few points as keep within the tolerance of where the mask crosses one half.

    Both limits are parts of the picture: of its longer side, and of its area; the steps of pixels
    are never followed. A mask that is empty has no polygons. What lies inside a hole stays: the
    excluding polygon goes around it.
    """
    hard = np.asarray(mask >= 0.5, np.uint8)
    within = max(tolerance * max(hard.shape), _LEAST_PX)
    least_px = least_area * hard.size
    polygons, filled = [], np.zeros_like(hard)
    for outline, _ in _outlines(hard, least_px):
        x, y = outline[0].astype(np.int64)
        if not filled[y, x]:  # or it lies in a hole of a larger one, which leaves it out
            cv2.fillPoly(filled, [outline.astype(np.int32)], (1,))
            polygons.append(Polygon(True, _simple(outline, within)))
    # A hole is background that no path of neighbours leads out of.
    background = cv2.copyMakeBorder(1 - hard, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(background, None, (0, 0), 0, flags=4)
    holes = np.ascontiguousarray(background[1:-1, 1:-1])
    for outline, islands in _outlines(holes, least_px):
        kept = [_simple(island, within) for island in islands]
        polygons.append(Polygon(False, _around(_simple(outline, within), kept)))
    return Traced(tuple(polygons), iou_of(rasterize(polygons, hard.shape), hard))


def iou_of(a: Mask, b: Mask | Plane) -> float:
    """Common part of two masks cut at one half, over what either holds; 1 where both are empty."""
    one, other = np.asarray(a >= 0.5), np.asarray(b >= 0.5)
    union = int((one | other).sum())
    return float((one & other).sum()) / union if union else 1.0


def _outlines(plane: Plane, least_px: float) -> Iterator[tuple[Loop, list[Loop]]]:
    """Each area's outline on its own rim pixels, and those around the holes in it; large first."""
    loops, tree = cv2.findContours(plane, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if tree is None:
        return
    areas = [(number, _area(loops[number])) for number, node in enumerate(tree[0])
             if node[_OUTER] < 0]  # fmt: skip
    for number, area in sorted(areas, key=lambda pair: -pair[1]):
        if area < least_px or len(loops[number]) < 3:
            continue
        inside, hole = [], int(tree[0][number][_INNER])
        while hole >= 0:
            if _area(loops[hole]) >= least_px:
                inside.append(loops[hole][:, 0].astype(np.float64))
            hole = int(tree[0][hole][_NEXT])
        yield loops[number][:, 0].astype(np.float64), inside


def _area(loop: np.ndarray) -> float:
    """Pixels in and on an outline."""
    return float(cv2.contourArea(loop)) + len(loop) / 2 + 1


def _simple(loop: Loop, tolerance: float) -> np.ndarray:
    return np.asarray(simplify(loop, tolerance), np.float32)


def _around(outline: np.ndarray, islands: list[np.ndarray]) -> np.ndarray:
    """One outline that leaves the islands out, joined to each by a line there and back."""
    for island in islands:
        gaps = np.linalg.norm(outline[:, None] - island[None], axis=2)
        here, there = np.unravel_index(int(gaps.argmin()), gaps.shape)
        loop = np.roll(island, -there, 0)
        outline = np.concatenate([outline[: here + 1], loop, loop[:1], outline[here:]])
    return outline
