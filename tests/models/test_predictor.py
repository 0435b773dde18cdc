"""Callers from many threads get the answers to their own faces."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.predictor import FacePredictor

CONFIG = ModelConfig(resolution=64, ae_dims=16, e_dims=8, d_dims=8, d_mask_dims=4)


@pytest.fixture
def predictor() -> FacePredictor:
    torch.manual_seed(0)
    return FacePredictor(build(CONFIG), largest_batch=3)


def faces(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.random((64, 64, 3), dtype=np.float32) for _ in range(count)]


def test_batched_answers_equal_single_ones(predictor: FacePredictor) -> None:
    asked = faces(10)
    single = [predictor(face) for face in asked]
    with ThreadPoolExecutor(5) as pool:
        together = list(pool.map(predictor, asked))
    for one, other in zip(single, together, strict=True):
        assert one.face.shape == (64, 64, 3)
        assert one.mask.shape == one.dst_mask.shape == (64, 64)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
    assert np.abs(single[0].face - single[1].face).max() > 1e-4


def test_a_wrong_face_is_an_error_for_its_caller_only(predictor: FacePredictor) -> None:
    with pytest.raises(ValueError, match="64"):
        predictor(np.zeros((60, 60, 3), np.float32))
    assert predictor(faces(1)[0]).face.shape == (64, 64, 3)


def test_amp_goes_as_far_as_it_is_told() -> None:
    config = ModelConfig(
        kind="AMP", resolution=64, ae_dims=8, inter_dims=12, e_dims=4, d_dims=4, d_mask_dims=2
    )
    model, face = build(config, seed=1), faces(1)[0]
    none, half, whole = (FacePredictor(model, morph=m)(face).face for m in (0.0, 0.5, 1.0))
    assert 0 < np.abs(half - whole).max() < np.abs(none - whole).max() * 2
    again = FacePredictor(model)(face).face
    assert np.array_equal(again, whole)
    assert np.array_equal(FacePredictor(model).morphed(0.5)(face).face, half)
