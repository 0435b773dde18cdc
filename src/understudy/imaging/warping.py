"""Smooth warps that take points to given places. Points in, shifts out; no pictures, no state.

Source: Bookstein, "Principal warps: thin-plate splines and the decomposition of deformations",
1989; the ridge after Wahba, "Spline models for observational data", 1990.
"""

import numpy as np
from jaxtyping import Float

_NOTHING = 1e-12


def thin_plate_shifts(
    points: Float[np.ndarray, "n 2"],
    shifts: Float[np.ndarray, "n 2"],
    at: Float[np.ndarray, "m 2"],
    *,
    ridge: float = 0.0,
) -> Float[np.ndarray, "m 2"]:
    """Shifts at the places `at` of the smoothest warp that moves `points` by `shifts`.

    `ridge` above 0 lets points miss their places for smoothness; its unit is the squared unit of
    the points.

    Raises:
        ValueError: fewer than three points, or all of them on one line.
    """
    count = len(points)
    if count < 3 or np.linalg.matrix_rank(points - points.mean(0)) < 2:
        raise ValueError("a warp of the plane needs three points that are not on one line")
    affine = np.hstack([np.ones((count, 1)), points])
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _bending(points, points) + ridge * np.eye(count)
    system[:count, count:] = affine
    system[count:, :count] = affine.T
    weights = np.linalg.solve(system, np.vstack([shifts, np.zeros((3, 2))]))
    there = np.hstack([_bending(at, points), np.ones((len(at), 1)), at])
    return np.asarray(there @ weights)


def _bending(
    one: Float[np.ndarray, "a 2"], other: Float[np.ndarray, "b 2"]
) -> Float[np.ndarray, "a b"]:
    """r^2 log r of the distances."""
    squared = ((one[:, None] - other[None]) ** 2).sum(-1)
    return np.asarray(0.5 * squared * np.log(squared + _NOTHING))
