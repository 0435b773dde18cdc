"""From the 468-point face mesh to the 68-point convention.

Mesh points in, 68 points out, in the same pixels. Inner points are one point of the mesh, or the
mean of a few where the convention puts its point between them. The jaw runs along the mesh's
outline, at places measured on frontal heads with known points, so that it keeps to the visible edge
when the head turns, as the points of pictures marked by hand do.
Source of the convention: Sagonas et al., "300 Faces in-the-Wild Challenge", 2013. Measured against
the exact points of the digital doubles.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from understudy.types import Landmarks

_RIGHT_OUTLINE = (162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152)
_LEFT_OUTLINE = (389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152)
_JAW_PLACES = (0.25, 1.6, 3.05, 4.2, 5.6, 7.4, 8.8, 10.5, 12.0)

_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
_EYES = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)

Mix = dict[int, float]

_NOSE: tuple[Mix, ...] = (
    {168: 0.75, 6: 0.25},
    {197: 0.5, 196: 0.25, 419: 0.25},
    {5: 0.2, 3: 0.4, 248: 0.4},
    {4: 0.5, 5: 0.5},
    {98: 0.55, 97: 0.45},
    {97: 0.85, 2: 0.15},
    {2: 0.5, 97: 0.25, 326: 0.25},
    {326: 0.85, 2: 0.15},
    {327: 0.55, 326: 0.45},
)
_LIPS: tuple[Mix, ...] = (
    {61: 1.0},
    {39: 0.6, 40: 0.4},
    {37: 1.0},
    {0: 1.0},
    {267: 1.0},
    {269: 0.6, 270: 0.4},
    {291: 1.0},
    {321: 0.55, 405: 0.45},
    {314: 0.7, 405: 0.3},
    {17: 1.0},
    {84: 0.7, 181: 0.3},
    {91: 0.55, 181: 0.45},
    {78: 1.0},
    {81: 0.6, 82: 0.4},
    {13: 1.0},
    {311: 0.6, 312: 0.4},
    {308: 1.0},
    {402: 0.65, 317: 0.35},
    {14: 1.0},
    {178: 0.65, 87: 0.35},
)


def reduce_mesh(mesh: Float[np.ndarray, "m 2"]) -> Landmarks:
    """The 68 points of a mesh."""
    points = np.asarray(mesh[:_NUM_USED], np.float64)
    return _WEIGHTS @ points


def _mixes() -> Iterator[Mix]:
    yield from (_on_outline(_RIGHT_OUTLINE, place) for place in _JAW_PLACES)
    yield from (_on_outline(_LEFT_OUTLINE, place) for place in reversed(_JAW_PLACES[:-1]))
    yield from ({point: 1.0} for point in _BROWS)
    yield from _NOSE
    yield from ({point: 1.0} for point in _EYES)
    yield from _LIPS


def _on_outline(outline: tuple[int, ...], place: float) -> Mix:
    first = min(int(place), len(outline) - 2)
    share = place - first
    return {outline[first]: 1 - share, outline[first + 1]: share}


_NUM_USED = 468


def _weights() -> Float[np.ndarray, "68 468"]:
    weights = np.zeros((68, _NUM_USED))
    for row, mix in zip(weights, _mixes(), strict=True):
        for point, share in mix.items():
            row[point] = share
    return weights


_WEIGHTS = _weights()
