"""Masks averaged over the frames around."""

import numpy as np

from made_plate import Model, disc, landmarks_at, plate_of, tinted
from understudy.merging.over_time import weight_of, with_steady_masks
from understudy.merging.predict import PredictedFace, predict_face
from understudy.merging.settings import MergeSettings


def seen_at(x: float, change: np.ndarray | float, degrees: float = 0.0) -> PredictedFace:
    model = Model(tinted, lambda size: np.clip(disc(size) * 0.8 + change, 0, 1).astype(np.float32))
    landmarks = landmarks_at(x, 60, 50, degrees)
    return predict_face(plate_of((121, 163)), landmarks, model, MergeSettings())


def test_a_trembling_mask_gets_steadier() -> None:
    around = [(weight_of(k, 2), seen_at(80 + k, 0.02 * (-1) ** k, 5.0 * k)) for k in (-2, -1, 1, 2)]
    face = seen_at(80, 0.02)
    steady = with_steady_masks(face, around)
    truth = seen_at(80, 0.0).prediction.mask
    inside = disc(len(truth)) >= 1
    off = [np.abs(one.prediction.mask - truth)[inside].mean() for one in (face, steady)]
    assert off[1] < 0.5 * off[0]
    assert steady.prediction.face is face.prediction.face


def test_what_passes_before_the_face_is_not_smeared() -> None:
    hand = np.zeros((64, 64), np.float32)
    hand[20:40, 20:40] = -1
    around = [(weight_of(k, 2), seen_at(80, 0.0)) for k in (-2, -1, 1, 2)]
    face = seen_at(80, hand)
    steady = with_steady_masks(face, around)
    assert np.abs(steady.prediction.mask - face.prediction.mask).max() < 0.01
    passed = with_steady_masks(seen_at(80, 0.0), [(0.5, face)])
    assert passed.prediction.mask[30, 30] > 0.79
