"""The ways a face laid over the plate becomes the picture: original, overlay, raw-rgb, raw-predict.

Pixels of one box in the frame in, the same out. Knows neither landmarks nor masks' making.
Source: reference section 17.4.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from understudy.registry import Registry
from understudy.types import Mask

Levels = Float32[np.ndarray, "h w 3"]
"""Pixels in the plate's own levels: 0..1, 0..255 or 0..65535."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A way to lay a face over the plate.

    `blend` takes the plate's pixels, the face's and how far each of them counts. `square` says that
    the whole predicted square counts, as the model gave it, and no mask shapes or colours it.
    """

    blend: Callable[[Levels, Levels, Mask], Levels] | None
    square: bool = False


def lay_over(plate: Levels, face: Levels, alpha: Mask) -> Levels:
    """`plate` going over to `face` with `alpha`; where that is 0, exactly the plate."""
    change = face - plate
    change *= cv2.merge([alpha, alpha, alpha])
    return np.asarray(change + plate)


OVERLAYS: Registry[Overlay] = Registry("merge mode")
OVERLAYS.register("original")(Overlay(blend=None))
OVERLAYS.register("overlay")(Overlay(blend=lay_over))
OVERLAYS.register("raw-rgb")(Overlay(blend=lay_over, square=True))
OVERLAYS.register("raw-predict")(Overlay(blend=None, square=True))
