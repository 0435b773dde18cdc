"""Putting predicted faces into a plate: align, predict, mask, shape, colour, paste, overlay.

A plate of any depth, landmarks and a model (as a function) in; the finished picture and its mask
out. Only the box a face covers is ever read, converted or blended. Knows nothing of files, videos
or networks. Source: reference section 17.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8, UInt16

from understudy.faces.pixels import white
from understudy.imaging.geometry import scale_of
from understudy.merging.finishing import degraded
from understudy.merging.layer import chosen_mask, layer_of
from understudy.merging.motion import STILL, Motion
from understudy.merging.overlay import OVERLAYS, Levels, lay_over_in_light
from understudy.merging.parity import compose_dfl
from understudy.merging.predict import (
    NO_NETWORKS,
    Networks,
    PredictedFace,
    Predictor,
    predict_face,
    resolution_of,
    to_unit,
)
from understudy.merging.settings import MergeSettings
from understudy.types import Image, Landmarks

Plate = UInt8[np.ndarray, "h w 3"] | UInt16[np.ndarray, "h w 3"] | Float32[np.ndarray, "h w 3"]
"""RGB of any depth; float is 0..1."""

Picture = UInt8[np.ndarray, "_ _ 3"] | UInt16[np.ndarray, "_ _ 3"] | Float32[np.ndarray, "_ _ 3"]
Matte = Float32[np.ndarray, "_ _"]

_RAW_FACE = "raw-predict"


def merge_face(
    frame: Image,
    landmarks: Landmarks,
    predictor: Predictor,
    settings: MergeSettings,
    *,
    motion: Motion = STILL,
    networks: Networks = NO_NETWORKS,
    seed: int = 0,
) -> tuple[Picture, Matte]:
    """`frame` with one face replaced, and the mask by which it was (same size).

    With `dfl_parity` both hold whole 8-bit levels, cut off as DFL cuts them. In mode raw-predict
    both are the model's: the predicted face and its mask at the model's resolution.
    """
    return merge_into(
        frame, [landmarks], predictor, settings, motions=[motion], networks=networks, seed=seed
    )


def merge_into(
    pixels: Plate,
    faces: Sequence[Landmarks],
    predictor: Predictor,
    settings: MergeSettings,
    *,
    motions: Sequence[Motion] = (),
    networks: Networks = NO_NETWORKS,
    seed: int = 0,
) -> tuple[Picture, Matte]:
    """`pixels` with all `faces` replaced in that order, in its own depth, and their common mask.

    Where the mask is 0 the result equals `pixels` bit for bit (unless the settings degrade the
    plate); `pixels` itself is left as it is. Every face is predicted from the untouched plate;
    where faces overlap the larger one covers. Without faces: a copy and an empty mask (in mode
    raw-predict black ones of the model's resolution, if that is known). `motions` tells how each
    face moves; `seed` fixes what is drawn.

    Raises:
        StateError: the model's answer is no prediction.
        OptionError: the settings ask for a network that `networks` lacks.
    """
    if not faces and settings.mode == _RAW_FACE:
        size = resolution_of(predictor, settings)
        if size is not None:
            return np.zeros((size, size, 3), pixels.dtype), np.zeros((size, size), np.float32)
    moving = motions or [STILL] * len(faces)
    found = [
        predict_face(pixels, landmarks, predictor, settings, motion=motion, networks=networks)
        for landmarks, motion in zip(faces, moving, strict=True)
    ]
    return compose_faces(pixels, found, settings, seed=seed)


def compose_faces(
    pixels: Plate, faces: Sequence[PredictedFace], settings: MergeSettings, *, seed: int = 0
) -> tuple[Picture, Matte]:
    """What `merge_into` does once the model has answered; for callers that predict in batches."""
    if settings.dfl_parity:
        return compose_dfl(pixels, faces, settings, seed=seed)
    if settings.mode == _RAW_FACE and faces:
        return _bare_face(pixels, faces[-1], settings)
    overlay, rng = OVERLAYS[settings.mode], np.random.default_rng(seed)
    result, matte = _background(pixels, settings), np.zeros(pixels.shape[:2], np.float32)
    for face in sorted(faces, key=_nearness):
        layer = layer_of(pixels, face, settings, rng)
        if layer is None:
            continue
        part, where = result[layer.box.slices], matte[layer.box.slices]
        where += layer.mask * (1 - where)
        if overlay.blend is not None:
            under = part.astype(np.float32)
            if settings.linear_edges and not overlay.square:
                blended = lay_over_in_light(under, layer.face, layer.alpha, peak=white(pixels))
            else:
                blended = overlay.blend(under, layer.face, layer.alpha)
            if pixels.dtype.kind != "u":
                # A plate's infinity times 0 would not be the plate.
                np.copyto(blended, part, where=layer.alpha[..., None] == 0)
            part[...] = _in_depth(blended, pixels.dtype)
    return result, matte


def _nearness(face: PredictedFace) -> float:
    """Larger faces are nearer to the camera, and cover what they overlap."""
    return -scale_of(face.aligned.matrix(face.resolution))


def _background(pixels: Plate, settings: MergeSettings) -> Picture:
    """The plate that faces are laid over; a copy, unless it is to be degraded."""
    if settings.degrade == "face" or not OVERLAYS[settings.mode].degrades:
        return pixels.copy()
    if not (settings.denoise or settings.bicubic_degrade or settings.color_degrade):
        return pixels.copy()
    lesser = degraded(to_unit(pixels), settings)
    return _in_depth(np.clip(lesser, 0, 1) * np.float32(white(pixels)), pixels.dtype)


def _bare_face(
    pixels: Plate, face: PredictedFace, settings: MergeSettings
) -> tuple[Picture, Matte]:
    picture = face.prediction.face * np.float32(white(pixels))
    return _in_depth(picture, pixels.dtype), chosen_mask(face, settings)


def _in_depth(levels: Levels, dtype: np.dtype[np.generic]) -> Picture:
    if dtype.kind != "u":
        return levels
    if dtype == np.uint8:
        return np.asarray(cv2.convertScaleAbs(levels))
    return np.asarray(np.rint(levels), dtype)
