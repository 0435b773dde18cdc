"""Sharper faces without a network: blind deconvolution of a face's luminance.

A face in, its picture with finer detail out; no files, no weights. How blurred a face is, is
measured at its own sharpest edges, so that a sharp face stays as it is. Three things keep it from
ringing: noise is reckoned with, nothing finer than a pixel of the frame is raised (a small face
that was enlarged has no such detail, only the grid it was enlarged by), and no pixel leaves the
range of its neighbours by much. Source: Wiener's filter with a prior of natural pictures; Zhuo and
Sim, "Defocus map estimation from a single image", 2011 (blur from a ratio of gradients).
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float32

from understudy.faces.regions import hull_mask
from understudy.imaging.geometry import scale_of
from understudy.types import FaceSample, Image, Mask

ENHANCED_KEY = "understudy_enhanced"
"""Metadata key that names what a face was enhanced by; such a face is not enhanced again."""

_SHARP_SIGMA = 0.5
_LEAST_SIGMA = 0.25
_LARGEST_SIGMA = 6.0
_NOISE = 0.02
_FINEST = 0.6  # of a source pixel's reciprocal: a little above what it can hold
_ROLL_OFF = 3
_OVERSHOOT = 0.12
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Plane = Float32[np.ndarray, "h w"]


def deconvolve_face(sample: FaceSample, *, strength: float = 1.0) -> Image:
    """The picture of `sample` with its blur taken back; colour stays.

    `strength` 0 changes nothing, 1 takes back the blur that was measured, above exaggerates.
    """
    picture = sample.image
    shape_hw = picture.shape[0], picture.shape[1]
    face = hull_mask(sample.landmarks, shape_hw, sample.brow_expand)
    luma = np.asarray(picture @ _LUMA, np.float32)
    sigma = min(measured_blur(luma, face), _LARGEST_SIGMA)
    excess = float(np.sqrt(max(sigma**2 - _SHARP_SIGMA**2, 0.0)))
    if excess < _LEAST_SIGMA:
        return picture
    enlarged = 1.0 if sample.frame_to_face is None else scale_of(sample.frame_to_face)
    sharp = _without_ringing(deconvolve(luma, excess, enlarged=enlarged), luma, excess)
    finer = picture + np.float32(strength) * (sharp - luma)[..., None]
    return np.asarray(np.clip(finer, 0.0, 1.0), np.float32)


def enhanced(sample: FaceSample, load: Callable[[], Image], *, by: str) -> FaceSample:
    """`sample` with the picture that `load` makes, marked as enhanced `by` a method.

    It comes back as it is if it is marked already.
    """
    if ENHANCED_KEY in sample.extra:
        return sample
    return replace(sample, load=load, extra={**sample.extra, ENHANCED_KEY: by}, encoded=None)


def measured_blur(luma: Plane, face: Mask) -> float:
    """Standard deviation in pixels of the blur that the sharpest edges inside `face` show.

    0 where there is nothing to tell it by.
    """
    inside = cv2.erode(face, np.ones((9, 9), np.uint8)) > 0
    sigma = 0.0
    # A coarse second look suits a coarse blur: with a fine one it drowns in noise.
    for again, share, above in ((1.0, 25, 0.0), (1.5, 30, 0.9), (2.5, 35, 1.5)):
        if sigma >= above:
            sigma = _blur_at_edges(luma, inside, again=again, share=share)
    return sigma


def deconvolve(luma: Plane, sigma: float, *, enlarged: float = 1.0) -> Plane:
    """`luma` with a Gaussian blur of `sigma` pixels taken back as far as noise lets it.

    `enlarged` is how many pixels of the picture a pixel of its source became.
    """
    height, width = luma.shape
    # The transform takes even sides only, and continues the picture by reflection.
    even = cv2.copyMakeBorder(luma, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    along, across = (np.arange(side) / (2 * side) for side in even.shape)
    squared = along[:, None] ** 2 + across[None, :] ** 2  # cycles per pixel
    blur = np.exp(-2 * (np.pi * sigma) ** 2 * squared)
    gain = blur / (blur**2 + _NOISE * 4 * squared)
    if enlarged > 1.0:
        gain *= 1 / (1 + (squared * (enlarged / _FINEST) ** 2) ** _ROLL_OFF)
    result = cv2.idct(cv2.dct(even) * gain.astype(np.float32))
    return np.asarray(result[:height, :width], np.float32)


def _blur_at_edges(
    luma: Plane, inside: Float32[np.ndarray, "h w"] | np.ndarray, *, again: float, share: int
) -> float:
    """The blur below which `share` percent of the edges lie, by blurring them `again`."""
    steep, softer = _steepness(luma), _steepness(cv2.GaussianBlur(luma, (0, 0), again))
    if not inside.any():
        return 0.0
    crest = steep >= cv2.dilate(steep, np.ones((3, 3), np.uint8)) * np.float32(0.999)
    edges = inside & crest & (steep > np.quantile(steep[inside], 0.9))
    if not edges.any():
        return 0.0
    ratio = steep[edges] / np.maximum(softer[edges], 1e-6)
    return float(np.percentile(again / np.sqrt(np.maximum(ratio**2 - 1, 1e-3)), share))


def _steepness(luma: Plane) -> Plane:
    across = cv2.Sobel(luma, cv2.CV_32F, 1, 0, ksize=3)
    along = cv2.Sobel(luma, cv2.CV_32F, 0, 1, ksize=3)
    return np.asarray(np.hypot(across, along), np.float32)


def _without_ringing(sharp: Plane, luma: Plane, sigma: float) -> Plane:
    """`sharp` held near the range of each pixel's neighbours in `luma`."""
    side = 2 * max(1, round(1.2 * sigma)) + 1
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    low, high = cv2.erode(luma, near), cv2.dilate(luma, near)
    room = (high - low) * np.float32(_OVERSHOOT)
    return np.asarray(np.clip(sharp, low - room, high + room), np.float32)
