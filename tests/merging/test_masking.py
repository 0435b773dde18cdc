"""Mask modes and shaping: the quick shaping against DFL's large one, evenness, the soft rim."""

from itertools import pairwise

import numpy as np
import pytest

from understudy.merging.masking import (
    MASK_MODES,
    MaskSources,
    shape_mask,
    shape_mask_dfl,
    without_floor,
)
from understudy.types import Prediction


def disc(size: int, radius: float, x: float = 0.5, y: float = 0.5) -> np.ndarray:
    rows, columns = np.mgrid[0:size, 0:size] + 0.5
    distance = np.hypot(rows - y * size, columns - x * size)
    return np.clip(radius * size - distance + 0.5, 0, 1).astype(np.float32)


def at_four_times(mask: np.ndarray, size: int) -> np.ndarray:
    rows = (np.arange(4 * size) + 0.5) * len(mask) / (4 * size) - 0.5
    nearest = np.clip(np.rint(rows).astype(int), 0, len(mask) - 1)
    return mask[nearest][:, nearest]


@pytest.mark.parametrize("size", [64, 96, 224])
@pytest.mark.parametrize(
    ("erode", "blur"), [(0, 0), (24, 0), (-30, 0), (0, 60), (30, 61), (-20, 100), (60, 20), (1, 1)]
)
def test_the_quick_shaping_looks_like_the_large_one(size, erode, blur):
    large = shape_mask_dfl(disc(4 * size, 0.3), erode=erode, blur=blur)
    shaped = shape_mask(disc(size, 0.3), erode=float(erode), blur=float(blur))
    quick = at_four_times(shaped, size)
    # The edge may lie half a pixel of the model away, no more: a ring of 2 pi 0.3 x 0.5 / size.
    assert np.abs(quick - large).mean() < 0.94 / size
    assert quick.sum() == pytest.approx(large.sum(), rel=0.02)


def test_shaping_moves_evenly_with_its_controls():
    mask = disc(128, 0.3)
    for name in ("erode", "blur"):
        values = {"erode": 10.0, "blur": 40.0}
        areas = []
        for step in range(40):
            values[name] = 20.0 + 0.5 * step
            shaped = shape_mask(mask, erode=values["erode"], blur=values["blur"])
            areas.append(float((shaped > 0.2).sum()) if name == "blur" else float(shaped.sum()))
        steps = np.diff(areas)
        total = abs(areas[-1] - areas[0])
        assert np.abs(steps).max() < 0.08 * max(total, areas[0])


def test_erosion_takes_in_and_its_negative_lets_out():
    mask = disc(96, 0.3)
    areas = [shape_mask(mask, erode=e, blur=0.0).sum() for e in (-60.0, -20.0, 0.0, 20.0, 60.0)]
    assert all(a > b for a, b in pairwise(areas))


@pytest.mark.parametrize("size", [64, 256])
@pytest.mark.parametrize(("erode", "blur"), [(0.0, 0.0), (-100.0, 0.0), (0.0, 80.0), (-400.0, 5.0)])
def test_a_mask_that_fills_the_square_ends_softly(size, erode, blur):
    shaped = shape_mask(np.ones((size, size), np.float32), erode=erode, blur=blur)
    rim = np.concatenate([shaped[0], shaped[-1], shaped[:, 0], shaped[:, -1]])
    assert rim.max() < 0.1
    assert shaped[len(shaped) // 2, len(shaped) // 2] == pytest.approx(1, abs=1e-3)
    middle = shaped[len(shaped) // 2]
    assert np.abs(np.diff(middle)).max() < 0.6


@pytest.mark.parametrize(
    ("erode", "blur"), [(400.0, 0.0), (-400.0, 400.0), (0.0, 400.0), (400.0, 400.0)]
)
def test_extremes_stay_in_range(erode, blur):
    shaped = shape_mask(disc(32, 0.3), erode=erode, blur=blur)
    assert np.isfinite(shaped).all()
    assert 0 <= shaped.min() <= shaped.max() <= 1


def test_the_floor_of_a_sigmoid_is_taken_off():
    mask = np.array([[0.0, 0.001, 0.5, 0.999, 1.0]], np.float32)
    cleaned = without_floor(mask)
    assert cleaned[0, 0] == cleaned[0, 1] == 0
    assert cleaned[0, 3] == cleaned[0, 4] == 1
    assert cleaned[0, 2] == pytest.approx(0.5, abs=1e-6)


def test_modes_take_what_they_name():
    face = np.zeros((8, 8, 3), np.float32)
    predicted, plate = np.full((8, 8), 0.75, np.float32), np.full((8, 8), 0.5, np.float32)
    hull = np.full((8, 8), 0.125, np.float32)
    painted = {"prd": np.full((8, 8), 0.5, np.float32), "dst": np.full((8, 8), 0.25, np.float32)}
    sources = MaskSources(Prediction(face, predicted, plate), lambda: hull, painted.__getitem__)
    expected = {
        "full": 1.0,
        "dst": 0.125,
        "learned-prd": 0.75,
        "learned-dst": 0.5,
        "learned-prd*learned-dst": 0.375,
        "learned-prd+learned-dst": 1.0,
        "XSeg-prd": 0.5,
        "XSeg-dst": 0.25,
        "XSeg-prd*XSeg-dst": 0.125,
        "learned-prd*learned-dst*XSeg-prd*XSeg-dst": 0.046875,
    }
    assert {name: float(mode(sources)[3, 3]) for name, mode in MASK_MODES.items()} == expected
