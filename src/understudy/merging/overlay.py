"""The ways a face laid over the plate becomes the picture, from the plate alone to the face alone.

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

_GAMMA = 2.2
"""What display-encoded levels are raised to for light, near enough for a soft edge."""

Levels = Float32[np.ndarray, "h w 3"]
"""Pixels in the plate's own levels: 0..1, 0..255 or 0..65535."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A way to lay a face over the plate.

    `blend` takes the plate's pixels, the face's and how far each of them counts. `square` says that
    the whole predicted square counts, as the model gave it, and no mask shapes or colours it.
    `matches` gives the face the plate's histograms; `clones` keeps the face's detail alone and
    takes light and colour from the plate around it.
    """

    blend: Callable[[Levels, Levels, Mask], Levels] | None
    square: bool = False
    matches: bool = False
    clones: bool = False

    @property
    def degrades(self) -> bool:
        """Whether degrading applies to it: not to what is delivered raw or as it was."""
        return self.blend is not None and not self.square


def lay_over(plate: Levels, face: Levels, alpha: Mask) -> Levels:
    """`plate` going over to `face` with `alpha`; where that is 0, exactly the plate."""
    change = face - plate
    change *= cv2.merge([alpha, alpha, alpha])
    return np.asarray(change + plate)


def lay_over_in_light(plate: Levels, face: Levels, alpha: Mask, *, peak: float) -> Levels:
    """As `lay_over`, with what is between mixed as light mixes; 0 and 1 give exactly either."""
    soft = (alpha > 0) & (alpha < 1)
    result = np.where(alpha[..., None] >= 1, face, plate)
    share = alpha[soft][:, None]
    under, over = (np.clip(part[soft] / peak, 0, None) ** _GAMMA for part in (plate, face))
    result[soft] = peak * (under + (over - under) * share) ** (1 / _GAMMA)
    return np.asarray(result, np.float32)


OVERLAYS: Registry[Overlay] = Registry("merge mode")
OVERLAYS.register("original")(Overlay(blend=None))
OVERLAYS.register("overlay")(Overlay(blend=lay_over))
OVERLAYS.register("hist-match")(Overlay(blend=lay_over, matches=True))
OVERLAYS.register("seamless")(Overlay(blend=lay_over, clones=True))
OVERLAYS.register("seamless-hist-match")(Overlay(blend=lay_over, matches=True, clones=True))
OVERLAYS.register("raw-rgb")(Overlay(blend=lay_over, square=True))
OVERLAYS.register("raw-predict")(Overlay(blend=None, square=True))
