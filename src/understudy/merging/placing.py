"""Where a swapped face sits on the plate's head: moved by hand, or to the hair line it is to meet.

Predictions and shifts in, shifts and masks out. Faces are aligned by brows, eyes, nose and mouth,
so the outline of another person's face lands a little off: the plate's hair then covers too much
of it or too little. Where both learned masks end at the hair (training faces had painted masks, not
the hull of landmarks), the distance of their upper edges is the shift that closes the gap. Knows no
frames.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from understudy.imaging.geometry import Affine
from understudy.types import Mask, Prediction

_LEFT, _RIGHT = 0.35, 0.65
"""Columns of the square that are looked at: beyond them hair hangs and heads turn away."""
_FEWEST_COLUMNS = 0.2
_INSIDE = 0.5
_CREDIBLE_PERCENT = 3.5
"""A wider gap is that of two foreheads, or of a mask that is wrong: the whole face would leave its
features for it."""


def shift_matrix(size: int, *, right: float, down: float) -> Affine:
    """Map of a face square of `size` pixels onto itself, moved by percents of its side."""
    return np.array([[1.0, 0.0, 0.01 * right * size], [0.0, 1.0, 0.01 * down * size]])


def moved_mask(mask: Mask, *, right: float, down: float) -> Mask:
    """`mask` of a face square moved by percents of its side, nothing beyond its rim."""
    if not (right or down):
        return mask
    size = len(mask)
    matrix = shift_matrix(size, right=right, down=down)
    moved = cv2.warpAffine(mask, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(moved, np.float32)


def upper_edge(mask: Mask) -> float | None:
    """Row, in percent of the side, at which the middle of `mask` begins; None if it has no edge."""
    size = len(mask)
    columns = mask[:, int(_LEFT * size) : int(_RIGHT * size)]
    rows = []
    for column in columns.T:
        first = int(np.argmax(column > _INSIDE))
        before, after = column[first - 1], column[first]
        if first > 0 and after > _INSIDE:
            rows.append(first - (after - _INSIDE) / (after - before))
    if len(rows) < _FEWEST_COLUMNS * columns.shape[1]:
        return None
    return float(100 * np.median(rows) / size)


def shift_to_hair_line(predictions: Sequence[Prediction]) -> float | None:
    """How far down (percent of the square; below zero up) the swap meets the plate's hair line.

    The median over all predictions, so that the face does not swim. None where no mask shows an
    edge, or the two lie so far apart that moving the face would take it off its features.
    """
    edges = [(upper_edge(one.dst_mask), upper_edge(one.mask)) for one in predictions]
    gaps = [plate - swap for plate, swap in edges if plate is not None and swap is not None]
    if not gaps:
        return None
    shift = float(np.median(gaps))
    return shift if abs(shift) <= _CREDIBLE_PERCENT else None
