"""Hulls, eyes and mouth against the predecessor's masks."""

from pathlib import Path

import numpy as np
import pytest

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
