"""Putting predicted faces into a plate: align, predict, mask, shape, colour, paste, overlay.

A plate of any depth, landmarks and a model (as a function) in; the finished picture and its mask
out. Only the box a face covers is ever read, converted or blended. Knows nothing of files, videos
or networks. Source: reference section 17.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8, UInt16

from understudy.merging.layer import chosen_mask, layer_of
from understudy.merging.overlay import OVERLAYS, Levels
from understudy.merging.parity import compose_dfl
from understudy.merging.predict import (
    AlignedFace,
    Predictor,
    peak_of,
    predict_face,
    resolution_of,
)
from understudy.merging.settings import MergeSettings
from understudy.types import Image, Landmarks, Prediction

Plate = UInt8[np.ndarray, "h w 3"] | UInt16[np.ndarray, "h w 3"] | Float32[np.ndarray, "h w 3"]
"""RGB of any depth; float is 0..1."""

Picture = UInt8[np.ndarray, "_ _ 3"] | UInt16[np.ndarray, "_ _ 3"] | Float32[np.ndarray, "_ _ 3"]
Matte = Float32[np.ndarray, "_ _"]

_RAW_FACE = "raw-predict"


def merge_face(
    frame: Image, landmarks: Landmarks, predictor: Predictor, settings: MergeSettings
) -> tuple[Picture, Matte]:
    """`frame` with one face replaced, and the mask by which it was (same size).

    With `dfl_parity` both hold whole 8-bit levels, cut off as DFL cuts them. In mode raw-predict
    both are the model's: the predicted face and its mask at the model's resolution.
    """
    return merge_into(frame, [landmarks], predictor, settings)


def merge_into(
    pixels: Plate, faces: Sequence[Landmarks], predictor: Predictor, settings: MergeSettings
) -> tuple[Picture, Matte]:
    """`pixels` with all `faces` replaced in that order, in its own depth, and their common mask.

    Where the mask is 0 the result equals `pixels` bit for bit; `pixels` itself is left as it is.
    Every face is predicted from the untouched plate. Without faces: a copy and an empty mask (in
    mode raw-predict black ones of the model's resolution, if that is known).
    """
    if not faces and settings.mode == _RAW_FACE:
        size = resolution_of(predictor, settings)
        if size is not None:
            return np.zeros((size, size, 3), pixels.dtype), np.zeros((size, size), np.float32)
    found = [predict_face(pixels, landmarks, predictor, settings) for landmarks in faces]
    return compose_faces(pixels, found, settings)


def compose_faces(
    pixels: Plate, faces: Sequence[tuple[AlignedFace, Prediction]], settings: MergeSettings
) -> tuple[Picture, Matte]:
    """What `merge_into` does once the model has answered; for callers that predict in batches."""
    if settings.dfl_parity:
        return compose_dfl(pixels, faces, settings)
    if settings.mode == _RAW_FACE and faces:
        return _bare_face(pixels, faces[-1], settings)
    result, matte = pixels.copy(), np.zeros(pixels.shape[:2], np.float32)
    blend, peak = OVERLAYS[settings.mode].blend, peak_of(pixels)
    for aligned, prediction in faces:
        layer = layer_of(aligned, prediction, settings, peak=peak)
        if layer is None:
            continue
        part, where = result[layer.box.slices], matte[layer.box.slices]
        where += layer.mask * (1 - where)
        if blend is not None:
            blended = blend(part.astype(np.float32), layer.face, layer.alpha)
            if pixels.dtype.kind != "u":
                # A plate's infinity times 0 would not be the plate.
                np.copyto(blended, part, where=layer.alpha[..., None] == 0)
            part[...] = _in_depth(blended, pixels.dtype)
    return result, matte


def _bare_face(
    pixels: Plate, face: tuple[AlignedFace, Prediction], settings: MergeSettings
) -> tuple[Picture, Matte]:
    aligned, prediction = face
    mask = chosen_mask(aligned, prediction, settings)
    return _in_depth(prediction.face * np.float32(peak_of(pixels)), pixels.dtype), mask


def _in_depth(levels: Levels, dtype: np.dtype[np.generic]) -> Picture:
    if dtype.kind != "u":
        return levels
    if dtype == np.uint8:
        return np.asarray(cv2.convertScaleAbs(levels))
    return np.asarray(np.rint(levels), dtype)
