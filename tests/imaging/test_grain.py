"""Grain of one picture measured and given to another."""

import cv2
import numpy as np
import pytest

from understudy.imaging.grain import match_grain

SIZE = 200
WHERE = np.ones((SIZE, SIZE), np.bool_)


def smooth() -> np.ndarray:
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] / 40
    waves = np.stack([np.sin(rows), np.cos(columns), np.sin(rows + columns)], axis=-1)
    return (120 + 40 * waves).astype(np.float32)


def grain(spread: float, *, colored: bool = True) -> np.ndarray:
    rng = np.random.default_rng(1)
    drawn = rng.normal(0, spread, (SIZE, SIZE, 3 if colored else 1))
    return np.broadcast_to(drawn, (SIZE, SIZE, 3)).astype(np.float32)


def fine(picture: np.ndarray) -> np.ndarray:
    return picture - cv2.GaussianBlur(picture, (0, 0), 1.0)


@pytest.mark.parametrize("spread", [1.0, 4.0, 9.0])
def test_the_face_gets_as_much_as_the_plate_has(spread):
    plate = smooth() + grain(spread)
    made = match_grain(smooth(), plate, WHERE, amount=1.0, rng=np.random.default_rng(2))
    assert fine(made).std() == pytest.approx(fine(plate).std(), rel=0.1)
    half = match_grain(smooth(), plate, WHERE, amount=0.5, rng=np.random.default_rng(2))
    assert fine(half).std() == pytest.approx(fine(plate).std() / 2, rel=0.15)


def test_grey_grain_stays_grey():
    plate = smooth() + grain(5.0, colored=False)
    made = match_grain(smooth(), plate, WHERE, amount=1.0, rng=np.random.default_rng(2))
    added = made - smooth()
    assert np.corrcoef(added[..., 0].ravel(), added[..., 2].ravel())[0, 1] > 0.95


def test_a_face_with_grain_enough_gets_none():
    face = smooth() + grain(6.0)
    made = match_grain(face, smooth() + grain(2.0), WHERE, amount=1.0, rng=np.random.default_rng(2))
    assert np.abs(made - face).max() < 0.5


def test_draws_repeat_and_nothing_is_drawn_without_an_amount():
    plate = smooth() + grain(4.0)
    made = [
        match_grain(smooth(), plate, WHERE, amount=1.0, rng=np.random.default_rng(3))
        for _ in range(2)
    ]
    assert np.array_equal(made[0], made[1])
    assert np.array_equal(
        match_grain(smooth(), plate, WHERE, amount=0.0, rng=np.random.default_rng(3)), smooth()
    )
