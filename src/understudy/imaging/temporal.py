"""Noise averaged away over time: what does not move with the picture goes, what does stays.

A few pictures of one shot in, the middle one out with less noise. Each neighbour is laid onto it
along the optical flow and counts where it then agrees. Nothing is blurred within a picture. Knows
nothing of files.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8, UInt16

from understudy.imaging.resample import Levels

Pixels = UInt8[np.ndarray, "h w 3"] | UInt16[np.ndarray, "h w 3"]

RADIUS = 2
"""Neighbours looked at on either side."""

_PATCH = (7, 7)
_SHARPNESS = 2.0  # how suddenly a neighbour stops counting where it disagrees


def denoise_middle(pictures: Sequence[Pixels], middle: int, *, strength: float) -> Pixels:
    """`pictures[middle]` averaged with the others where they agree with it.

    `strength` is the noise, in 8-bit levels, that is taken for noise: larger differences are taken
    for detail or movement and stay.
    """
    center = pictures[middle]
    peak = float(np.iinfo(center.dtype).max)
    gray = _gray(center)
    total = center.astype(np.float32)
    weight = np.ones(center.shape[:2], np.float32)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    limit = strength * peak / 255
    for index, other in enumerate(pictures):
        if index == middle:
            continue
        start = np.zeros((*gray.shape, 2), np.float32)
        moved = _follow(other, np.asarray(flow.calc(gray, _gray(other), start), np.float32))
        share = _agreement(moved, center, limit)
        total += moved * share[..., None]
        weight += share
    mean = np.clip(total / weight[..., None], 0, peak)
    return np.asarray(np.rint(mean), center.dtype)


def _gray(picture: Pixels) -> UInt8[np.ndarray, "h w"]:
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    scale = 255 / float(np.iinfo(picture.dtype).max)
    return np.asarray(cv2.convertScaleAbs(gray, alpha=scale), np.uint8)


def _follow(picture: Pixels, flow: Levels) -> Levels:
    """`picture` as it would look where its pixels were a moment before."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(
        cv2.remap(
            picture.astype(np.float32),
            x + flow[..., 0],
            y + flow[..., 1],
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def _agreement(moved: Levels, center: Pixels, limit: float) -> Levels:
    """How far a neighbour counts, 0 to 1, by its difference in the patch around each pixel.

    Of two noisy pictures the squared difference is twice the noise's; that much still counts whole.
    """
    squares = np.square(moved - center).mean(axis=-1)
    patch = np.asarray(cv2.boxFilter(squares, -1, _PATCH, borderType=cv2.BORDER_REPLICATE))
    excess = np.maximum(patch / (2 * limit * limit) - 1.0, 0.0)
    return np.asarray(np.exp(-_SHARPNESS * excess), np.float32)
