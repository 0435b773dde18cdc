"""DFL's merge of a frame to the level: the whole frame, in float, with its faults.

Plate, predicted faces and settings in, picture and mask out. Kept apart so that the usual path is
not bent by it. Source: reference sections 17.2 to 17.4.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32

from understudy.faces.pixels import white
from understudy.imaging.color import COLOR_TRANSFERS
from understudy.imaging.filters import (
    bicubic_degrade,
    hist_match,
    median_denoise,
    motion_blur,
    reduce_colors,
    sharpen,
)
from understudy.imaging.geometry import invert
from understudy.imaging.resample import Pixels
from understudy.merging.masking import (
    MASK_MODES,
    UNITS_PER_PIXEL,
    MaskSources,
    SquareMask,
    XSegSide,
    enlarge_dfl,
    shape_mask_dfl,
)
from understudy.merging.overlay import OVERLAYS
from understudy.merging.predict import PredictedFace, to_unit, warp_dfl
from understudy.merging.settings import MergeSettings
from understudy.types import Image, Mask, Matrix, Prediction

Picture = Float32[np.ndarray, "out_h out_w 3"]
Matte = Float32[np.ndarray, "out_h out_w"]
"""Of the plate's size, but in mode raw-predict of the model's."""

_VISIBLE = 0.1
_LEAST_EXTENT = 4
_LEAST = 1 / 255
_LINE_PX = (2, 50)


def compose_dfl(
    pixels: Pixels, faces: Sequence[PredictedFace], settings: MergeSettings, *, seed: int = 0
) -> tuple[Pixels, Matte]:
    """The plate with all faces, each merged with the untouched plate and then laid over the others.

    Levels are cut off, not rounded: 8-bit ones, in pictures of float too. Random draws follow from
    `seed`; DFL's never repeat.
    """
    plate = to_unit(pixels)
    rng = np.random.default_rng(seed)
    result, matte = plate, np.zeros(plate.shape[:2], np.float32)
    for index, face in enumerate(faces):
        one, mask = _merge_one(plate, face, settings, rng)
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
    plate: Image, face: PredictedFace, settings: MergeSettings, rng: np.random.Generator
) -> tuple[Picture, Matte]:
    overlay, aligned = OVERLAYS[settings.mode], face.aligned
    mask = enlarge_dfl(_chosen_mask(face, settings), UNITS_PER_PIXEL * face.resolution)
    if not overlay.square:
        mask = shape_mask_dfl(mask, erode=int(settings.erode_mask), blur=int(settings.blur_mask))
    in_face = _resized(mask, aligned.size)
    if settings.mode == "raw-predict":
        return face.prediction.face, in_face
    scale = 1.0 / (1.0 + 0.01 * settings.face_scale)
    matte = np.clip(_unwarped(mask, aligned.matrix(len(mask), scale=scale), plate), 0, 1)
    matte = np.where(matte < _LEAST, np.float32(0), matte)
    if overlay.blend is None or not (overlay.square or _is_seen(matte)):
        return plate, matte
    to_face = aligned.matrix(aligned.size, scale=scale)
    if overlay.square:
        # Not clipped, as there: the cubic's overshoot makes a faint double line at the rim.
        alpha = _unwarped(np.ones((aligned.size, aligned.size), np.float32), to_face, plate)
        laid = _unwarped(face.prediction.face, to_face, plate)
        return np.clip(overlay.blend(plate, laid, alpha), 0, 1), matte
    area = (in_face > 0).astype(np.float32)
    colored = _colored(face, area, settings, rng)
    pasted = np.clip(_unwarped(colored, to_face, plate), 0, 1)
    if overlay.clones:
        pasted = _cloned(pasted, plate, matte)
    out = overlay.blend(plate, pasted, matte)
    out = _touched_up(out, plate, face, matte, area, settings=settings, rng=rng)
    return _with_few_colors(np.clip(out, 0, 1), settings), matte


def _chosen_mask(face: PredictedFace, settings: MergeSettings) -> Mask:
    """The mask of the mode, as large as the face."""
    size = face.aligned.size

    def painted(side: XSegSide) -> Mask:
        return _resized(face.xseg_masks[side], size)

    given = face.prediction
    masks = (given.mask, given.dst_mask)
    if size != face.resolution:
        masks = (_resized(masks[0], size), _resized(masks[1], size))
    sources = MaskSources(Prediction(given.face, *masks), face.aligned.hull_dfl, painted)
    return MASK_MODES[settings.mask_mode](sources)


def _colored(
    face: PredictedFace, area: SquareMask, settings: MergeSettings, rng: np.random.Generator
) -> Picture:
    """The predicted face after colour transfer and histograms, where they come before pasting."""
    overlay, colored = OVERLAYS[settings.mode], face.prediction.face
    if overlay.clones:
        return colored
    plate_face = face.aligned.image
    colored = COLOR_TRANSFERS[settings.color_transfer](colored, plate_face, area, rng)
    if not overlay.matches:
        return colored
    counts = area if settings.masked_hist_match else np.ones_like(area)
    inside = counts[..., None]
    # What is outside is white on both sides.
    own, wanted = (np.minimum(part * inside + (1 - inside), 1) for part in (colored, plate_face))
    return hist_match(own, wanted, threshold=float(settings.hist_match_threshold))


def _cloned(pasted: Picture, plate: Image, matte: Mask) -> Picture:
    """The pasted face with the plate's light; itself where OpenCV can't do it."""
    mask = np.zeros(matte.shape, np.uint8)
    for tenth in range(1, 10):
        mask[matte > tenth / 10] = 255
        if mask.any():
            break
    left, top, width, height = cv2.boundingRect(mask)
    centre = (left + width // 2, top + height // 2)
    source, target = (_levels(part, 255.0).astype(np.uint8) for part in (pasted, plate))
    try:
        cloned = cv2.seamlessClone(source, target, mask, centre, cv2.NORMAL_CLONE)
    except cv2.error:  # the mask reaches over the frame's rim
        return pasted
    return np.asarray(cloned.astype(np.float32) / np.float32(255))


def _touched_up(
    out: Picture,
    plate: Image,
    face: PredictedFace,
    matte: Mask,
    area: SquareMask,
    *,
    settings: MergeSettings,
    rng: np.random.Generator,
) -> Picture:
    """`out` after what DFL does to the merged face in the model's square and to the plate."""
    overlay, aligned = OVERLAYS[settings.mode], face.aligned
    late_color = overlay.clones and settings.color_transfer != "none"
    degrades = settings.denoise != 0 or settings.bicubic_degrade != 0
    asked = (late_color, overlay.clones and overlay.matches, face.motion.length > 0, degrades)
    if not (any(asked) or settings.sharpen_amount != 0):
        return out
    to_face = aligned.matrix(aligned.size)
    square = warp_dfl(out, to_face, (aligned.size, aligned.size))
    if late_color:
        square = COLOR_TRANSFERS[settings.color_transfer](square, aligned.image, area, rng)
    if overlay.clones and overlay.matches:
        square = hist_match(square, aligned.image, threshold=float(settings.hist_match_threshold))
    square = _smeared(square, face, settings)
    square = sharpen(square, float(int(settings.sharpen_amount)), mode=settings.sharpen_mode)
    degraded = median_denoise(plate, float(int(settings.denoise)))
    degraded = bicubic_degrade(degraded, float(int(settings.bicubic_degrade)))
    alpha = matte[..., None]
    return np.asarray(degraded * (1 - alpha) + _unwarped(square, to_face, plate) * alpha)


