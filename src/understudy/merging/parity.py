"""DFL's merge of a frame to the level: the whole frame, in float, with its faults.

Plate, aligned faces and predictions in, picture and mask out. Kept apart so that the usual path is
not bent by it. Source: reference sections 17.3 and 17.4.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32

from understudy.imaging.color import COLOR_TRANSFERS
from understudy.imaging.geometry import invert
from understudy.imaging.resample import Pixels
from understudy.merging.masking import (
    MASK_MODES,
    UNITS_PER_PIXEL,
    MaskSources,
    SquareMask,
    enlarge_dfl,
    shape_mask_dfl,
)
from understudy.merging.overlay import OVERLAYS
from understudy.merging.predict import AlignedFace, peak_of, to_unit, warp_dfl
from understudy.merging.settings import MergeSettings
from understudy.types import Image, Mask, Matrix, Prediction

Picture = Float32[np.ndarray, "out_h out_w 3"]
Matte = Float32[np.ndarray, "out_h out_w"]
"""Of the plate's size, but in mode raw-predict of the model's."""

_VISIBLE = 0.1
_LEAST_EXTENT = 4
_LEAST = 1 / 255


def compose_dfl(
    pixels: Pixels, faces: Sequence[tuple[AlignedFace, Prediction]], settings: MergeSettings
) -> tuple[Pixels, Matte]:
    """The plate with all faces, each merged with the untouched plate and then laid over the others.

    Levels are cut off, not rounded: 8-bit ones, in pictures of float too.
    """
    plate = to_unit(pixels)
    result, matte = plate, np.zeros(plate.shape[:2], np.float32)
    for index, (aligned, prediction) in enumerate(faces):
        one, mask = _merge_one(plate, aligned, prediction, settings)
        if index == 0:
            result, matte = one, mask
            continue
        alpha = mask[..., None]
        result = result * (1 - alpha) + one * alpha
        matte = np.clip(matte + mask, 0, 1)
    # Only raw-predict's matte leaves 0..1; its overshoot wraps round in 8 bits, as DFL writes it.
    matte_levels = np.mod(np.trunc(matte * np.float32(255)), np.float32(256))
    return _truncated(result, pixels), matte_levels / np.float32(255)


def _merge_one(
    plate: Image, aligned: AlignedFace, prediction: Prediction, settings: MergeSettings
) -> tuple[Picture, Matte]:
    overlay = OVERLAYS[settings.mode]
    mask = enlarge_dfl(MASK_MODES[settings.mask_mode](MaskSources(prediction, aligned.hull_dfl)))
    if not overlay.square:
        mask = shape_mask_dfl(mask, erode=int(settings.erode_mask), blur=int(settings.blur_mask))
    in_face = _resized(mask, aligned.size)
    if settings.mode == "raw-predict":
        return prediction.face, in_face
    scale = 1.0 / (1.0 + 0.01 * settings.face_scale)
    to_mask = aligned.matrix(UNITS_PER_PIXEL * aligned.size, scale=scale)
    matte = np.clip(_unwarped(mask, to_mask, plate), 0, 1)
    matte = np.where(matte < _LEAST, np.float32(0), matte)
    if overlay.blend is None or not (overlay.square or _is_seen(matte)):
        return plate, matte
    to_face = aligned.matrix(aligned.size, scale=scale)
    if overlay.square:
        # Not clipped, as there: the cubic's overshoot makes a faint double line at the rim.
        alpha = _unwarped(np.ones((aligned.size, aligned.size), np.float32), to_face, plate)
        face = _unwarped(prediction.face, to_face, plate)
    else:
        alpha = matte
        area = (in_face > 0).astype(np.float32)
        recolor = COLOR_TRANSFERS[settings.color_transfer]
        colored = recolor(prediction.face, aligned.image, area, np.random.default_rng(0))
        face = np.clip(_unwarped(colored, to_face, plate), 0, 1)
    return np.clip(overlay.blend(plate, face, alpha), 0, 1), matte


def _is_seen(matte: Mask) -> bool:
    rows, columns = np.nonzero(matte >= _VISIBLE)
    if len(rows) == 0:
        return False
    return bool(min(np.ptp(rows), np.ptp(columns)) >= _LEAST_EXTENT)


def _unwarped(picture: np.ndarray, to_face: Matrix, plate: Image) -> np.ndarray:
    """`picture` of the face square laid out in the frame, black around it."""
    return warp_dfl(picture, invert(to_face), plate.shape[:2])


def _resized(mask: SquareMask, size: int) -> Matte:
    return np.asarray(cv2.resize(mask, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)


def _truncated(image: Picture, like: Pixels) -> Pixels:
    if like.dtype.kind == "u":
        return _levels(image, peak_of(like)).astype(like.dtype)
    return _levels(image, 255.0) / np.float32(255)


def _levels(values: np.ndarray, peak: float) -> np.ndarray:
    return np.asarray(np.floor(np.clip(values, 0, 1) * np.float32(peak)))
