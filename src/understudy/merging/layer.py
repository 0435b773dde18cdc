"""One predicted face as a layer over its frame: masked, shaped, coloured, laid out in a small box.

An aligned face and its prediction in; the box, the face's pixels there and how far they count out.
Knows nothing of the plate's pixels but what the aligned face shows. Source: reference section 17.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool

from understudy.imaging.color import COLOR_FITS, COLOR_TRANSFERS
from understudy.imaging.geometry import compose, invert
from understudy.imaging.resample import Box, place_part, reach_of
from understudy.merging.masking import (
    MASK_MODES,
    MaskSources,
    SquareMask,
    shape_mask,
    without_floor,
)
from understudy.merging.overlay import OVERLAYS, Levels
from understudy.merging.placing import moved_mask, shift_matrix
from understudy.merging.predict import AlignedFace
from understudy.merging.settings import MergeSettings
from understudy.types import Image, Mask, Matrix, Prediction

VISIBLE = 0.1
"""A mask that nowhere reaches this replaces nothing."""
LEAST_EXTENT = 4
"""Nor does one narrower than this many pixels of the frame."""

_FEW_PIXELS = 16
_TOO_FAR = 1e-3
_FOREIGN_SPREADS = 4.0
_LEAST_SPREAD = (6.0, 3.0, 3.0)  # of L, a, b: eyes, brows and lips of an evenly lit face stay in
_MAD_TO_SIGMA = 1.4826
_LOOKED_AT = 4096
_MASKED_TRANSFERS = frozenset({"rct", "mkl-m"})
_BLACK_OUTSIDE = frozenset({"idt-m", "sot-m"})
"""Transfers that multiply by the mask, so that its soft edge would show as a dark rim."""


@dataclass(frozen=True, slots=True)
class Layer:
    """`face` in the plate's levels and its weight `alpha`, over the pixels of `box`.

    `mask` is what is delivered as the matte; it differs from `alpha` where a mode ignores masks.
    """

    box: Box
    face: Levels
    alpha: Mask
    mask: Mask


def layer_of(
    aligned: AlignedFace, prediction: Prediction, settings: MergeSettings, *, peak: float
) -> Layer | None:
    """The face as a layer in levels up to `peak`; None if nothing of it would be seen."""
    mask = chosen_mask(aligned, prediction, settings)
    scale = 1.0 / (1.0 + 0.01 * settings.face_scale)
    to_frame = invert(aligned.matrix(aligned.size, scale=scale))
    square = OVERLAYS[settings.mode].square
    counting = np.ones_like(mask) if square else mask
    mask_to_frame = compose(_between(len(mask), aligned.size), to_frame)
    box = _box_of(counting, mask_to_frame).clipped(aligned.plate_hw)
    if box.empty:
        return None
    matte = _lay(mask, mask_to_frame, box)
    alpha = _lay(counting, mask_to_frame, box) if square else matte
    if not _is_seen(alpha):
        return None
    face = prediction.face
    if not square:
        face = colored_face(aligned, face, _to_size(mask, aligned.size), settings)
        shift = shift_matrix(aligned.size, right=settings.face_right, down=settings.face_down)
        to_frame = compose(shift, to_frame)
    pixels = place_part(face * np.float32(peak), to_frame, box, rim="continue")
    return Layer(box, np.clip(pixels, 0, np.float32(peak)), alpha, matte)


def chosen_mask(
    aligned: AlignedFace, prediction: Prediction, settings: MergeSettings
) -> SquareMask:
    """The mask the settings ask for, in the face square; shaped unless the mode is a raw one."""
    square = OVERLAYS[settings.mode].square
    if not square:
        right, down = settings.face_right, settings.face_down
        moved = moved_mask(prediction.mask, right=right, down=down)
        prediction = prediction._replace(mask=moved)
    mask = MASK_MODES[settings.mask_mode](MaskSources(prediction, aligned.hull))
    mask = without_floor(mask)
    if square:
        return mask
    return shape_mask(mask, erode=settings.erode_mask, blur=settings.blur_mask)


def colored_face(aligned: AlignedFace, face: Image, mask: Mask, settings: MergeSettings) -> Image:
    """`face` in the plate's colours, measured on the pixels that count and lie in the frame."""
    name = settings.color_transfer
    if name not in COLOR_FITS:
        if name in _BLACK_OUTSIDE:
            counts = mask >= 0.5
            hard = counts.astype(np.float32)
            recolored = COLOR_TRANSFERS[name](face, aligned.image, hard, None)
            recolored = face + _carried_outside(recolored - face, counts)
        else:
            recolored = COLOR_TRANSFERS[name](face, aligned.image, mask, None)
        return np.asarray(np.clip(recolored, 0, 1))
    inside = aligned.inside > 0
    counts = inside & (mask >= 0.5) if name in _MASKED_TRANSFERS else inside
    if name in _MASKED_TRANSFERS and counts.any():
        counts[counts] = _of_the_face(aligned.image[counts][:, None])
    if np.count_nonzero(counts) < _FEW_PIXELS:
        return face
    recolor = COLOR_FITS[name](face[counts][:, None], aligned.image[counts][:, None])
    return np.asarray(np.clip(recolor(face), 0, 1))


def _of_the_face(pixels: Image) -> Bool[np.ndarray, " n"]:
    """Which pixels of the plate may be the face's own: not a hand, a desk or a glare before it.

    Colours far from the face's usual one would stretch what the whole face is given.
    """
    lab = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2Lab)[:, 0]
    some = lab[:: max(1, len(lab) // _LOOKED_AT)]
    usual = np.median(some, axis=0)
    spread = _MAD_TO_SIGMA * np.median(np.abs(some - usual), axis=0)
    reach = _FOREIGN_SPREADS * np.maximum(spread, _LEAST_SPREAD)
    return np.asarray((np.abs(lab - usual) <= reach).all(axis=1))


def _carried_outside(change: Image, counts: Bool[np.ndarray, "h w"]) -> Image:
    """`change` where it counts, and outside what it is on the average nearby."""
    if not counts.any():
        return np.zeros_like(change)
    sigma = max(1.0, len(counts) / 32)
    weight = counts.astype(np.float32)
    near = cv2.GaussianBlur(change * weight[..., None], (0, 0), sigma)
    share = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
    outside = np.where(share > _TOO_FAR, near / np.maximum(share, _TOO_FAR), change[counts].mean(0))
    return np.asarray(np.where(counts[..., None], change, outside), np.float32)


def _box_of(mask: Mask, to_frame: Matrix) -> Box:
    """Frame pixels that the part of the square's `mask` above 0 reaches."""
    left, top, width, height = cv2.boundingRect((mask > 0).astype(np.uint8))
    if width == 0:
        return Box(0, 0, 0, 0)
    return reach_of(Box(left, top, left + width, top + height), to_frame)


def _between(size: int, other: int) -> Matrix:
    """Map between the pixel grids of two sizes of one square."""
    factor = other / size
    shift = (factor - 1) / 2
    return np.array([[factor, 0.0, shift], [0.0, factor, shift]])


def _lay(mask: SquareMask, to_frame: Matrix, box: Box) -> Mask:
    return np.asarray(np.clip(place_part(mask, to_frame, box), 0, 1))


def _to_size(mask: SquareMask, size: int) -> Mask:
    if len(mask) == size:
        return mask
    return np.asarray(cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA), np.float32)


def _is_seen(alpha: Mask) -> bool:
    _, _, width, height = cv2.boundingRect((alpha >= VISIBLE).astype(np.uint8))
    return min(width, height) >= LEAST_EXTENT
