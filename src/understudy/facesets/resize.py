"""Faces at another size or cut to another face type, with all that is known of them.

A face in, a face out: picture, landmarks, polygons, mask and matrix go together. A target that
shows more than the picture holds is refused, because there is nothing to show there but black.
Knows no folders and no files. Source: reference section 10, golden.
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float, Float32

from understudy.errors import MaterialError
from understudy.faces.align import face_matrix
from understudy.imaging.geometry import Affine, Points, compose, invert, transform_points, warp
from understudy.types import FaceSample, FaceType, Image, Landmarks, Mask, Matrix, Polygon

_MAX_MISSING = 0.01  # a head's square ends a hair above a whole face's
_DFL_MASK_SIZE = 256
_LEAST_MARGIN_PX, _MARGIN_PART = 8, 32  # more than filters reach and than may be missing


def resize_face(
    sample: FaceSample,
    size: int,
    *,
    face_type: FaceType | None = None,
    dfl_parity: bool = False,
) -> FaceSample:
    """`sample` as a `size` x `size` picture of `face_type` (None: of its own); lazy in its picture.

    A face that is so already comes back as it is. Points of the picture are multiplied as aligning
    to that size would, and the picture is resampled to fit them, without aliasing; `dfl_parity`
    gives DFL's pixels and its mask of 256 x 256, black and white.

    Raises:
        MaterialError: the picture is not square, or holds too little for `face_type`.
    """
    picture = sample.image
    height, width = picture.shape[:2]
    target = face_type or sample.face_type
    if target is sample.face_type and height == width == size:
        return sample
    if target is sample.face_type:
        return _scaled(sample, picture, size, dfl_parity=dfl_parity)
    if target is FaceType.MARK_ONLY:
        raise _refused(sample, target, "an aligned picture, not the frame it was cut from")
    change = _change_of_type(sample, size, target, dfl_parity=dfl_parity)
    missing = missing_share(change, (height, width), size)
    if missing > _MAX_MISSING:
        raise _refused(sample, target, f"one without {missing:.0%} of what it would show")
    return replace(
        _moved(sample, change, size, target),
        load=_recut(sample.load, change, size, dfl_parity=dfl_parity),
        mask=_moved_mask(sample, change, (height, width), size, dfl_parity=dfl_parity),
    )


def missing_share(change: Affine, shape_hw: tuple[int, int], size: int) -> float:
    """How much of the `size` x `size` result of `change` lies outside a picture of `shape_hw`."""
    height, width = shape_hw
    square = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float64)
    wanted = transform_points(square, invert(change)).astype(np.float32)
    there = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    covered, _ = cv2.intersectConvexConvex(wanted, there)
    return max(0.0, 1.0 - float(covered) / max(float(cv2.contourArea(wanted)), 1e-9))


def _change_of_type(sample: FaceSample, size: int, target: FaceType, *, dfl_parity: bool) -> Affine:
    """Map from the picture there is to the one wanted."""
    upright = target in (FaceType.FULL_NO_ALIGN, FaceType.HEAD_NO_ALIGN)
    known = sample.source_landmarks is not None and sample.frame_to_face is not None
    if upright and known and not dfl_parity:  # upright in the frame, which the aligned one is not
        wanted = face_matrix(_points(sample.source_landmarks), size, target)
        return compose(invert(_matrix(sample.frame_to_face)), wanted)
    return face_matrix(sample.landmarks, size, target)


def _scaled(sample: FaceSample, picture: Image, size: int, *, dfl_parity: bool) -> FaceSample:
    height, width = picture.shape[:2]
    if height != width or sample.face_type is FaceType.MARK_ONLY:
        raise MaterialError(
            sample.name or "face",
            expected="a square picture of a face",
            found=f"one of {width}x{height}",
            remedy="Only aligned faces are resized; extract this one again.",
        )
    factor = size / width
    change = np.array([[factor, 0.0, 0.0], [0.0, factor, 0.0]])
    moved = _moved(sample, change, size, sample.face_type)
    return replace(moved, load=_rescaled(sample.load, change, size, dfl_parity=dfl_parity))


def _moved(sample: FaceSample, change: Affine, size: int, target: FaceType) -> FaceSample:
    """All that is in pixels of the picture, through `change`."""
    matrix: Matrix | None = None
    if sample.source_landmarks is not None:
        matrix = face_matrix(sample.source_landmarks, size, target)
    elif sample.frame_to_face is not None:
        matrix = compose(sample.frame_to_face, change)
    return replace(
        sample,
        landmarks=transform_points(sample.landmarks, change),
        face_type=target,
        polygons=tuple(
            Polygon(include, _single(transform_points(points, change)))
            for include, points in sample.polygons
        ),
        frame_to_face=matrix,
        encoded=None,
    )


def _rescaled(
    load: Callable[[], Image], change: Affine, size: int, *, dfl_parity: bool
) -> Callable[[], Image]:
    def rescaled() -> Image:
        if dfl_parity:
            return _unit(cv2.resize(load(), (size, size), interpolation=cv2.INTER_LANCZOS4))
        return _resampled(load(), change, size)

    return rescaled


def _recut(
    load: Callable[[], Image], change: Affine, size: int, *, dfl_parity: bool
) -> Callable[[], Image]:
    def recut() -> Image:
        if dfl_parity:
            shape = (size, size)
            return _unit(warp(load(), change, shape_hw=shape, interpolation="lanczos"))
        return _resampled(load(), change, size)

    return recut


def _resampled(picture: Image, change: Affine, size: int) -> Float32[np.ndarray, "{size} {size} 3"]:
    """The picture through `change` as extraction would cut it; its rim goes on outside it."""
    margin = max(_LEAST_MARGIN_PX, max(picture.shape[:2]) // _MARGIN_PART)
    sides = (margin, margin)
    wide = np.pad(picture, (sides, sides, (0, 0)), mode="edge")
    back = np.array([[1.0, 0.0, -margin], [0.0, 1.0, -margin]])
    path = compose(back, change)
    return _unit(warp(wide, path, shape_hw=(size, size), interpolation="area"))


def _moved_mask(
    sample: FaceSample, change: Affine, shape_hw: tuple[int, int], size: int, *, dfl_parity: bool
) -> Mask | None:
    """The mask for the picture after `change`, in its own size."""
    if sample.mask is None:
        return None
    mask = sample.mask
    if dfl_parity:
        mask = cv2.resize(mask, (_DFL_MASK_SIZE, _DFL_MASK_SIZE), interpolation=cv2.INTER_LINEAR)
    (height, width), side = shape_hw, max(mask.shape)
    to_picture = np.array([[width / mask.shape[1], 0.0, 0.0], [0.0, height / mask.shape[0], 0.0]])
    to_mask = np.array([[side / size, 0.0, 0.0], [0.0, side / size, 0.0]])
    path = compose(compose(to_picture, change), to_mask)
    if dfl_parity:
        moved = warp(mask, path, shape_hw=(side, side), interpolation="lanczos")
        return np.asarray(moved >= 0.5, np.float32)
    # Outside the old mask there is no face; cubic warps overshoot a sharp edge.
    return _unit(warp(mask, path, shape_hw=(side, side), interpolation="area"))


def _refused(sample: FaceSample, target: FaceType, found: str) -> MaterialError:
    return MaterialError(
        sample.name or "face",
        expected=f"a picture that holds all a {target.value} shows",
        found=f"a {sample.face_type.value}, {found}",
        remedy=f"Extract it from its frame again, with --face-type {target.value}.",
    )


def _unit(picture: Float[np.ndarray, "..."]) -> np.ndarray:
    return np.clip(np.asarray(picture, np.float32), 0.0, 1.0)


def _single(points: Points) -> np.ndarray:
    return np.asarray(points, np.float32)


def _points(points: Landmarks | None) -> Landmarks:
    return np.asarray(points, np.float64)


def _matrix(matrix: Matrix | None) -> Matrix:
    return np.asarray(matrix, np.float64)
