"""The polygon with the fewest corners that stays within a tolerance of an outline.

A closed outline of many points in, a few of these points out. Every point of the outline lies no
farther from the polygon than the tolerance; among polygons of as few corners, that of the least
squared distance is taken. Source: Imai and Iri, "Polygonal approximations of a curve", 1988, with
the cones of Chan and Chin, "Approximation of polygonal curves with minimum number of line segments
or minimum error", 1996.
"""

import numpy as np
from jaxtyping import Float, Float64, Int64

MAX_POINTS = 2000
"""Longer outlines are thinned first."""

_CORNER = 1e9  # costs more than all distances together


def simplify(outline: Float[np.ndarray, "n 2"], tolerance: float) -> Float64[np.ndarray, "m 2"]:
    """Corners of the closed polygon, at least three where the outline has as many points."""
    points = np.asarray(outline[:: -(-len(outline) // MAX_POINTS) or 1], np.float64)
    while len(points) > 3:
        corners = _fewest(points, tolerance)
        if len(corners) >= 3:
            return np.asarray(points[corners])
        tolerance /= 2
    return points


def _fewest(points: Float64[np.ndarray, "n 2"], tolerance: float) -> Int64[np.ndarray, " m"]:
    """Indices of the corners, along the outline."""
    count = len(points)
    costs = _costs(points, tolerance)
    first, num_starts = _window(costs)
    costs = np.roll(costs, -first, 0)
    columns = np.arange(num_starts)
    # best[j, s]: least cost from start s to the point j, counted on through a second round.
    best = np.full((count + num_starts, num_starts), np.inf)
    came = np.zeros(best.shape, np.int64)
    best[columns, columns] = 0
    for j in range(1, len(best)):
        lengths = np.arange(1, min(costs.shape[1] - 1, j) + 1)
        usable = lengths[np.isfinite(costs[(j - lengths) % count, lengths])]
        through = best[j - usable] + costs[(j - usable) % count, usable][:, None]
        which = through.argmin(0)
        cost = through[which, columns]
        better = cost < best[j]
        best[j, better], came[j, better] = cost[better], usable[which[better]]
    chosen = int(best[columns + count, columns].argmin())
    corners, j = [], chosen + count
    while j > chosen:
        j -= int(came[j, chosen])
        corners.append((j + first) % count)
    return np.array(corners[::-1], np.int64)


def _costs(points: Float64[np.ndarray, "n 2"], tolerance: float) -> Float64[np.ndarray, "n l"]:
    """Cost of an edge from each point over so many steps; endless where it strays too far."""
    count = len(points)
    squares = _SquaredDistances(points)
    low, high = np.full(count, -np.inf), np.full(count, np.inf)
    toward, farthest = np.full(count, np.nan), np.zeros(count)
    alive = np.ones(count, bool)
    columns = [np.full(count, np.inf)]
    for length in range(1, count + 1):
        offset = np.roll(points, -length, 0) - points
        distance = np.hypot(offset[:, 0], offset[:, 1])
        angle = np.arctan2(offset[:, 1], offset[:, 0])
        toward = np.where(np.isnan(toward) & (distance > tolerance), angle, toward)
        turned = np.where(np.isnan(toward), 0.0, (angle - toward + np.pi) % (2 * np.pi) - np.pi)
        farthest = np.maximum(farthest, distance)
        straight = (low - 1e-9 <= turned) & (turned <= high + 1e-9)
        fits = alive & straight & (farthest <= distance)
        columns.append(np.where(fits, _CORNER + squares.of_edges(length), np.inf))
        far = distance > tolerance
        spread = np.arcsin(np.minimum(tolerance / np.maximum(distance, 1e-12), 1.0))
        low = np.where(far, np.maximum(low, turned - spread), low)
        high = np.where(far, np.minimum(high, turned + spread), high)
        alive &= low <= high
        if not alive.any():
            break
    return np.stack(columns, 1)


def _window(costs: Float64[np.ndarray, "n l"]) -> tuple[int, int]:
    """First and number of neighbouring points of which each polygon has one as a corner."""
    count, steps = costs.shape
    reach = np.where(np.isfinite(costs), np.arange(steps), 0).max(1)
    # How far beyond a point an edge ends that passes over it.
    beyond = np.zeros(count, np.int64)
    for back in range(1, steps):
        beyond = np.maximum(beyond, np.roll(reach, back) - back)
    first = int(beyond.argmin())
    return first, min(int(beyond[first]), count - 1) + 1


class _SquaredDistances:
    """Summed squared distances of an outline's points from the lines of its edges."""

    def __init__(self, points: Float64[np.ndarray, "n 2"]) -> None:
        self._points = points
        x, y = np.concatenate([points, points, points[:1]]).T
        moments = np.stack([x, y, x * x, x * y, y * y], 1)
        self._sums = np.concatenate([np.zeros((1, 5)), np.cumsum(moments, 0)])

    def of_edges(self, length: int) -> Float64[np.ndarray, " n"]:
        """One sum for the edge of that many steps from each point."""
        count = len(self._points)
        start, end = self._points, np.roll(self._points, -length, 0)
        number = length + 1
        sx, sy, sxx, sxy, syy = (self._sums[number : number + count] - self._sums[:count]).T
        dx, dy = (end - start).T
        px, py = start.T
        xx = sxx - 2 * px * sx + number * px * px
        xy = sxy - px * sy - py * sx + number * px * py
        yy = syy - 2 * py * sy + number * py * py
        squared = dx * dx + dy * dy
        total = dy * dy * xx - 2 * dx * dy * xy + dx * dx * yy
        return np.asarray(np.maximum(total, 0) / np.maximum(squared, 1e-12))
