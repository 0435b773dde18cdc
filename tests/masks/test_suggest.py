"""Suggested faces are the strange ones, the doubtful ones, and the same every time."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.masks.suggest import mask_uncertainty, suggest

NONE = np.full(9, np.nan)
LINE = np.stack([np.arange(9.0), np.zeros(9)], 1)


def labelled(*places: int, count: int = 9) -> np.ndarray:
    flags = np.zeros(count, bool)
    flags[list(places)] = True
    return flags


def test_the_farthest_from_all_labels_comes_first() -> None:
    assert suggest(LINE, labelled(0), NONE, 1) == [8]
    assert suggest(LINE, labelled(0), NONE, 3) == [8, 4, 2]
    assert suggest(LINE, labelled(0, 8), NONE, 1) == [4]


def test_without_labels_the_most_common_comes_first() -> None:
    assert suggest(LINE, labelled(), NONE, 3) == [4, 0, 8]


def test_doubt_decides_between_faces_as_far() -> None:
    for doubt in (np.full(9, 2.0), NONE):
        assert suggest(LINE, labelled(4), doubt, 1) == [0]
    doubt = NONE.copy()
    doubt[[0, 8]] = 0.1, 3.0
    assert suggest(LINE, labelled(4), doubt, 1) == [8]


def test_a_doubtful_twin_is_still_suggested() -> None:
    twins = np.zeros((4, 2))
    assert suggest(twins, labelled(0, count=4), np.array([0.0, 0.1, 5.0, 0.1]), 1) == [2]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 30), st.integers(0, 40))
def test_labels_are_never_suggested_and_none_twice(seed: int, faces: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    traits, flags = rng.normal(0, 1, (faces, 5)), rng.random(faces) < 0.3
    doubt = np.where(rng.random(faces) < 0.5, rng.random(faces), np.nan)
    found = suggest(traits, flags, doubt, count)
    assert len(found) == len(set(found)) == min(count, int((~flags).sum()))
    assert not flags[found].any()
    assert found == suggest(traits, flags, doubt, count)


def oval(size: int = 256) -> np.ndarray:
    middle, axes = (size // 2, size // 2), (int(size * 0.3), int(size * 0.4))
    return cv2.ellipse(np.zeros((size, size), np.float32), middle, axes, 0, 0, 360, 1.0, -1)


@pytest.mark.parametrize("size", [64, 256, 512])
def test_doubt_grows_with_what_is_wrong_with_a_mask(size: int) -> None:
    rng = np.random.default_rng(0)
    clean = oval(size)
    noise = cv2.resize(rng.random((40, 40)).astype(np.float32), (size, size))
    frayed = np.where(noise > 0.8, 1 - clean, clean).astype(np.float32)
    soft = cv2.GaussianBlur(clean, (0, 0), size / 40)
    empty = np.zeros((size, size), np.float32)
    doubts = [mask_uncertainty(mask) for mask in (clean, soft, frayed, empty)]
    assert 3 * doubts[0] < doubts[1] < doubts[2] < doubts[3]
    assert doubts[0] < 4
