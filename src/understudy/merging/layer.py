"""One predicted face as a layer over its frame: masked, shaped, coloured, laid out in a small box.

A plate and a predicted face in; the box, the face's pixels there and how far they count out.
Source: reference section 17.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from understudy.faces.pixels import white
from understudy.imaging.cloning import clone_seamless
from understudy.imaging.geometry import compose, invert
from understudy.imaging.grain import match_grain
from understudy.imaging.resample import Box, Pixels, place_part, reach_of
from understudy.merging.coloring import ColorSample, color_sample, colored_face
from understudy.merging.finishing import finished_face
from understudy.merging.masking import (
    MASK_MODES,
    MaskSources,
    SquareMask,
    XSegSide,
    shape_mask,
    without_floor,
)
from understudy.merging.overlay import OVERLAYS, Levels
from understudy.merging.placing import moved_mask, shift_matrix
from understudy.merging.predict import PredictedFace
from understudy.merging.settings import MergeSettings
from understudy.types import Mask, Matrix

VISIBLE = 0.1
"""A mask that nowhere reaches this replaces nothing."""
LEAST_EXTENT = 4
"""Nor does one narrower than this many pixels of the frame."""
_SKIN = 0.5
"""Where both the plate and the face show skin, to measure grain on."""


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
    pixels: Pixels, face: PredictedFace, settings: MergeSettings, rng: np.random.Generator
) -> Layer | None:
    """The face as a layer in the plate's levels; None if nothing of it would be seen."""
    aligned, overlay = face.aligned, OVERLAYS[settings.mode]
    mask = chosen_mask(face, settings)
    scale = 1.0 / (1.0 + 0.01 * settings.face_scale)
    to_frame = invert(aligned.matrix(aligned.size, scale=scale))
    counting = np.ones_like(mask) if overlay.square else mask
    mask_to_frame = compose(_between(len(mask), aligned.size), to_frame)
    box = _box_of(counting, mask_to_frame).clipped(aligned.plate_hw)
    if box.empty:
        return None
    matte = _lay(mask, mask_to_frame, box)
    alpha = _lay(counting, mask_to_frame, box) if overlay.square else matte
    if not _is_seen(alpha):
        return None
    picture, peak = face.prediction.face, np.float32(white(pixels))
    if not overlay.square:
        if not overlay.clones:
            picture = colored_face(
                picture,
                aligned.image,
                mask=_to_size(mask, aligned.size),
                inside=aligned.inside > 0,
                settings=settings,
                rng=rng,
                over_time=face.colors,
            )
        picture = finished_face(picture, face, settings)
        shift = shift_matrix(aligned.size, right=settings.face_right, down=settings.face_down)
        to_frame = compose(shift, to_frame)
    laid = np.asarray(place_part(picture * peak, to_frame, box, rim="continue"), np.float32)
    if overlay.clones:
        plate = pixels[box.slices].astype(np.float32)
        laid = _cloned(laid, plate, alpha, peak=peak, settings=settings, rng=rng)
    if settings.match_grain and not overlay.square:
        laid = match_grain(
            laid,
            pixels[box.slices].astype(np.float32),
            alpha > _SKIN,
            amount=settings.match_grain / 100,
            rng=rng,
        )
    return Layer(box, np.clip(laid, 0, peak), alpha, matte)


def colors_of(face: PredictedFace, settings: MergeSettings) -> ColorSample:
    """What this face shows its neighbours in time of its colours."""
    aligned, mask = face.aligned, chosen_mask(face, settings)
    return color_sample(aligned.image, mask=_to_size(mask, aligned.size), inside=aligned.inside > 0)


def chosen_mask(face: PredictedFace, settings: MergeSettings) -> SquareMask:
    """The mask the settings ask for, in the face square; shaped unless the mode is a raw one."""
    square, prediction, size = OVERLAYS[settings.mode].square, face.prediction, face.resolution

    def moved(mask: Mask) -> Mask:
        if square:
            return mask
        return moved_mask(mask, right=settings.face_right, down=settings.face_down)

    def painted(side: XSegSide) -> Mask:
        mask = _to_size(face.xseg_masks[side], size)
        return moved(mask) if side == "prd" else mask

    prediction = prediction._replace(mask=moved(prediction.mask))
    sources = MaskSources(prediction, lambda: face.aligned.hull(size), painted)
    mask = without_floor(MASK_MODES[settings.mask_mode](sources))
    if square:
        return mask
    return shape_mask(mask, erode=settings.erode_mask, blur=settings.blur_mask)


def _cloned(
    laid: Levels,
    plate: Levels,
    alpha: Mask,
    *,
    peak: np.float32,
    settings: MergeSettings,
    rng: np.random.Generator,
) -> Levels:
    """The face in the light of the plate around it; colours and histograms are matched after."""
    cloned = clone_seamless(laid, plate, (alpha > VISIBLE).astype(np.float32))
    if settings.color_transfer == "none" and not OVERLAYS[settings.mode].matches:
        return cloned
    own, wanted = (np.clip(part / peak, 0, 1) for part in (cloned, plate))
    everywhere = np.ones(alpha.shape, np.bool_)
    return peak * colored_face(
        own, wanted, mask=alpha, inside=everywhere, settings=settings, rng=rng
    )


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
    method = cv2.INTER_AREA if len(mask) > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask, (size, size), interpolation=method), np.float32)


def _is_seen(alpha: Mask) -> bool:
    _, _, width, height = cv2.boundingRect((alpha >= VISIBLE).astype(np.uint8))
    return min(width, height) >= LEAST_EXTENT
