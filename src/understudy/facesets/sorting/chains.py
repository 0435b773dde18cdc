"""Chains of faces: each followed by the one most like it that is left.

Histograms or pictures in, an order out. The distances asked for are exact; bounds that cost little
keep all but a few of them from being worked out, so that 20,000 faces take seconds and not days.
Knows nothing of files' names. Source: reference "dfl-pipeline" section 9.
"""

from collections import OrderedDict
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32, Float64, Int, UInt8, UInt16, UInt32

from understudy.job import Job

MAX_CHUNK = 20_000
_MAX_CHUNKS = 12
_TILE = 1024
_TELL_EVERY = 64
_NEVER = np.iinfo(np.uint16).max
_STEPS_PER_UNIT = 20_000  # of a bound in 16 bits: the distance is 3 at most
_PRODUCT_ERROR = 2e-5  # most that a product of unit vectors of 256 parts is off in float32
_COARSE = 4  # cells a side of the thumbs' own thumbs
_PICTURE_BYTES = 600 << 20

Indices = Int[np.ndarray, " k"]
Scores = Float64[np.ndarray, " n"]
Histograms = UInt32[np.ndarray, "n 3 256"]


def histogram_order(color: Histograms, job: Job) -> list[int]:
    """Indices in the order of DFL's `hist`: in chunks of 20,000, each a chain of its own."""
    total = len(color)
    chunk = MAX_CHUNK if total <= MAX_CHUNK * _MAX_CHUNKS else -(-total // _MAX_CHUNKS)
    order: list[int] = []
    for start in range(0, total, max(chunk, 1)):
        part = histogram_chain(color[start : start + chunk], job, done=start, total=total)
        order += [start + index for index in part]
    return order


def histogram_chain(
    color: Histograms, job: Job, *, done: int = 0, total: int | None = None
) -> list[int]:
    """Indices of one chain from the first histogram on.

    The distance is the sum of the Bhattacharyya distances of the three channels; among equals the
    one comes first that does in DFL's list, where each choice changes places with whoever is next.
    """
    count = len(color)
    sums = color.sum(2, dtype=np.float64)
    norms = np.sqrt(np.where(sums > 0, sums, 1))
    bounds = _lower_bounds(np.sqrt(color) / norms[..., None], job)
    used = np.zeros(count, np.uint16)
    row = np.empty(count, np.uint16)
    order, place = np.arange(count), np.arange(count)

    def distances(last: int, others: Indices) -> Float64[np.ndarray, " k"]:
        both = np.sqrt(color[last].astype(np.float64) * color[others])
        share = both.sum(2) / (norms[last] * norms[others])
        return np.asarray(np.sqrt(np.maximum(1 - share, 0)).sum(1))

    for step in range(1, count):
        last = int(order[step - 1])
        used[last] = _NEVER
        np.maximum(bounds[last], used, out=row)
        nearest = distances(last, np.array([row.argmin()]))[0]
        candidates = np.flatnonzero(row <= np.uint16(nearest * _STEPS_PER_UNIT))
        exact = distances(last, candidates)
        equals = candidates[exact == exact.min()]
        chosen = int(equals[place[equals].argmin()])
        other, free = int(order[step]), int(place[chosen])
        order[[step, free]], place[[chosen, other]] = (chosen, other), (step, free)
        if step % _TELL_EVERY == 0:
            job.check()
            job.progress(done + step, total or count, "chaining faces")
    return [int(index) for index in order]


def _lower_bounds(roots: Float64[np.ndarray, "n 3 256"], job: Job) -> UInt16[np.ndarray, "n n"]:
    """Distances between all pairs in 16 bits, rounded down by more than float32 may be wrong.

    The sum of roots of products is a product of matrices, which the processor does best.
    """
    count = len(roots)
    channels = [np.ascontiguousarray(roots[:, c], np.float32) for c in range(3)]
    bounds = np.empty((count, count), np.uint16)
    starts = range(0, count, _TILE)

    def tile(corner: tuple[int, int]) -> None:
        top, left = corner
        rows, columns = slice(top, top + _TILE), slice(left, left + _TILE)
        total: Float32[np.ndarray, "r c"] | None = None
        for channel in channels:
            part = channel[rows] @ channel[columns].T
            np.subtract(np.float32(1 - _PRODUCT_ERROR), part, out=part)
            np.maximum(part, 0, out=part)
            np.sqrt(part, out=part)
            total = part if total is None else np.add(total, part, out=total)
        if total is not None:
            total *= np.float32(_STEPS_PER_UNIT)
            bounds[rows, columns] = total
            bounds[columns, rows] = bounds[rows, columns].T

    corners = [(top, left) for top in starts for left in starts if left >= top]
    for _ in job.map(tile, corners, total=len(corners), message="comparing histograms"):
        pass
    return bounds


def dissimilarity(grey: UInt32[np.ndarray, "n 256"], job: Job | None = None) -> Scores:
    """How different each grey histogram is from all others: the sum of Bhattacharyya distances."""
    count = len(grey)
    sums = grey.sum(1, dtype=np.float64)
    roots = np.sqrt(grey / np.where(sums > 0, sums, 1)[:, None])
    scores = np.zeros(count)
    for start in range(0, count, _TILE):
        rows = slice(start, start + _TILE)
        shares = roots[rows] @ roots.T
        shares[np.arange(shares.shape[0]), np.arange(count)[rows]] = 1  # nothing to itself
        scores[rows] = np.sqrt(np.maximum(1 - shares, 0)).sum(1)
        if job is not None:
            job.check()
            job.progress(min(start + _TILE, count), count, "comparing histograms")
    return scores


Thumbs = UInt8[np.ndarray, "n s s 3"]
Picture = UInt8[np.ndarray, "h w 3"]


def difference_chain(
    thumbs: Thumbs,
    residuals: Float64[np.ndarray, " n"],
    load: Callable[[int], Picture],
    job: Job,
    *,
    similar: bool = True,
) -> list[int]:
    """Indices of a chain by the sum of absolute differences of pictures of one size.

    Each is followed by the nearest that is left, or by the farthest. `residuals` are the sums of
    absolute differences between the pictures and their thumbs; `load` reads a picture, and is asked
    only for those that their thumbs leave in question.
    """
    count = len(thumbs)
    if not count:
        return []
    search = _Search(thumbs, residuals, load, similar=similar)
    order, left = [0], np.arange(1, count)
    while len(left):
        chosen = search.next_of(order[-1], left)
        order.append(chosen)
        left = left[left != chosen]
        if len(order) % _TELL_EVERY == 0:
            job.check()
            job.progress(len(order), count, "chaining faces")
    return order


class _Search:
    """Finds the nearest or farthest picture through two sizes of thumbs."""

    def __init__(
        self,
        thumbs: Thumbs,
        residuals: Float64[np.ndarray, " n"],
        load: Callable[[int], Picture],
        *,
        similar: bool,
    ) -> None:
        self._similar, self._residuals = similar, residuals
        first = load(0)
        self._pictures = Recent(load, max(_PICTURE_BYTES // first.nbytes, 2))
        count, side = thumbs.shape[:2]
        shrunk = min(first.shape[:2]) >= side  # else thumbs bound nothing and all are compared
        self._area = first.shape[0] * first.shape[1] / (side * side) if shrunk else 0.0
        self._fine = thumbs.reshape(count, -1)
        cells = thumbs.reshape(count, _COARSE, side // _COARSE, _COARSE, side // _COARSE, 3)
        self._coarse = cells.sum(axis=(2, 4), dtype=np.int32).reshape(count, -1)

    def next_of(self, last: int, left: Indices) -> int:
        """The one of `left` to follow `last`; the first of equals."""
        if not self._similar:
            return self._farthest(last, left)
        coarse = np.abs(self._coarse[left] - self._coarse[last]).sum(1)
        bounds = (coarse - self._fine.shape[1]) * self._area  # thumbs are rounded to whole levels
        best = self._distance(last, int(left[bounds.argmin()]))
        near = left[bounds <= best]
        return self._best(last, near, self._fine_distance(last, near) - self._slack())

    def _farthest(self, last: int, left: Indices) -> int:
        reach = self._fine_distance(last, left) + self._slack()
        reach += self._residuals[left] + self._residuals[last]
        return self._best(last, left, -reach)

    def _best(self, last: int, among: Indices, bounds: Float64[np.ndarray, " k"]) -> int:
        """The least distance (or most, negated) among those in order of their lower bounds."""
        sign = 1 if self._similar else -1
        best, chosen = np.inf, -1
        for at in np.argsort(bounds, kind="stable"):
            if bounds[at] > best:
                break
            index = int(among[at])
            found = sign * self._distance(last, index)
            if found < best or (found == best and index < chosen):
                best, chosen = found, index
        return chosen

    def _fine_distance(self, last: int, others: Indices) -> Float64[np.ndarray, " k"]:
        """Distance of thumbs in the units of pictures."""
        theirs, mine = self._fine[others], self._fine[last]
        apart = np.maximum(theirs, mine) - np.minimum(theirs, mine)
        return np.asarray(apart.sum(1, dtype=np.int64) * self._area, np.float64)

    def _slack(self) -> float:
        return float(self._fine.shape[1] * self._area)

    def _distance(self, first: int, second: int) -> float:
        return float(cv2.norm(self._pictures(first), self._pictures(second), cv2.NORM_L1))


class Recent:
    """Pictures read lately, so that the neighbours of a chain are not read at each step."""

    def __init__(self, load: Callable[[int], Picture], capacity: int) -> None:
        self._load, self._capacity = load, capacity
        self._kept: OrderedDict[int, Picture] = OrderedDict()

    def __call__(self, index: int) -> Picture:
        """The picture of a face."""
        if index in self._kept:
            self._kept.move_to_end(index)
        else:
            self._kept[index] = self._load(index)
            if len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return self._kept[index]
