"""Filters and measures of pictures under the names the field knows them by.

Pictures in, pictures or numbers out; knows nothing of faces or files. Source: reference section 18.
"""

from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32

from understudy.imaging.histograms import hist_match
from understudy.imaging.palette import reduce_colors
from understudy.imaging.sharpness import sharpness_cpbd
from understudy.types import Image

__all__ = [
    "bicubic_degrade",
    "hist_match",
    "median_denoise",
    "motion_blur",
    "pre_sharpen",
    "reduce_colors",
    "sharpen",
    "sharpness_cpbd",
]

SharpenMode = Literal["none", "box", "gaussian"]

_MEDIAN_PX = 5
_STEP = 10
"""By how much of their power repeated medians fall off from pass to pass."""
_SOFTEN_WHOLE, _DENOISE_WHOLE = 10.0, 100.0
"""What a median passes whole at; below, it is blended in."""


def motion_blur(image: Image, length: int, *, angle_deg: float) -> Image:
    """`image` smeared along a line of `length` pixels, counter-clockwise from the x axis."""
    if length < 2:
        return image
    return np.asarray(cv2.filter2D(image, -1, _line(length, angle_deg)))


def sharpen(image: Image, amount: float, *, mode: SharpenMode, kernel: int = 3) -> Image:
    """`image` sharper by `amount`, or softer where that is below 0; not clipped.

    Softening is by medians, whatever the mode; without a mode nothing is sharpened.
    """
    if amount < 0:
        return _medians(image, -amount, whole=_SOFTEN_WHOLE)
    if amount == 0 or mode == "none":
        return image
    side = kernel + 1 - kernel % 2
    if mode == "gaussian":
        blurred = cv2.GaussianBlur(image, (side, side), 0)
        return np.asarray(cv2.addWeighted(image, 1 + 0.5 * amount, blurred, -0.5 * amount, 0))
    blurred = cv2.blur(image, (side, side))
    return np.asarray(cv2.addWeighted(image, 1.0 + amount, blurred, -amount, 0))


def pre_sharpen(image: Image, power: float) -> Image:
    """`image` sharper by a twentieth of `power`, in 0..1: what the predictor is shown."""
    if power == 0:
        return image
    gain = 0.05 * power
    blurred = cv2.GaussianBlur(image, (0, 0), 1.0)
    return np.asarray(np.clip(cv2.addWeighted(image, 1 + gain, blurred, -gain, 0), 0, 1))


def median_denoise(image: Image, power: float) -> Image:
    """`image` without fine detail: repeated medians, the weaker the later; 500 is the strongest."""
    return _medians(image, power, whole=_DENOISE_WHOLE)


def bicubic_degrade(image: Image, power: float) -> Image:
    """`image` made smaller by `power` percent (of 101) and large again."""
    if power == 0:
        return image
    height, width = image.shape[:2]
    scale = 1 - power / 101
    small_wh = max(int(width * scale), 1), max(int(height * scale), 1)
    small = cv2.resize(image, small_wh, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))


def _line(length: int, angle_deg: float) -> Float32[np.ndarray, "n n"]:
    """Kernel of a line through the middle, its weights summing to 1."""
    kernel = np.zeros((length, length), np.float32)
    kernel[(length - 1) // 2] = 1
    middle = length / 2 - 0.5
    turn = cv2.getRotationMatrix2D((middle, middle), angle_deg, 1.0)
    turned = cv2.warpAffine(kernel, turn, (length, length))
    return np.asarray(turned / turned.sum(), np.float32)


def _medians(image: Image, power: float, *, whole: float) -> Image:
    result = image
    while power > 0:
        median = cv2.medianBlur(np.ascontiguousarray(result), _MEDIAN_PX)
        share = min(power / whole, 1.0)
        kept = np.float32(1 - share)
        result = median if share == 1.0 else result * kept + median * np.float32(share)
        power -= _STEP
    return np.asarray(result, np.float32)
