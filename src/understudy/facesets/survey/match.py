"""Which src faces no dst face needs: those in directions, light or colour that dst never shows.

Traits of two facesets in, a reason per face out. Two people in two places differ as a whole, and
training with a colour transfer evens that out; so light and colour are compared by how far a face
is from its own set's middle. Moves nothing.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float64, Int8

from understudy.facesets.survey.statistics import Traits

_CHUNK = 256


class Reason(IntEnum):
    """Why a face is not needed; NEEDED is 0."""

    NEEDED = 0
    POSE = 1
    BRIGHTNESS = 2
    COLOR = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """How near a dst face must be for a src face to be needed; 0 leaves a measure out.

    Angles in degrees, `brightness` in levels of 255, `color` in CIE Lab units.
    """

    yaw_deg: float = 12.0
    pitch_deg: float = 12.0
    brightness: float = 50.0
    color: float = 15.0
    as_they_are: bool = False
    mirrored: bool = False


def reasons_to_trim(
    src: Traits, dst: Traits, limits: Limits | None = None
) -> Int8[np.ndarray, " n"]:
    """A `Reason` for every src face: the first measure by which no dst face is near it."""
    limits = limits or Limits()
    points, targets = _points(src, limits), _points(dst, limits)
    if limits.mirrored:
        targets = np.concatenate([targets, targets * (-1, 1, 1, 1, 1)])
    targets = targets[np.argsort(targets[:, 0], kind="stable")]
    order = np.argsort(points[:, 0], kind="stable")
    reasons = np.full(len(points), Reason.POSE, np.int8)
    for start in range(0, len(order), _CHUNK):
        rows = order[start : start + _CHUNK]
        near = targets[_window(points[rows, 0], targets[:, 0], limits.yaw_deg)]
        reasons[rows] = _judge(points[rows], near, limits)
    return reasons


def uncovered(src: Traits, dst: Traits, limits: Limits | None = None) -> Bool[np.ndarray, " n"]:
    """Which dst faces have no src face near in direction: what the model has to make up."""
    pose_only = replace(limits or Limits(), brightness=0.0, color=0.0)
    return np.asarray(reasons_to_trim(dst, src, pose_only) != Reason.NEEDED)


def _points(traits: Traits, limits: Limits) -> Float64[np.ndarray, "n 5"]:
    """Yaw, pitch, brightness and the two axes of colour, one row per face."""
    light = np.column_stack([traits.brightness, traits.chroma])
    if not limits.as_they_are and len(light):
        light = light - np.median(light, axis=0)
    return np.column_stack([traits.yaw_deg, traits.pitch_deg, light])


def _window(
    yaw: Float64[np.ndarray, " c"], sorted_yaw: Float64[np.ndarray, " m"], limit: float
) -> slice:
    """The part of the sorted targets that some of these faces may be near to."""
    if not limit:
        return slice(0, len(sorted_yaw))
    low = np.searchsorted(sorted_yaw, yaw.min() - limit, side="left")
    high = np.searchsorted(sorted_yaw, yaw.max() + limit, side="right")
    return slice(int(low), int(high))


def _judge(
    points: Float64[np.ndarray, "c 5"], near: Float64[np.ndarray, "m 5"], limits: Limits
) -> Int8[np.ndarray, " c"]:
    apart = np.abs(points[:, None] - near[None])
    fits = np.ones(apart.shape[:2], bool)
    for column, limit in ((0, limits.yaw_deg), (1, limits.pitch_deg)):
        fits &= (apart[..., column] <= limit) if limit else True
    posed = fits.any(1)
    fits &= (apart[..., 2] <= limits.brightness) if limits.brightness else True
    lit = fits.any(1)
    fits &= (np.hypot(apart[..., 3], apart[..., 4]) <= limits.color) if limits.color else True
    reasons = np.where(fits.any(1), Reason.NEEDED, Reason.COLOR)
    reasons = np.where(lit, reasons, Reason.BRIGHTNESS)
    return np.where(posed, reasons, Reason.POSE).astype(np.int8)
