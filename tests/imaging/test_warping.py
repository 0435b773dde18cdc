"""Thin-plate warps: points end where they should, and what lies between moves smoothly."""

import numpy as np
import pytest

from understudy.imaging.geometry import transform_points
from understudy.imaging.warping import thin_plate_shifts

RNG = np.random.default_rng(4)
POINTS = RNG.uniform(0, 1, (20, 2))
ELSEWHERE = RNG.uniform(-0.2, 1.2, (50, 2))


def test_points_move_as_told() -> None:
    shifts = RNG.normal(0, 0.05, POINTS.shape)
    assert thin_plate_shifts(POINTS, shifts, POINTS) == pytest.approx(shifts, abs=1e-9)


def test_an_affine_map_is_found_everywhere() -> None:
    matrix = np.array([[1.1, 0.2, -0.3], [-0.1, 0.9, 0.4]])
    shifts = transform_points(POINTS, matrix) - POINTS
    found = thin_plate_shifts(POINTS, shifts, ELSEWHERE, ridge=1e-2)
    assert found == pytest.approx(transform_points(ELSEWHERE, matrix) - ELSEWHERE, abs=1e-9)


def test_a_ridge_trades_fit_for_smoothness() -> None:
    shifts = RNG.normal(0, 0.05, POINTS.shape)
    errors = [
        np.abs(thin_plate_shifts(POINTS, shifts, POINTS, ridge=ridge) - shifts).mean()
        for ridge in (0.0, 1e-3, 1e-1)
    ]
    assert errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize("points", [POINTS[:2], np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])])
def test_points_on_a_line_are_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="three points that are not on one line"):
        thin_plate_shifts(points, points, points)
