"""Faces that look the same, of which one is enough.

Thumbs and measures of quality in; which faces are the poorer copies out. Knows nothing of files.
"""

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from understudy.job import Job

_TILE = 1024
_PLACE = 4  # thumb pixels a side of what is looked at by itself: an eye, a corner of the mouth
_LOCALLY = 2.0
_AT_ONCE = 64


def duplicates(
    thumbs: UInt8[np.ndarray, "n s s 3"],
    sharpness: Float64[np.ndarray, " n"],
    size: Float64[np.ndarray, " n"],
    closeness: float,
    job: Job,
) -> Bool[np.ndarray, " n"]:
    """Whether each face looks the same as a better one that stays.

    Two look the same if their thumbs differ by at most `closeness` levels (root mean square) as a
    whole, and by at most twice that in any one place: a blink is no copy of open eyes. The better
    is the sharper, then the larger in its frame, then the first. Whatever goes is close to one that
    stays, never only to one that goes as well.
    """
    count = len(thumbs)
    better_first = np.lexsort((np.arange(count), -size, -sharpness))
    ordered = thumbs[better_first]
    flat = ordered.reshape(count, -1).astype(np.float32)
    flat -= flat.mean(0)  # small numbers: the products below keep their digits
    power = (flat.astype(np.float64) ** 2).sum(1)
    limit = closeness**2 * flat.shape[1]
    goes = np.zeros(count, bool)
    for start in range(0, count, _TILE):
        rows = slice(start, min(start + _TILE, count))
        # Against those before, only they can be better; the tile's own rows come one by one.
        apart = (
            power[rows, None] + power[None, : rows.stop] - 2.0 * (flat[rows] @ flat[: rows.stop].T)
        )
        close = apart <= limit
        for row in range(rows.stop - start):
            place = start + row
            near = np.flatnonzero(close[row, :place] & ~goes[:place])
            goes[place] = _any_copy(ordered[place], ordered[near], _LOCALLY * closeness)
        job.check()
        job.progress(rows.stop, count, "comparing faces")
    result = np.zeros(count, bool)
    result[better_first] = goes
    return result


def _any_copy(
    thumb: UInt8[np.ndarray, "s s 3"], others: UInt8[np.ndarray, "k s s 3"], closeness: float
) -> bool:
    """Whether one of the others differs nowhere by more than that."""
    places = thumb.shape[0] // _PLACE
    for start in range(0, len(others), _AT_ONCE):
        apart = others[start : start + _AT_ONCE].astype(np.float32) - thumb
        squares = (apart * apart).reshape(-1, places, _PLACE, places, _PLACE, 3)
        if (squares.mean(axis=(2, 4, 5)).max(axis=(1, 2)) <= closeness**2).any():
            return True
    return False
