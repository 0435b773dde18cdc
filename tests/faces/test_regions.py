"""Hulls, eyes and mouth against the predecessor's masks."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.faces.landmarks import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from understudy.faces.regions import expand_brows, eyes_mask, hull_mask, mouth_mask


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "golden/imaging/masks.npz") as arrays:
        return dict(arrays)


def test_masks_are_the_predecessors(golden: dict[str, np.ndarray]) -> None:
    for case in golden["cases"]:
        size = int(str(case).split("_")[0])
        landmarks = golden[f"{case}/lmrks"]
        for name, brow in (("hull_e1", 1.0), ("hull_e2", 2.0)):
            expected = np.unpackbits(golden[f"{case}/{name}"])[: size * size].reshape(size, size)
            np.testing.assert_array_equal(hull_mask(landmarks, (size, size), brow), expected)
        for name, region in (("eyes", eyes_mask), ("mouth", mouth_mask)):
            soft = region(landmarks, (size, size))
            np.testing.assert_allclose(soft, golden[f"{case}/{name}"], atol=1e-5)


def test_brows_are_raised_like_the_predecessors(shared: Path) -> None:
    with np.load(shared / "golden/imaging/transforms.npz") as golden:
        for face, landmarks in enumerate(golden["landmarks"]):
            for m, factor in enumerate(golden["eyebrow_mods"]):
                raised = expand_brows(landmarks, float(factor))
                np.testing.assert_array_equal(raised, golden["eyebrows_expanded"][face, m])


def test_a_face_outside_the_picture_gives_an_empty_mask(golden: dict[str, np.ndarray]) -> None:
    landmarks = golden[f"{golden['cases'][0]}/lmrks"] + 5000
    for region in (hull_mask, eyes_mask, mouth_mask):
        mask = region(landmarks, (20, 31))
        assert mask.shape == (20, 31) and mask.dtype == np.float32 and not mask.any()


@pytest.mark.parametrize("shift", [0.0, -180.0, 180.0, 900.0])
def test_soft_regions_are_those_of_the_whole_picture(shift: float) -> None:
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    points = np.stack([256 + shift + 90 * np.cos(angles), 256 + 60 * np.sin(angles)], 1)
    for made, parts in (
        (eyes_mask(points, (512, 512)), (LEFT_EYE, RIGHT_EYE)),
        (mouth_mask(points, (512, 512)), (INNER_LIPS,)),
    ):
        plain = np.zeros((512, 512), np.float32)
        for part in parts:
            hull = cv2.convexHull(np.trunc(points[list(part)]).astype(np.int32))
            cv2.fillConvexPoly(plain, hull, (1.0,))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (16, 16))
        wanted = cv2.GaussianBlur(cv2.dilate(plain, kernel), (33, 33), 0)
        np.testing.assert_allclose(made, wanted, atol=1e-6)
        assert made.max() > 0.5 or shift == 900.0
