"""Colour transfer of lightness by its mean and spread, and of colour by sliced optimal transport.

Two pictures in, one out, by way of 8-bit Lab; the random directions come from `rng`; no files, no
state. Source: constants of reference section 18.
"""

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from understudy.imaging.color import sot
from understudy.imaging.color.methods import COLOR_TRANSFERS, PlateImage
from understudy.types import Image, Mask

_RIDGE = 1e-5
_EVEN = 100
"""Lightness, of 255, that both pictures are given while their colours are moved."""

Levels = UInt8[np.ndarray, "h w 3"]
PlateLevels = UInt8[np.ndarray, "plate_h plate_w 3"]


@COLOR_TRANSFERS.register("mix")
def transfer_mix(
    face: Image, plate: PlateImage, mask: Mask | None, rng: np.random.Generator | None
) -> Image:
    """`face` with the plate's lightness and its distribution of colours; needs `rng`."""
    return mixed(face, plate, sot.draw_directions(sot.STEPS, rng, batch=sot.BATCH))


@COLOR_TRANSFERS.register("mix-m")
def transfer_mix_masked(
    face: Image, plate: PlateImage, mask: Mask | None, rng: np.random.Generator | None
) -> Image:
    """As mix, with both pictures multiplied by `mask` beforehand."""
    if mask is None:
        return transfer_mix(face, plate, mask, rng)
    inside = mask[..., None]
    return transfer_mix(face * inside, plate * inside, None, rng)


def mixed(face: Image, plate: PlateImage, directions: sot.Directions) -> Image:
    """`face` moved along `directions`, its lightness matched."""
    face_lab, plate_lab = _lab(face), _lab(plate)
    lightness = _as_light_as(face_lab[..., 0], plate_lab[..., 0])
    moved = sot.transport(_evenly_lit(face_lab), _evenly_lit(plate_lab), directions)
    levels = np.clip(moved, 0, 255).astype(np.uint8)
    result = np.asarray(cv2.cvtColor(levels, cv2.COLOR_RGB2Lab))
    result[..., 0] = lightness
    back = cv2.cvtColor(result, cv2.COLOR_Lab2RGB)
    return np.asarray(back.astype(np.float32) / np.float32(255))


def _lab(picture: PlateImage) -> PlateLevels:
    levels = np.clip(picture * np.float32(255), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(levels, cv2.COLOR_RGB2Lab))


def _as_light_as(
    face: UInt8[np.ndarray, "h w"], plate: UInt8[np.ndarray, "plate_h plate_w"]
) -> UInt8[np.ndarray, "h w"]:
    own, wanted = (part.astype(np.float32) / np.float32(255) for part in (face, plate))
    gain = np.sqrt((wanted.var() + _RIDGE) / (own.var() + _RIDGE))
    moved = (own - own.mean()) * gain + wanted.mean()
    return np.asarray(np.clip(moved, 0, 1) * np.float32(255)).astype(np.uint8)


def _evenly_lit(lab: PlateLevels) -> Float32[np.ndarray, "plate_h plate_w 3"]:
    """RGB levels of 0..255."""
    even = lab.copy()
    even[..., 0] = _EVEN
    return np.asarray(cv2.cvtColor(even, cv2.COLOR_Lab2RGB), np.float32)
