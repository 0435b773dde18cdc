"""Alignment: the map from a frame to the square picture of one face that models are trained on.

Landmarks in, matrices out; `align_image` applies one to a frame. Knows nothing of detection or
files. Source: reference section 6; golden to 2e-6 of the size.
"""

import numpy as np
from jaxtyping import Float, Float32

from understudy.errors import OptionError
from understudy.faces.landmarks import ALIGN_INDICES, ALIGN_TARGETS
from understudy.imaging.geometry import (
    Interpolation,
    fit_similarity,
    invert,
    matrix_from_points,
    transform_points,
    warp,
)
from understudy.types import FaceType, Image, Landmarks, Matrix

PADDING: dict[FaceType, float] = {
    FaceType.HALF: 0.0,
    FaceType.MIDFULL: 0.0675,
    FaceType.FULL: 0.2109375,
    FaceType.FULL_NO_ALIGN: 0.2109375,
    FaceType.WHOLE: 0.40,
    FaceType.HEAD: 0.70,
    FaceType.HEAD_NO_ALIGN: 0.70,
}
"""Room around the face's unit square, in halves of its diagonal over the root of two."""

_UPWARDS = {FaceType.WHOLE: 0.07, FaceType.HEAD: 0.50}
_UPRIGHT = frozenset({FaceType.FULL_NO_ALIGN, FaceType.HEAD_NO_ALIGN})
_UNIT_SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]], np.float32)
_BOX_SIZE = 256


def face_matrix(
    landmarks: Landmarks, size: int, face_type: FaceType | str, *, scale: float = 1.0
) -> Matrix:
    """Map from frame pixels to the `size` x `size` aligned picture of `face_type`.

    `scale` above 1 shows less around the face.

    Raises:
        OptionError: an unknown face type, or one that has no aligned picture (mark_only).
    """
    kind = _aligned_type(face_type)
    to_unit = unit_matrix(landmarks)
    # Single precision from here on: exchanged models were trained on pictures cut this way.
    back = invert(to_unit).astype(np.float32)
    top_left, top_right, bottom_right, bottom_left, centre = (
        _UNIT_SQUARE[:, :1] * back[:, 0] + _UNIT_SQUARE[:, 1:] * back[:, 1] + back[:, 2]
    )
    u, v = _direction(bottom_right - top_left), _direction(top_right - bottom_left)
    diagonal = float(np.linalg.norm(top_left - bottom_right))
    half = np.float32(diagonal * (PADDING[kind] * np.sqrt(2) + 0.5) / scale)
    if kind in _UPWARDS:
        centre = centre + (top_left - bottom_left) * np.float32(_UPWARDS[kind])
    if kind is FaceType.HEAD:
        turn = _head_turn(transform_points(landmarks, to_unit))
        centre = centre - (top_left - top_right) * np.float32(turn / 2)
    square = np.stack([centre - half * u, centre + half * v, centre + half * u, centre - half * v])
    if kind in _UPRIGHT:
        half_side = np.sqrt(_area(square)) / np.float32(2)
        square = centre + half_side * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    return matrix_from_points(square[:3], np.array([[0, 0], [size, 0], [size, size]], np.float32))


def _direction(
    vector: Float32[np.ndarray, " 2"],
) -> Float32[np.ndarray, " 2"]:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def _area(corners: Float32[np.ndarray, "4 2"]) -> np.float32:
    """Area by the shoelace formula, with the roundings that the predecessor's vector unit makes."""
    x, y = corners.T
    gains, losses = x * np.roll(y, 1), y * np.roll(x, 1)
    gain, loss = ((part[0] + part[1]) + (part[2] + part[3]) for part in (gains, losses))
    return np.float32(0.5 * abs(gain - loss))


def unit_matrix(landmarks: Landmarks) -> Matrix:
    """Map from frame pixels to the unit square the mean face lies in."""
    points = np.asarray(landmarks, np.float64)[list(ALIGN_INDICES)]
    return fit_similarity(points, ALIGN_TARGETS)


def face_square(matrix: Matrix, size: int) -> Float[np.ndarray, "4 2"]:
    """Corners of the aligned picture in the frame, from the top left clockwise."""
    last = size - 1.0
    corners = np.array([[0.0, 0.0], [last, 0.0], [last, last], [0.0, last]])
    return transform_points(corners, invert(matrix))


def box_from_landmarks(landmarks: Landmarks) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the upright square of a full face around the landmarks."""
    matrix = face_matrix(landmarks, _BOX_SIZE, FaceType.FULL_NO_ALIGN)
    corners = face_square(matrix, _BOX_SIZE)
    left, top = corners[0]
    right, bottom = corners[2]
    return float(left), float(top), float(right), float(bottom)


def align_image(
    frame: Image, matrix: Matrix, size: int, *, interpolation: Interpolation = "area"
) -> Float32[np.ndarray, "{size} {size} 3"]:
    """The `size` x `size` aligned picture that `matrix` cuts from `frame`; black outside.

    "area" (the default) keeps a large face in a small picture free of aliasing; "bilinear" is what
    DFL does.
    """
    aligned = warp(frame, matrix, shape_hw=(size, size), interpolation=interpolation)
    return np.asarray(np.clip(aligned, 0.0, 1.0))


def _aligned_type(face_type: FaceType | str) -> FaceType:
    known = [kind.value for kind in PADDING]
    if face_type not in known:
        raise OptionError(
            "face type",
            expected=f"one of {', '.join(known)}",
            found=repr(str(face_type)),
            remedy="Use one of these names.",
        )
    return FaceType(face_type)


def _head_turn(unit: Landmarks) -> float:
    """Signed turn of the head, flattened near zero: how far the nose is off the jaw's middle."""
    right = np.mean([unit[27 + k, 0] - unit[k, 0] for k in range(3)])
    left = np.mean([unit[16 - k, 0] - unit[27 + k, 0] for k in range(3)])
    turn = left - right
    return float(turn * abs(np.tanh(2 * turn)))
