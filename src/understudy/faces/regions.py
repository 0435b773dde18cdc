"""Regions of a face drawn from its landmarks: the hull of the whole face, the eyes, the mouth.

Landmarks and a picture's shape in, masks out; knows nothing of networks or files. Source: reference
section 7; hulls are bit-exact, because masks of facesets made elsewhere have to fit.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from jaxtyping import Int

from understudy.faces.landmarks import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from understudy.types import Landmarks, Mask

_HULL_PARTS = (
    (*range(0, 9), 17),
    (*range(8, 17), 26),
    (*range(17, 20), 8),
    (*range(24, 27), 8),
    (*range(19, 25), 8),
    (*range(17, 22), 27, *range(31, 36), 8),
    (*range(22, 27), 27, *range(31, 36), 8),
    (*range(27, 31), *range(31, 36)),
)


def expand_brows(landmarks: Landmarks, factor: float = 1.0) -> Int[np.ndarray, "68 2"]:
    """Landmarks on whole pixels with the brows pushed up by `factor` of their height over the eyes.

    Coordinates are truncated towards zero before and after.
    """
    points = _truncate(landmarks)
    right_middle, left_middle = (points[36] + points[0]) // 2, (points[16] + points[45]) // 2
    right_quarter, left_quarter = (points[36] + right_middle) // 2, (points[45] + left_middle) // 2
    right_base = np.vstack([right_quarter, points[36:40]])
    left_base = np.vstack([points[42:46], left_quarter])
    expanded = points.copy()
    for brow, base in ((slice(17, 22), right_base), (slice(22, 27), left_base)):
        expanded[brow] = np.trunc(points[brow] + factor * 0.5 * (points[brow] - base))
    return expanded


def hull_mask(landmarks: Landmarks, shape_hw: tuple[int, int], brow_expand: float = 1.0) -> Mask:
    """Mask of the face inside jaw and raised brows, 0 or 1."""
    points = expand_brows(landmarks, brow_expand)
    return _fill_hulls(points, _HULL_PARTS, shape_hw)


def eyes_mask(landmarks: Landmarks, shape_hw: tuple[int, int]) -> Mask:
    """Soft mask of both eyes; its edge grows with the picture's height."""
    return _soften(_fill_hulls(_truncate(landmarks), (RIGHT_EYE, LEFT_EYE), shape_hw))


def mouth_mask(landmarks: Landmarks, shape_hw: tuple[int, int]) -> Mask:
    """Soft mask of the mouth inside the lips; its edge grows with the picture's height."""
    return _soften(_fill_hulls(_truncate(landmarks), (INNER_LIPS,), shape_hw))


def _truncate(landmarks: Landmarks) -> Int[np.ndarray, "68 2"]:
    return np.asarray(np.trunc(landmarks), np.int64)


def _fill_hulls(
    points: Int[np.ndarray, "68 2"], parts: Iterable[tuple[int, ...]], shape_hw: tuple[int, int]
) -> Mask:
    mask = np.zeros(shape_hw, np.float32)
    for part in parts:
        outline = cv2.convexHull(points[list(part)].astype(np.int32))
        cv2.fillConvexPoly(mask, outline, (1.0,))
    return mask


def _soften(mask: Mask) -> Mask:
    """The mask grown and blurred: only where it is not empty, the rest of a face stays as it is."""
    height = mask.shape[0]
    spread = height // 32
    blur = height // 16
    blur += 1 - blur % 2
    place = _around(mask, spread + blur)
    part = mask[place]
    if not part.size:
        return mask
    if spread > 0:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (spread, spread))
        part = np.asarray(cv2.dilate(part, kernel), np.float32)
    softened = np.zeros_like(mask)
    softened[place] = cv2.GaussianBlur(part, (blur, blur), 0)
    return softened


def _around(mask: Mask, margin: int) -> tuple[slice, slice]:
    """Rows and columns in which the mask is not zero, and a margin within the picture."""
    found = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    rows, columns = (
        slice(max(0, int(at[0]) - margin), int(at[-1]) + 1 + margin) if len(at) else slice(0, 0)
        for at in found
    )
    return rows, columns
