"""Which faces are worth a label: those most unlike the labelled ones.

What each face is like in, places of the faces to label next out; the same ones every time. Knows no
files. Source: Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985, for
taking the farthest face again and again.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float64

from understudy.types import Mask

SCALES = (15.0, 12.0, 30.0, 8.0, 8.0)
"""A difference worth a label of its own: degrees of yaw and pitch, levels of brightness, units of
the two colour axes of CIE Lab."""

_LOOKED_AT_PX = 128
_NEAR = 0.25  # what counts beside the distance, so that a doubtful twin may still be chosen

Column = Float64[np.ndarray, " n"]


def mask_uncertainty(mask: Mask) -> float:
    """How doubtful a mask looks: the width of its soft or frayed rim in 128ths of the picture.

    A clean outline has nearly none, however it runs; specks, holes and ragged edges count as what
    smoothing takes away. An empty mask is as doubtful as can be.
    """
    shape = (_LOOKED_AT_PX, _LOOKED_AT_PX)
    small = cv2.resize(mask, shape, interpolation=cv2.INTER_AREA)
    hard = np.asarray(small >= 0.5, np.uint8)
    if not hard.any():
        return float(_LOOKED_AT_PX)
    round_kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    smooth = cv2.morphologyEx(hard, cv2.MORPH_OPEN, round_kernel)
    smooth = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, round_kernel)
    length = float(np.sqrt(hard.sum()))
    soft = float((4 * small * (1 - small)).sum())
    frayed = float(np.count_nonzero(smooth != hard))
    return min((soft + 4 * frayed) / length, float(_LOOKED_AT_PX))


def suggest(
    traits: Float[np.ndarray, "n d"],
    labelled: Bool[np.ndarray, " n"],
    uncertainty: Float[np.ndarray, " n"],
    count: int,
) -> list[int]:
    """Places of up to `count` faces without labels, the most wanted first.

    `traits` are in units of a difference worth a label. A face's distance from the nearest labelled
    or already suggested one decides, doubled for the most uncertain mask; an uncertainty that is
    not known (NaN) counts as middling. Without any labels the most common face comes first.
    """
    free = ~labelled
    weight = 1 + _ranks(uncertainty)
    distance = np.full(len(traits), np.inf)
    for known in np.flatnonzero(labelled):
        distance = np.minimum(distance, _from(traits, int(known)))
    chosen: list[int] = []
    for _ in range(min(count, int(free.sum()))):
        if np.isfinite(distance).all():
            wanted = np.where(free, (distance + _NEAR) * weight, -1.0)
            place = int(wanted.argmax())
        else:
            from_middle = np.linalg.norm(traits - np.median(traits, 0), axis=1)
            place = int(np.where(free, from_middle, np.inf).argmin())
        chosen.append(place)
        free[place] = False
        distance = np.minimum(distance, _from(traits, place))
    return chosen


def _from(traits: Float[np.ndarray, "n d"], place: int) -> Column:
    return np.asarray(np.linalg.norm(traits - traits[place], axis=1), np.float64)


def _ranks(values: Float[np.ndarray, " n"]) -> Column:
    """Where each value lies among the known ones, 0 to 1; equals alike, unknowns in the middle."""
    known = np.sort(values[np.isfinite(values)])
    if not len(known):
        return np.full(len(values), 0.5)
    below = np.searchsorted(known, values, "left")
    up_to = np.searchsorted(known, values, "right")
    return np.where(np.isfinite(values), (below + up_to) / (2 * len(known)), 0.5)
