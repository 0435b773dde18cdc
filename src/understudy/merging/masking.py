"""Where a face is put: the mask modes, and the shaping of a mask by erosion and blur.

Predicted masks and the hull of the landmarks in, one mask of the face square out. Knows nothing of
frames: laying the mask into one is `merge`'s. Source: reference sections 17.2 and 17.3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32

from understudy.registry import Registry
from understudy.types import Mask, Prediction

UNITS_PER_PIXEL = 4
"""Mask controls count in pixels of a square this many times the model's resolution."""

SquareMask = Float32[np.ndarray, "side side"]
"""As Mask, square, and not of the size of the one that came in."""

XSegSide = Literal["prd", "dst"]
XSEG_SIDES: tuple[XSegSide, ...] = ("prd", "dst")
"""What the mask model is asked to paint: the predicted face, the plate's."""

_LEAST = 1 / 255
_FINE_ENOUGH = 192
_EDGE_FRACTION = 1 / 32
_MAX_STEP = 15


@dataclass(frozen=True, slots=True)
class MaskSources:
    """What a mask mode may choose from, made when it is asked for; all of one size.

    `hull` draws the landmarks' hull; `xseg` gives what the mask model sees in the predicted face
    ("prd") and in the plate's ("dst").
    """

    prediction: Prediction
    hull: Callable[[], Mask]
    xseg: Callable[[XSegSide], Mask]


MASK_MODES: Registry[Callable[[MaskSources], Mask]] = Registry("mask mode")


@MASK_MODES.register("full")
def whole_square(sources: MaskSources) -> Mask:
    """Ones."""
    return np.ones_like(sources.prediction.mask)


@MASK_MODES.register("dst")
def landmarks_hull(sources: MaskSources) -> Mask:
    """The hull of the plate's landmarks."""
    return sources.hull()


@MASK_MODES.register("learned-prd")
def learned_predicted(sources: MaskSources) -> Mask:
    """The learned mask of the predicted face."""
    return sources.prediction.mask


@MASK_MODES.register("learned-dst")
def learned_dst(sources: MaskSources) -> Mask:
    """The learned mask of the plate's face."""
    return sources.prediction.dst_mask


@MASK_MODES.register("learned-prd*learned-dst")
def learned_both(sources: MaskSources) -> Mask:
    """What both learned masks hold."""
    return np.asarray(sources.prediction.mask * sources.prediction.dst_mask)


@MASK_MODES.register("learned-prd+learned-dst")
def learned_either(sources: MaskSources) -> Mask:
    """What either learned mask holds."""
    return np.asarray(np.clip(sources.prediction.mask + sources.prediction.dst_mask, 0, 1))


@MASK_MODES.register("XSeg-prd")
def painted_predicted(sources: MaskSources) -> Mask:
    """The mask model's mask of the predicted face."""
    return sources.xseg("prd")


@MASK_MODES.register("XSeg-dst")
def painted_dst(sources: MaskSources) -> Mask:
    """The mask model's mask of the plate's face."""
    return sources.xseg("dst")


@MASK_MODES.register("XSeg-prd*XSeg-dst")
def painted_both(sources: MaskSources) -> Mask:
    """What both masks of the mask model hold."""
    return np.asarray(sources.xseg("prd") * sources.xseg("dst"))


@MASK_MODES.register("learned-prd*learned-dst*XSeg-prd*XSeg-dst")
def all_of_them(sources: MaskSources) -> Mask:
    """What both learned masks and both of the mask model hold."""
    return np.asarray(learned_both(sources) * painted_both(sources))


def without_floor(mask: Mask) -> Mask:
    """`mask` stretched so that the faint floor and ceiling of a sigmoid are exactly 0 and 1.

    Unlike a cut, this leaves no edge where the floor ends.
    """
    return np.asarray(np.clip((mask - _LEAST) / (1 - 2 * _LEAST), 0, 1), np.float32)


