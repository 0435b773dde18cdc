"""Masks of whole frames against masks of aligned faces: brought into a face, and back.

Masks and matrices in, masks out. Knows no files. Pixel centres are whole numbers; a mask of another
size than its frame is a resized one, so that the edges of both fit.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float32

from understudy.errors import FormatError
from understudy.imaging.geometry import Affine, compose, invert, warp
from understudy.types import FaceSample, Mask

MAX_STRETCH = 1.02  # of one side against the other, before it is no mere resizing

FaceMask = Float32[np.ndarray, "face_h face_w"]
FrameMask = Float32[np.ndarray, "frame_h frame_w"]


def frame_to_face(sample: FaceSample) -> Affine:
    """The map from the face's frame to its picture.

    Raises:
        FormatError: the face does not know it.
    """
    if sample.frame_to_face is None:
        raise FormatError(
            sample.name or "face",
            expected="a face that knows its place in the frame",
            found=f"a {sample.face_type.value} without",
            remedy="Import masks of faces instead of frames, or extract it again.",
        )
    return np.asarray(sample.frame_to_face, np.float64)


def into_face(
    mask: Mask, sample: FaceSample, *, frame_hw: tuple[int, int], face_hw: tuple[int, int]
) -> FaceMask:
    """The part of a frame's mask that the face shows; 0 where the face reaches out of the frame.

    Raises:
        FormatError: the mask has other proportions than the frame, or the face is outside of it.
    """
    check_proportions(mask.shape, frame_hw, sample.name or "mask")
    path = compose(_resizing(mask.shape, frame_hw), frame_to_face(sample))
    points = sample.source_landmarks
    if points is not None:
        middle = points.mean(0)
        if not (0 <= middle[0] < frame_hw[1] and 0 <= middle[1] < frame_hw[0]):
            raise FormatError(
                sample.name or "face",
                expected="a mask of the face's whole frame",
                found=f"one of {mask.shape[1]}x{mask.shape[0]}, and the face lies outside",
                remedy="Put the frames into the folder above the faces, so that their size is "
                "known, or save the mask in the frame's size.",
            )
    warped = warp(mask, path, shape_hw=face_hw, interpolation="area")
    return np.asarray(np.clip(warped, 0.0, 1.0), np.float32)


def into_frame(faces: Iterable[tuple[FaceSample, Mask]], frame_hw: tuple[int, int]) -> FrameMask:
    """Masks of a frame's faces, of their pictures' sizes, where the faces were cut out."""
    whole = np.zeros(frame_hw, np.float32)
    for sample, mask in faces:
        back = invert(frame_to_face(sample))
        warped = warp(mask, back, shape_hw=frame_hw, interpolation="area")
        np.maximum(whole, np.clip(warped, 0.0, 1.0), out=whole)
    return whole


def check_proportions(mask_hw: tuple[int, ...], wanted_hw: tuple[int, int], name: str) -> None:
    """Nothing, if the mask is the picture's, resized.

    Raises:
        FormatError: it is cut or stretched.
    """
    down, across = mask_hw[0] / wanted_hw[0], mask_hw[1] / wanted_hw[1]
    if max(down, across) > MAX_STRETCH * min(down, across):
        raise FormatError(
            name,
            expected=f"a mask of {wanted_hw[1]}x{wanted_hw[0]}, or resized from it",
            found=f"one of {mask_hw[1]}x{mask_hw[0]}",
            remedy="Save it uncut and in the picture's proportions.",
        )


def _resizing(mask_hw: tuple[int, ...], frame_hw: tuple[int, int]) -> Affine:
    """The map from a resized mask to its frame; their corners meet, so that centres do not."""
    across, down = frame_hw[1] / mask_hw[1], frame_hw[0] / mask_hw[0]
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2]], np.float64)
