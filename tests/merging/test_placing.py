"""How far a face is to be moved to meet the plate's hair line, as its masks tell."""

import numpy as np
import pytest

from understudy.merging.placing import moved_mask, shift_to_hair_line, upper_edge
from understudy.types import Mask, Prediction

SIZE = 96


def _ellipse(top: float, size: int = SIZE) -> Mask:
    """A face-shaped mask, soft over a pixel, whose upper end lies at row `top`."""
    rows, columns = np.mgrid[0:size, 0:size] + 0.0
    bottom = 0.95 * size
    height, centre = (bottom - top) / 2, (bottom + top) / 2
    radius = np.hypot((columns - (size - 1) / 2) / (0.45 * size), (rows - centre) / height)
    return np.clip((1 - radius) * height + 0.5, 0, 1).astype(np.float32)


def _prediction(swap_top: float, plate_top: float) -> Prediction:
    face = np.zeros((SIZE, SIZE, 3), np.float32)
    return Prediction(face, _ellipse(swap_top), _ellipse(plate_top))


@pytest.mark.parametrize("gap", [-3.4, -1.0, 0.0, 0.7, 2.5])
def test_the_shift_is_the_distance_of_the_upper_edges(gap: float) -> None:
    shift = shift_to_hair_line([_prediction(20.0, 20.0 + gap)] * 3)
    assert shift == pytest.approx(100 * gap / SIZE, abs=0.15)


def test_a_moved_mask_meets_the_plates() -> None:
    rng = np.random.default_rng(1)
    predictions = [_prediction(24.0, 21.0 + rng.normal(0, 0.3)) for _ in range(9)]
    shift = shift_to_hair_line(predictions)
    assert shift is not None
    moved = moved_mask(predictions[0].mask, right=0.0, down=shift)
    assert upper_edge(moved) == pytest.approx(upper_edge(_ellipse(21.0)), abs=0.4)


def test_a_few_strange_faces_do_not_matter() -> None:
    predictions = [_prediction(25.0, 22.0)] * 5 + [_prediction(25.0, 50.0)] * 2
    assert shift_to_hair_line(predictions) == pytest.approx(-100 * 3.0 / SIZE, abs=0.2)


def test_masks_without_an_edge_place_nothing() -> None:
    full, empty = np.ones((SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE), np.float32)
    assert upper_edge(full) is None
    assert upper_edge(empty) is None
    face = np.zeros((SIZE, SIZE, 3), np.float32)
    assert shift_to_hair_line([Prediction(face, full, _ellipse(20.0))]) is None
    assert shift_to_hair_line([_prediction(10.0, 60.0)]) is None
    assert shift_to_hair_line([_prediction(25.0, 20.5)]) is None
    assert shift_to_hair_line([]) is None


def test_a_mask_moved_by_nothing_is_the_same() -> None:
    mask = _ellipse(20.0)
    assert moved_mask(mask, right=0.0, down=0.0) is mask
