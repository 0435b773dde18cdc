"""Weighted non-maximum suppression: many candidates of one face become one.

Detections of one frame in, fewer out. Each is the mean of the candidates that overlap the best one,
weighted by score, which is steadier from frame to frame than the best one alone.
Source: Bazarevsky et al., "BlazeFace", 2019 (the blending).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from understudy.faces.detectors.registry import Detection

_MIN_IOU = 0.3
_MIN_INSIDE = 0.7


def merge_overlapping(candidates: Sequence[Detection]) -> list[Detection]:
    """One detection per group of overlapping candidates, best score first."""
    left = sorted(candidates, key=lambda c: -c.score)
    merged = []
    while left:
        boxes = np.array([c.box for c in left])
        same = _overlap(boxes[0], boxes)
        same[0] = True
        merged.append(_mean([c for c, is_same in zip(left, same, strict=True) if is_same]))
        left = [c for c, is_same in zip(left, same, strict=True) if not is_same]
    return merged


def _overlap(box: Float[np.ndarray, "4"], boxes: Float[np.ndarray, "n 4"]) -> np.ndarray:
    """Which boxes show the same face: much in common, or one mostly inside the other."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)
    own = float(np.prod(np.clip(box[2:] - box[:2], 0, None)))
    smaller = np.maximum(np.minimum(areas, own), 1e-6)
    union = np.maximum(areas + own - common, 1e-6)
    return np.asarray((common / union > _MIN_IOU) | (common / smaller > _MIN_INSIDE))


def _mean(group: Sequence[Detection]) -> Detection:
    """Candidates close to the best one, averaged; those of another scale only fall away."""
    best = group[0]
    close = [c for c in group if 0.7 < c.size / best.size < 1.4]
    weights = np.array([c.score for c in close])
    weights /= weights.sum()
    points = np.stack([np.concatenate([np.reshape(c.box, (2, 2)), c.keypoints]) for c in close])
    mean = np.einsum("n,nkd->kd", weights, points)
    across = mean[3] - mean[2] if len(mean) > 3 else np.array([1.0, 0.0])
    return Detection(
        box=(*mean[0].tolist(), *mean[1].tolist()),
        score=best.score,
        keypoints=mean[2:].astype(np.float32),
        roll=float(np.arctan2(across[1], across[0])),
    )
