"""A face's masks averaged with those it has in the frames around.

Predicted faces of one track in, the one in the middle with steadier masks out. Each mask is laid
onto the middle one along the landmarks, so that the head may move, and counts only where the two
nearly agree: what passes before the face, or what opens and closes, is not smeared. Knows no
frames.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from understudy.imaging.geometry import Affine, transform_points
from understudy.merging.predict import PredictedFace
from understudy.types import Mask

_NEARLY = np.float32(0.15)
"""Masks that differ by this count three fifths as much as equal ones."""


def weight_of(apart: int, reach: int) -> float:
    """How far a frame counts that lies `apart` from the middle one; the middle one counts 1."""
    return 1.0 - abs(apart) / (reach + 1)


def with_steady_masks(
    face: PredictedFace, around: Sequence[tuple[float, PredictedFace]]
) -> PredictedFace:
    """`face` with each of its masks averaged with those of the faces `around`, each by its weight.

    Those without such a mask, or with one of another size, do not count.
    """

    def steady(mask: Mask, others: Sequence[Mask | None]) -> Mask:
        total, weights = mask.copy(), np.ones_like(mask)
        for (weight, other), theirs in zip(around, others, strict=True):
            if theirs is None or theirs.shape != mask.shape:
                continue
            matrix = _along_landmarks(other, face, len(mask))
            moved = cv2.warpAffine(
                theirs, matrix, mask.shape[::-1], borderMode=cv2.BORDER_REPLICATE
            )
            share = np.float32(weight) * np.exp(np.square((moved - mask) / _NEARLY) / -2)
            total += share * moved
            weights += share
        return np.asarray(np.clip(total / weights, 0, 1), np.float32)

    prediction = face.prediction._replace(
        mask=steady(face.prediction.mask, [o.prediction.mask for _, o in around]),
        dst_mask=steady(face.prediction.dst_mask, [o.prediction.dst_mask for _, o in around]),
    )
    painted = {
        side: steady(mask, [o.xseg_masks.get(side) for _, o in around])
        for side, mask in face.xseg_masks.items()
    }
    return replace(face, prediction=prediction, xseg_masks=painted)


def _along_landmarks(other: PredictedFace, face: PredictedFace, size: int) -> Affine:
    """Map from the square of `other` to that of `face`, fitted to all landmarks."""
    own, wanted = (
        transform_points(one.aligned.landmarks, one.aligned.matrix(size)) for one in (other, face)
    )
    found, *_ = np.linalg.lstsq(np.column_stack([own, np.ones(len(own))]), wanted, rcond=None)
    return np.asarray(found.T, np.float64)
