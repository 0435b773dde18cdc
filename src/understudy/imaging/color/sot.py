"""Colour transfer by sliced optimal transport, smoothed so that no grain is made.

Two pictures in, one out; the random directions come from `rng`; no files, no state. Along each
direction the darkest pixel of the face goes where the plate's darkest is, and so on; the means of
these movements, blurred over the picture, are what pixels move by. Source: Rabin, Peyre, Delon and
Bernot, "Wasserstein barycenter and its application to texture mixing", 2011; constants of reference
section 18.
"""

import cv2
import numpy as np
from jaxtyping import Float, Float32, Float64

from understudy.imaging.color.methods import COLOR_TRANSFERS, PlateImage
from understudy.types import Image, Mask

STEPS, BATCH, BATCH_MASKED = 10, 5, 30
_SIGMA_COLOR, SIGMA_SPACE = 5.0, 16.0

Directions = Float[np.ndarray, "steps batch 3"]


@COLOR_TRANSFERS.register("sot")
def transfer_sot(
    face: Image, plate: PlateImage, mask: Mask | None, rng: np.random.Generator | None
) -> Image:
    """`face` with the distribution of colours of the plate, in few directions; needs `rng`."""
    made = transport(face, plate, draw_directions(STEPS, rng, batch=BATCH))
    return np.asarray(np.clip(made, 0, 1), np.float32)


@COLOR_TRANSFERS.register("sot-m")
def transfer_sot_masked(
    face: Image, plate: PlateImage, mask: Mask | None, rng: np.random.Generator | None
) -> Image:
    """As sot in many directions, with both pictures multiplied by `mask` beforehand."""
    inside = np.float32(1) if mask is None else mask[..., None]
    directions = draw_directions(STEPS, rng, batch=BATCH_MASKED)
    made = transport(face * inside, plate * inside, directions)
    return np.asarray(np.clip(made, 0, 1), np.float32)


def draw_directions(
    steps: int, rng: np.random.Generator | None, *, batch: int
) -> Float64[np.ndarray, "steps batch 3"]:
    """Unit vectors, uniform over the sphere; fixed ones without an `rng`."""
    generator = np.random.default_rng(0) if rng is None else rng
    drawn = generator.normal(size=(steps, batch, 3))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=2, keepdims=True))


def transport(
    face: Image, plate: PlateImage, directions: Directions, *, smooth: bool = True
) -> Image:
    """`face` moved step by step; not clipped. Without `smooth` each pixel goes its own way."""
    still = plate.reshape(-1, 3).astype(np.float32)
    start = face.reshape(-1, 3).astype(np.float32)
    moving = start.copy()
    for batch in directions.astype(np.float32):
        change = np.zeros_like(moving)
        for direction in batch:
            along = moving @ direction
            order = np.argsort(along)
            wanted = _quantiles(np.sort(still @ direction), len(along))
            change[order] += (wanted - along[order])[:, None] * direction
        moving += change / np.float32(len(batch))
    moved = (moving - start).reshape(face.shape)
    if smooth:
        moved = np.asarray(cv2.bilateralFilter(moved, 0, _SIGMA_COLOR, SIGMA_SPACE))
    return np.asarray(face + moved, np.float32)


def _quantiles(ascending: Float32[np.ndarray, " m"], count: int) -> Float32[np.ndarray, " n"]:
    """`count` values spread as the ascending ones are."""
    if len(ascending) == count:
        return ascending
    at = (np.arange(count) + 0.5) * (len(ascending) / count) - 0.5
    return np.asarray(np.interp(at, np.arange(len(ascending)), ascending), np.float32)
