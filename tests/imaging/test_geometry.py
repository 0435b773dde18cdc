"""Similarity fits, affine maps and warps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.imaging.geometry import (
    compose,
    fit_similarity,
    invert,
    matrix_from_points,
    scale_of,
    transform_points,
    warp,
)

finite = st.floats(-100, 100)
maps = st.builds(
    lambda angle, scale, x, y: np.array(
        [
            [scale * np.cos(angle), -scale * np.sin(angle), x],
            [scale * np.sin(angle), scale * np.cos(angle), y],
        ]
    ),
    st.floats(-3, 3),
    st.floats(0.05, 20),
    finite,
    finite,
)


@given(maps, st.integers(0, 2**31))
def test_a_similarity_is_found_again(matrix: np.ndarray, seed: int) -> None:
    points = np.random.default_rng(seed).normal(0, 50, (12, 2))
    found = fit_similarity(points, transform_points(points, matrix))
    np.testing.assert_allclose(found, matrix, atol=1e-7)
    assert abs(scale_of(found) - scale_of(matrix)) < 1e-7


def test_a_mirrored_target_is_fitted_without_mirroring() -> None:
    points = np.random.default_rng(0).normal(0, 10, (20, 2))
    found = fit_similarity(points, points * [-1, 1])
    assert np.linalg.det(found[:, :2]) >= 0


def test_points_on_one_spot_give_a_shift() -> None:
    found = fit_similarity(np.full((5, 2), 3.0), np.full((5, 2), 7.0))
    np.testing.assert_array_equal(found, [[1, 0, 4], [0, 1, 4]])


@given(maps, maps, st.integers(0, 2**31))
def test_composed_and_inverted(first: np.ndarray, then: np.ndarray, seed: int) -> None:
    points = np.random.default_rng(seed).normal(0, 50, (6, 2))
    both = transform_points(transform_points(points, first), then)
    np.testing.assert_allclose(transform_points(points, compose(first, then)), both, atol=1e-6)
    back = transform_points(transform_points(points, first), invert(first))
    np.testing.assert_allclose(back, points, atol=1e-6)
    found = matrix_from_points(points[:3], transform_points(points[:3], first))
    np.testing.assert_allclose(transform_points(points[:3], found), both_of(points, first))


def both_of(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return transform_points(points[:3], matrix)


def test_a_flat_map_has_no_inverse() -> None:
    with pytest.raises(ValueError, match="inverted"):
        invert(np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]]))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "cubic", "lanczos", "area"])
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_a_whole_shift_moves_pixels_and_is_black_outside(
    interpolation: str, channels: tuple[int, ...]
) -> None:
    picture = np.random.default_rng(1).random((20, 30, *channels), np.float32)
    matrix = np.array([[1.0, 0, 3], [0, 1.0, -2]])
    moved = warp(picture, matrix, shape_hw=(24, 31), interpolation=interpolation)
    assert moved.shape == (24, 31, *channels) and moved.dtype == np.float32
    np.testing.assert_allclose(moved[4:14, 8:25], picture[6:16, 5:22], atol=1e-5)
    assert not moved[:, :1].any() and not moved[21:].any()


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([2, 3, 5]), st.integers(0, 2**31))
def test_area_is_the_mean_of_what_falls_on_a_pixel(factor: int, seed: int) -> None:
    picture = np.random.default_rng(seed).random((12 * factor, 12 * factor), np.float32)
    shift = -(factor - 1) / 2 / factor
    matrix = np.array([[1 / factor, 0, shift], [0, 1 / factor, shift]])
    small = warp(picture, matrix, shape_hw=(12, 12), interpolation="area")
    means = picture.reshape(12, factor, 12, factor).mean(axis=(1, 3))
    np.testing.assert_allclose(small, means, atol=1e-5)
