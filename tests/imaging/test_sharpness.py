"""Sharpness by CPBD: the field's scores, and what a score must do."""

import json
from pathlib import Path

import cv2
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings

from understudy.faces.regions import hull_mask
from understudy.facesets.dfl import read_face
from understudy.imaging.filters import sharpness_cpbd
from understudy.imaging.sharpness import BLOCK_PX, sharpness_of_levels


def test_golden_scores(shared: Path) -> None:
    """Equal but for the last digits of a quotient of counts."""
    golden = shared / "golden/imaging"
    rows = [r for r in json.loads((golden / "sort/scores.json").read_text()) if "blur" in r]
    assert len(rows) == 61
    for row in rows[::4]:
        face = read_face(golden / "faceset" / row["name"])
        image = face.image
        mask = hull_mask(face.landmarks, image.shape[:2], face.brow_expand)
        assert sharpness_cpbd(image, mask) == pytest.approx(row["blur"], abs=1e-9), row["name"]


def texture(seed: int, height: int = 192, width: int = 256) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.2)
    return np.clip(0.5 + 0.2 * soft / soft.std(), 0, 1).astype(np.float32)


def test_blurring_lowers_it() -> None:
    image = texture(0)
    before = image.copy()
    scores = [sharpness_cpbd(image)]
    scores += [sharpness_cpbd(cv2.GaussianBlur(image, (0, 0), sigma)) for sigma in (1, 2, 4)]
    assert scores == sorted(scores, reverse=True)
    assert 0.3 < scores[0] <= 1 and scores[-1] < 0.5 * scores[0]
    np.testing.assert_array_equal(image, before)


@given(top=st.integers(0, 90), left=st.integers(0, 150), seed=st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_blackness_around_changes_nothing(top: int, left: int, seed: int) -> None:
    """What is left out around the content must not show: all of it, without the cut, is equal."""
    assume(max(top, left) > 16)  # or the faint corner would touch the content's own edge
    content = (texture(seed, 90, 100) * 255).astype(np.uint8)[..., 1]
    picture = np.zeros((192, 256), np.uint8)
    picture[top : top + 90, left : left + 100] = content
    framed = picture.copy()
    framed[0, 0] = framed[-1, -1] = 1  # too faint for an edge; makes the content the whole picture
    assert sharpness_of_levels(picture) == sharpness_of_levels(framed)


def test_pictures_without_edges() -> None:
    assert sharpness_cpbd(np.zeros((256, 256, 3), np.float32)) == 0
    assert sharpness_cpbd(np.full((256, 256, 3), 0.5, np.float32)) == 0
    assert sharpness_cpbd(texture(1, BLOCK_PX - 1, 300)) == 0, "no complete block"
