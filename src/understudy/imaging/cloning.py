"""Seamless cloning: one picture's detail in another's light, in any depth.

Two pictures of one size and a mask in, one picture out; no files, no state. The difference of the
two is made to vanish towards the rim with as little change of its detail inside the mask as can be:
a Poisson equation over the rectangle, solved by sine transforms. Only the smooth part that is taken
off is worked out, on a smaller grid; detail is never resampled. Source: Perez, Gangnet and Blake,
"Poisson image editing", 2003.
"""

import math

import cv2
import numpy as np
from jaxtyping import Float32
from scipy.fft import dstn, idstn

Levels = Float32[np.ndarray, "h w 3"]
Mask = Float32[np.ndarray, "h w"]

_LARGEST = 160
_SMALLEST = 3
_INSIDE = 0.5
_TOO_FAR = 1e-3


def clone_seamless(face: Levels, plate: Levels, mask: Mask) -> Levels:
    """`face` in the light of `plate` where `mask` is set; elsewhere nothing to go by."""
    height, width = mask.shape
    factor = max(max(height, width) / _LARGEST, 1.0)
    small_wh = max(round(width / factor), _SMALLEST), max(round(height / factor), _SMALLEST)
    small = cv2.resize(mask, small_wh, interpolation=cv2.INTER_AREA)
    inside = cv2.erode((small > _INSIDE).astype(np.float32), np.ones((3, 3), np.uint8))
    if not inside.any():
        return face
    difference = cv2.resize(face - plate, small_wh, interpolation=cv2.INTER_AREA)
    kept = _vanishing(difference, inside)
    taken = _carried_on((difference - kept) * inside[..., None], inside)
    return np.asarray(face - cv2.resize(taken, (width, height), interpolation=cv2.INTER_LINEAR))


def _vanishing(difference: Levels, inside: Mask) -> Levels:
    """What has the gradients of `difference` inside, none outside, and is 0 on the rim."""
    across, down = _gradients(difference)
    across *= np.minimum(inside[:, 1:], inside[:, :-1])[..., None]
    down *= np.minimum(inside[1:], inside[:-1])[..., None]
    divergence = np.zeros_like(difference)
    divergence[:, :-1] += across
    divergence[:, 1:] -= across
    divergence[:-1] += down
    divergence[1:] -= down
    inner = divergence[1:-1, 1:-1]
    height, width = inner.shape[:2]
    eigen = _eigenvalues(height)[:, None] + _eigenvalues(width)[None, :]
    waves = dstn(inner, type=1, axes=(0, 1)) / eigen[..., None]
    result = np.zeros_like(difference)
    result[1:-1, 1:-1] = idstn(waves, type=1, axes=(0, 1))
    return result


def _gradients(picture: Levels) -> tuple[np.ndarray, np.ndarray]:
    return np.diff(picture, axis=1), np.diff(picture, axis=0)


def _eigenvalues(count: int) -> Float32[np.ndarray, " n"]:
    """Of the second difference over `count` places between two that are 0."""
    angles = np.arange(1, count + 1, dtype=np.float32) * np.float32(math.pi / (count + 1))
    return np.asarray(2 * np.cos(angles) - 2, np.float32)


def _carried_on(values: Levels, inside: Mask) -> Levels:
    """`values` inside, and around what they are on the average nearby."""
    sigma = max(values.shape[0], values.shape[1]) / 40
    near = cv2.GaussianBlur(values, (0, 0), sigma)
    share = cv2.GaussianBlur(inside, (0, 0), sigma)[..., None]
    around = near / np.maximum(share, _TOO_FAR)
    return np.asarray(np.where(inside[..., None] > 0, values, around), np.float32)
