"""Grain: how much fine noise a picture holds, and as much of it for another picture.

Pictures in, pictures out; no files, no state; random draws come from `rng`. Grain is what a slight
blur takes away, measured by medians, which edges hardly move. Source: the robust estimate after
Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

Levels = Float32[np.ndarray, "h w 3"]
Where = Bool[np.ndarray, "h w"]

_BLUR = 1.0
_SIZE = 0.6
"""Spread of a grain in pixels: film and compressed video hold none that is finer."""
_MAD_TO_SIGMA = 1.4826
_CLIP = 3.0
_FEW_PIXELS = 64
_LEAST = 1e-12


def match_grain(
    face: Levels, plate: Levels, where: Where, *, amount: float, rng: np.random.Generator
) -> Levels:
    """`face` with so much grain that it has the plate's `where` both show skin; never less.

    `amount` is the part of what is missing that is added, 0 to 1.
    """
    if amount == 0 or np.count_nonzero(where) < _FEW_PIXELS:
        return face
    missing = _covariance(_fine(plate)[where]) - _covariance(_fine(face)[where])
    values, vectors = np.linalg.eigh(missing)
    spread = vectors * np.sqrt(np.maximum(values, 0))
    noise = rng.standard_normal(face.shape, dtype=np.float32)
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), _SIZE))
    noise /= np.float32(max(float(_fine(noise).std()), _LEAST))
    added = noise @ spread.T.astype(np.float32)
    return np.asarray(face + np.float32(amount) * added)


def _fine(picture: Levels) -> Levels:
    return np.asarray(picture - cv2.GaussianBlur(picture, (0, 0), _BLUR))


def _covariance(fine: Float32[np.ndarray, "n 3"]) -> Float64[np.ndarray, "3 3"]:
    """Of the channels; spreads by medians, and correlations without what is far off."""
    spread = _MAD_TO_SIGMA * np.median(np.abs(fine), axis=0).astype(np.float64)
    spread = np.maximum(spread, _LEAST)
    scaled = np.clip(fine / spread, -_CLIP, _CLIP)
    together = scaled.T @ scaled
    own = np.sqrt(np.maximum(np.diag(together), _LEAST))
    return np.asarray(together / np.outer(own, own) * np.outer(spread, spread))