def shape_mask(mask: Mask, *, erode: float, blur: float) -> SquareMask:
    """`mask` taken in by `erode` (let out if negative) and softened by `blur`.

    Works at once or twice the mask's size, which it returns; both controls act evenly, without
    steps between whole values. The rim of the square always ends soft: where a mask runs against
    it, no straight line shows in the film.
    """
    zoom = 1 if len(mask) >= _FINE_ENOUGH else 2
    size = zoom * len(mask)
    if zoom != 1:
        mask = np.asarray(cv2.resize(mask, (size, size), interpolation=cv2.INTER_CUBIC))
        # The cubic's undershoot would be spread by the erosion and darken what is blurred after.
        mask = np.clip(mask, 0, 1)
    unit = zoom / UNITS_PER_PIXEL
    radius = abs(erode) / 2 * unit
    if radius > 0:
        mask = _by_disc(mask, radius, _dilate) if erode < 0 else _by_disc(mask, radius, _erode)
    distance = _rim_distance(size)
    if blur > 0:
        margin = blur / 2 * unit
        mask = mask * _outer(np.clip(distance - margin + 0.5, 0, 1))
        mask = _blur(mask, blur, unit)
    ramp = np.clip((distance + 0.5) / (size * _EDGE_FRACTION), 0, 1)
    softened = mask * _outer(ramp * ramp * (3 - 2 * ramp))
    return np.asarray(np.clip(softened, 0, 1), np.float32)


def shape_mask_dfl(mask: SquareMask, *, erode: int, blur: int) -> SquareMask:
    """`mask`, already enlarged, shaped exactly as DFL does it."""
    pad = len(mask) // UNITS_PER_PIXEL
    padded = np.pad(mask, pad)
    if erode != 0:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (abs(erode), abs(erode)))
        change = cv2.erode if erode > 0 else cv2.dilate
        padded = np.asarray(change(padded, kernel), np.float32)
    margin = pad + blur // 2
    inner = slice(margin, max(len(padded) - margin, margin))
    shaped = np.zeros_like(padded)
    shaped[inner, inner] = padded[inner, inner]
    if blur > 0:
        width = blur + 1 - blur % 2
        shaped = np.asarray(cv2.GaussianBlur(shaped, (width, width), 0), np.float32)
    return np.asarray(np.clip(shaped[pad:-pad, pad:-pad], 0, 1))


def enlarge_dfl(mask: Mask, size: int) -> SquareMask:
    """`mask` without what is below one 8-bit level, enlarged to `size`."""
    kept = np.where(mask < _LEAST, np.float32(0), mask)
    return np.asarray(cv2.resize(kept, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)


def _by_disc(mask: Mask, radius: float, change: Callable[[Mask, int], Mask]) -> Mask:
    """`change` (`_erode` or `_dilate`) by a disc of any radius, with nothing beyond the square."""
    whole = int(radius)
    changed = mask
    while whole > 0:
        step = min(whole, _MAX_STEP)
        changed = change(changed, step)
        whole -= step
    part = np.float32(radius - int(radius))
    return changed if part == 0 else changed + (change(changed, 1) - changed) * part


def _disc(radius: int) -> np.ndarray:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2))


def _erode(mask: Mask, radius: int) -> Mask:
    eroded = cv2.erode(mask, _disc(radius), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(eroded, np.float32)


def _dilate(mask: Mask, radius: int) -> Mask:
    dilated = cv2.dilate(mask, _disc(radius), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(dilated, np.float32)


def _blur(mask: Mask, blur: float, unit: float) -> Mask:
    """Gaussian of the spread OpenCV gives a kernel of `blur` units, cut where that one ends."""
    sigma = (0.3 * ((blur - 1) * 0.5 - 1) + 0.8) * unit
    width = 2 * max(int(blur / 2 * unit), 1) + 1
    if sigma <= 0:
        return mask
    blurred = cv2.GaussianBlur(mask, (width, width), sigma, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, np.float32)


def _rim_distance(size: int) -> np.ndarray:
    """Distance of each row (or column) of a square from its nearer rim, in pixels."""
    rows = np.arange(size, dtype=np.float32)
    return np.minimum(rows, rows[::-1])


def _outer(profile: np.ndarray) -> np.ndarray:
    return np.asarray(np.minimum(profile[:, None], profile[None, :]), np.float32)
