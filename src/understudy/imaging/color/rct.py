"""Colour transfer by mean and spread of each Lab channel. Two images in, one out; no state.

Source: Reinhard, Ashikhmin, Gooch and Shirley, "Color transfer between images", 2001; in CIE Lab
and with the masking of reference section 18.
"""

import cv2
import numpy as np

from understudy.imaging.color.methods import (
    COLOR_FITS,
    COLOR_TRANSFERS,
    ColorMap,
    PlateImage,
    blacken,
)
from understudy.types import Image, Mask

_LAB_LOW = np.array([0.0, -127.0, -127.0], np.float32)
_LAB_HIGH = np.array([100.0, 127.0, 127.0], np.float32)
_NOTHING = 1e-4
_FLAT = 1e-3
"""A channel that varies less than this (of 100) has no spread to scale; it is only shifted."""


@COLOR_FITS.register("rct")
def fit_rct(face: Image, plate: PlateImage) -> ColorMap:
    """Map that gives pixels like `face` the mean and spread of `plate` in each Lab channel."""
    face_mean, face_spread = _moments(face)
    plate_mean, plate_spread = _moments(plate)
    flat = face_spread < _FLAT
    gain = np.where(flat, 1.0, plate_spread / np.where(flat, 1.0, face_spread)).astype(np.float32)
    offset = (plate_mean - face_mean * gain).astype(np.float32)

    if np.abs(gain - 1).max() < _NOTHING and np.abs(offset).max() < _NOTHING:
        # To Lab and back alone costs up to half an 8-bit level.
        return lambda picture: picture

    change = np.hstack([np.diag(gain), offset[:, None]])

    def apply(picture: Image) -> Image:
        lab = cv2.cvtColor(picture, cv2.COLOR_RGB2Lab)
        moved = np.asarray(cv2.transform(lab, change))
        np.clip(moved, _LAB_LOW, _LAB_HIGH, out=moved)
        return np.asarray(cv2.cvtColor(moved, cv2.COLOR_Lab2RGB), np.float32)

    return apply


@COLOR_TRANSFERS.register("rct")
def transfer_rct(
    face: Image, plate: PlateImage, mask: Mask | None, rng: np.random.Generator | None
) -> Image:
    """`face` with mean and spread of `plate` in each Lab channel; not clipped."""
    return fit_rct(blacken(face, mask), blacken(plate, mask))(face)


def _moments(picture: Image) -> tuple[np.ndarray, np.ndarray]:
    lab = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2Lab).reshape(-1, 3)
    mean, spread = cv2.meanStdDev(lab.reshape(-1, 1, 3))
    return mean[:, 0], spread[:, 0]
