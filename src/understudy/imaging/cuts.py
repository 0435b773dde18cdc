"""Cuts between shots: whether a picture continues the one before it.

Pictures of one clip in, in order; a yes or no out for each. Judged by how little a thumbnail looks
like the one before, measured without brightness, so that a flash or a wild light is no cut; and by
how much it changed lately, so that a fast pan is none. Keeps a thumbnail and a few numbers; knows
nothing of faces, files or videos.
"""

from collections import deque

import cv2
import numpy as np
from jaxtyping import Float32, UInt8, UInt16

Pixels = UInt8[np.ndarray, "_ _ 3"] | UInt16[np.ndarray, "_ _ 3"] | Float32[np.ndarray, "_ _ 3"]

_THUMB_WH = (32, 18)
_NUM_RECENT = 8
_MIN_CHANGE = 0.04
_MIN_RATIO = 3.0
_MAX_LIKENESS = 0.5
_NO_CONTRAST = 1e-6


class CutFinder:
    """Tells of each picture of a clip whether a new shot begins with it; the first begins none."""

    def __init__(self) -> None:
        self._before: Float32[np.ndarray, "h w 3"] | None = None
        self._recent: deque[float] = deque(maxlen=_NUM_RECENT)

    def push(self, picture: Pixels) -> bool:
        """Whether `picture`, the clip's next, begins a new shot."""
        thumb = _thumbnail(picture)
        before, self._before = self._before, thumb
        if before is None:
            return False
        change = float(np.abs(thumb - before).mean())
        usual = float(np.median(self._recent)) if self._recent else 0.0
        sudden = change > max(_MIN_CHANGE, _MIN_RATIO * usual)
        cut = sudden and _likeness(thumb, before) < _MAX_LIKENESS
        if cut:
            self._recent.clear()
        else:
            self._recent.append(change)
        return cut


def _thumbnail(picture: Pixels) -> Float32[np.ndarray, "h w 3"]:
    small = cv2.resize(picture, _THUMB_WH, interpolation=cv2.INTER_AREA).astype(np.float32)
    white = np.iinfo(picture.dtype).max if picture.dtype.kind == "u" else 1
    return np.asarray(small / np.float32(white))


def _likeness(first: Float32[np.ndarray, "h w 3"], second: Float32[np.ndarray, "h w 3"]) -> float:
    """Correlation of two pictures, each channel's mean taken off; -1..1."""
    first, second = first - first.mean((0, 1)), second - second.mean((0, 1))
    contrast = float(np.sqrt((first * first).sum() * (second * second).sum()))
    return float((first * second).sum()) / contrast if contrast > _NO_CONTRAST else 0.0
