"""Reading and laying parts: places exact at any scale, no aliasing, boxes wide enough."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from understudy.imaging.geometry import invert
from understudy.imaging.resample import Box, place_part, reach_of, read_part


def similarity(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    angle = np.radians(degrees)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, x], [sin, cos, y]])


def ramp(height: int, width: int) -> np.ndarray:
    """A picture whose channels are its own coordinates and their sum."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([columns, rows, columns + rows], axis=-1) / np.float32(1000)


@settings(max_examples=60, deadline=None)
@given(scale=st.floats(0.06, 3), degrees=st.floats(-180, 180))
@example(scale=0.08162769513928657, degrees=90.25)  # the rim of the part shows in the corners
def test_every_pixel_is_read_where_the_matrix_says(scale, degrees):
    size = 24
    centre = similarity(scale, degrees, 0, 0) @ (300.0, 260.0, 1.0)
    matrix = similarity(scale, degrees, size / 2 - centre[0], size / 2 - centre[1])
    read = read_part(ramp(520, 600), matrix, shape_hw=(size, size))
    rows, columns = np.mgrid[0:size, 0:size]
    inverse = invert(matrix)
    x = inverse[0, 0] * columns + inverse[0, 1] * rows + inverse[0, 2]
    y = inverse[1, 0] * columns + inverse[1, 1] * rows + inverse[1, 2]
    # A ramp survives any even softening; OpenCV's cubic bends one by 0.045 of a pixel it reads.
    tolerance = 0.05 / min(scale, 1)
    inside = (x > 40) & (x < 560) & (y > 40) & (y < 480)
    assert inside.any()
    assert np.abs(read[..., 0] * 1000 - x)[inside].max() < tolerance
    assert np.abs(read[..., 1] * 1000 - y)[inside].max() < tolerance


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("scale", [0.1, 0.3, 0.7, 2.0])
def test_a_part_over_the_rim_goes_on_with_it(dtype, scale):
    plate = np.full((60, 80, 3), 200 if dtype is not np.float32 else 0.75, dtype)
    for x, y in ((-30, -20), (500, 10), (5, 5)):
        read = read_part(plate, similarity(scale, 20, x, y), shape_hw=(32, 32))
        assert read.dtype == np.float32
        assert np.abs(read - plate[0, 0, 0]).max() < 0.01


def test_a_fine_pattern_becomes_grey_and_not_coarse():
    board = (np.indices((400, 400)).sum(axis=0) % 2).astype(np.float32)
    for scale in (0.15, 0.3, 0.45, 0.6):
        read = read_part(board, similarity(scale, 7, 3, 3), shape_hw=(40, 40))[8:-8, 8:-8]
        assert np.abs(read - 0.5).max() < 0.2


def test_softening_grows_evenly_with_the_scale():
    """No jump where a whole factor is crossed: the film would pump when a face comes nearer."""
    rng = np.random.default_rng(0)
    grain = rng.normal(0.5, 0.1, (800, 800)).astype(np.float32)
    scales = np.linspace(0.2, 0.99, 60)
    spreads = [
        read_part(grain, similarity(float(s), 0, 0, 0), shape_hw=(150, 150))[4:, 4:].std()
        for s in scales
    ]
    assert np.abs(np.diff(spreads)).max() < 0.012


@settings(max_examples=40, deadline=None)
@given(
    scale=st.floats(0.2, 4),
    degrees=st.floats(-180, 180),
    x=st.floats(60, 140),
    y=st.floats(60, 140),
)
def test_a_box_holds_all_that_is_laid(scale, degrees, x, y):
    matrix = similarity(scale, degrees, x, y)
    patch = np.zeros((20, 20), np.float32)
    patch[3:17, 5:12] = 1
    canvas = (400, 400)
    box = reach_of(Box(5, 3, 12, 17), matrix).clipped(canvas)
    whole = place_part(patch, matrix, Box(0, 0, 400, 400))
    part = place_part(patch, matrix, box)
    outside = whole.copy()
    outside[box.slices] = 0
    assert np.abs(outside).max() < 1 / 255
    assert np.abs(whole[box.slices] - part).max() < 1e-3


def test_boxes_are_clipped_to_nothing_outside():
    assert Box(-50, 10, -20, 40).clipped((100, 100)).empty
    assert Box(90, 90, 120, 130).clipped((100, 100)) == Box(90, 90, 100, 100)