def _smeared(square: Picture, face: PredictedFace, settings: MergeSettings) -> Picture:
    length = int(face.motion.length * settings.motion_blur / 100)
    if length < 1:
        return square
    length = int(np.clip(length + 1, *_LINE_PX))
    if settings.super_resolution:
        length *= 2
    # At the frame's angle, though the square may lie turned in the frame.
    return motion_blur(square, length, angle_deg=face.motion.angle_deg)


def _with_few_colors(out: Picture, settings: MergeSettings) -> Picture:
    if settings.color_degrade == 0:
        return out
    share = np.float32(settings.color_degrade / 100)
    return np.asarray(out * (1 - share) + reduce_colors(out) * share)


def _is_seen(matte: Mask) -> bool:
    rows, columns = np.nonzero(matte >= _VISIBLE)
    if len(rows) == 0:
        return False
    return bool(min(np.ptp(rows), np.ptp(columns)) >= _LEAST_EXTENT)


def _unwarped(picture: np.ndarray, to_face: Matrix, plate: Image) -> np.ndarray:
    """`picture` of the face square laid out in the frame, black around it."""
    return warp_dfl(picture, invert(to_face), plate.shape[:2])


def _resized(mask: SquareMask, size: int) -> Matte:
    if len(mask) == size:
        return mask
    return np.asarray(cv2.resize(mask, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)


def _truncated(image: Picture, like: Pixels) -> Pixels:
    if like.dtype.kind == "u":
        return _levels(image, white(like)).astype(like.dtype)
    return _levels(image, 255.0) / np.float32(255)


def _levels(values: np.ndarray, peak: float) -> np.ndarray:
    return np.asarray(np.floor(np.clip(values, 0, 1) * np.float32(peak)))
