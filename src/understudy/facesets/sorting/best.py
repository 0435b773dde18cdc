"""The best faces: sharp ones of every direction, the most different of each.

Columns of a table in, indices kept and in what order out. Source: reference "dfl-pipeline" section
9, "Best faces"; targets of 64 and fewer, with which DFL throws away all, are met here as well.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int, UInt32

from understudy.facesets.sorting.chains import dissimilarity

YAW_BINS = 128
_YAW_REACH = 1.2
_SPARE = 10  # times the share of a bin that are looked at more closely

Scores = Float64[np.ndarray, " n"]
Indices = Int[np.ndarray, "_"]


def best_faces(
    scores: Scores, yaw: Scores, pitch: Scores, grey: UInt32[np.ndarray, "n 256"], target: int
) -> list[int]:
    """Indices of about `target` faces, yaw bin by yaw bin; `scores` say which are good.

    With DFL's targets (more than 64) the kept are DFL's, as many as they may be; with smaller ones
    exactly `target`, where there are as many faces.
    """
    bins = [
        members
        for members in _bins(-yaw, np.linspace(-_YAW_REACH, _YAW_REACH, YAW_BINS))
        if len(members)
    ]
    share = round(target / YAW_BINS)  # half to even, as the original has it
    if not share:
        return _few(bins, scores, pitch, grey, target)
    empty = YAW_BINS - len(bins)
    lack = sum(max(0, share - len(members)) for members in bins) + empty * share
    share += lack // YAW_BINS
    picks = [_pick(members, scores, pitch, grey, share) for members in bins]
    return [index for taken in picks for index in taken]


def _few(
    bins: Sequence[Indices],
    scores: Scores,
    pitch: Scores,
    grey: UInt32[np.ndarray, "n 256"],
    target: int,
) -> list[int]:
    """Exactly `target` faces, spread over the directions there are."""
    share = 1
    while sum(min(share, len(members)) for members in bins) < target and share < target:
        share += 1
    picks = [_pick(members, scores, pitch, grey, share) for members in bins]
    spare = sum(map(len, picks)) - target
    if spare > 0:  # the last pick of some bins goes, evenly over the directions
        full = [number for number, taken in enumerate(picks) if len(taken) == share]
        for at in np.linspace(0, len(full) - 1, spare).round().astype(int):
            picks[full[at]] = picks[full[at]][: share - 1]
    return [index for taken in picks for index in taken]


def _pick(
    members: Indices, scores: Scores, pitch: Scores, grey: UInt32[np.ndarray, "n 256"], share: int
) -> list[int]:
    """Up to `share` of a yaw bin, taken in turn from its pitch bins, the most different first."""
    good = members[np.argsort(-scores[members], kind="stable")][: _SPARE * share]
    queues = []
    for group in _bins(pitch[good], np.linspace(-np.pi / 2, np.pi / 2, share)):
        chosen = good[group]
        different = dissimilarity(grey[chosen])
        queues.append(chosen[np.argsort(-different, kind="stable")].tolist())
    taken: list[int] = []
    while len(taken) < share and any(queues):
        for queue in queues:
            if queue and len(taken) < share:
                taken.append(queue.pop(0))
    return taken


def _bins(values: Scores, edges: Float64[np.ndarray, " e"]) -> list[Indices]:
    """Indices of the values from each edge up to the next; the outer bins are open outwards.

    One value stands for one edge: there are as many bins as edges, the last from the last edge on.
    """
    number = np.searchsorted(edges, values, side="right") - 1
    number = np.maximum(number, 0)
    return [np.flatnonzero(number == at) for at in range(len(edges))]
