"""Filters over the face before it is laid down: sharpness, degrading, motion; and over the plate.

Pictures in, pictures out; the face stays in its own square, so that nothing is resampled twice.
Source: reference section 17.4, steps 7 and 8.
"""

import numpy as np

from understudy.imaging.filters import (
    bicubic_degrade,
    median_denoise,
    motion_blur,
    reduce_colors,
    sharpen,
)
from understudy.merging.predict import PredictedFace
from understudy.merging.settings import MergeSettings
from understudy.types import Image

_LONGEST_SHARE = 4
"""A blurred line is no longer than this part of the square."""


def finished_face(picture: Image, face: PredictedFace, settings: MergeSettings) -> Image:
    """The coloured `picture` of a face after all that works on the face alone."""
    picture = sharpen(picture, settings.sharpen_amount, mode=settings.sharpen_mode)
    if settings.degrade != "plate":
        picture = degraded(picture, settings)
    return np.asarray(np.clip(smeared(picture, face, settings), 0, 1))


def degraded(picture: Image, settings: MergeSettings) -> Image:
    """`picture` with less detail and fewer colours, as far as is asked for."""
    picture = median_denoise(picture, settings.denoise)
    picture = bicubic_degrade(picture, settings.bicubic_degrade)
    if settings.color_degrade == 0:
        return picture
    share = np.float32(settings.color_degrade / 100)
    return np.asarray(picture * (1 - share) + reduce_colors(picture) * share)


def smeared(picture: Image, face: PredictedFace, settings: MergeSettings) -> Image:
    """`picture` blurred along the face's way, as long as that is in the frame."""
    length = face.motion.length * settings.motion_blur / 100
    if length == 0:
        return picture
    turn = face.aligned.matrix(len(picture))[:, :2]
    angle = np.radians(face.motion.angle_deg)
    x, y = turn @ np.array([np.cos(angle), -np.sin(angle)]) * length
    pixels = min(round(float(np.hypot(x, y))) + 1, len(picture) // _LONGEST_SHARE)
    return motion_blur(picture, pixels, angle_deg=float(-np.degrees(np.arctan2(y, x))))
