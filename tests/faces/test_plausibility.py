"""Landmarks of true heads are plausible however they are turned; slipped and torn ones are not."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.faces.landmarks import CANONICAL_INNER
from understudy.faces.plausibility import FAULTS, fault, upright_size


@pytest.fixture(scope="module")
def heads(shared: Path) -> list[np.ndarray]:
    exact = np.load(shared / "doubles" / "data" / "src_a.npz")
    return list(exact["landmarks68"][::10].astype(np.float64))


def box_of(points: np.ndarray) -> tuple[float, float, float, float]:
    centre, half = points[17:].mean(0), upright_size(points) / 2
    low, high = centre - half, centre + half
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def test_true_heads_pass(heads: list[np.ndarray]) -> None:
    assert [fault(box_of(points), points) for points in heads] == [None] * len(heads)


def test_slips_are_named(heads: list[np.ndarray]) -> None:
    points = heads[0]
    left, top, right, bottom = box_of(points)
    side = right - left
    assert fault((left + side, top, right + side, bottom), points) == "place"
    assert fault((left, top, left + side / 3, top + side / 3), points) == "size"
    assert fault((left - side, top - side, right + side, bottom + side), points) == "size"
    assert fault((left, top, right, bottom), np.full((68, 2), 3.0)) == "no points"
    assert fault((left, top, right, bottom), points * np.nan) == "no points"


def test_torn_points_are_no_head(heads: list[np.ndarray]) -> None:
    rng = np.random.default_rng(2)
    for points in heads:
        torn = points[rng.permutation(68)]
        assert fault(box_of(torn), torn) in FAULTS


@given(st.floats(-3.1, 3.1), st.floats(0.1, 50), st.floats(-500, 5000))
def test_roll_size_and_place_make_no_difference(turn: float, scale: float, shift: float) -> None:
    jaw = np.stack([np.linspace(0.0, 1.0, 17), 0.3 + 0.8 * np.sin(np.linspace(0, np.pi, 17))], 1)
    face = np.vstack([jaw, CANONICAL_INNER]).astype(np.float64)
    cos, sin = np.cos(turn) * scale * 100, np.sin(turn) * scale * 100
    moved = face @ np.array([[cos, sin], [-sin, cos]]) + shift
    assert upright_size(moved) == pytest.approx(scale * 100 * upright_size(face), rel=1e-6)
    assert fault(box_of(moved), moved) == fault(box_of(face), face) is None
