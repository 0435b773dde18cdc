"""Plane geometry: similarity fits, affine maps of points, warps of pictures by a matrix.

Points and matrices in, points, matrices and pictures out; pixel coordinates are taken as they are
(the centre of the top-left pixel is (0, 0)). Knows nothing of faces or files.
"""

from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Float32

Points = Float[np.ndarray, "n 2"]
Affine = Float[np.ndarray, "2 3"]
Picture = Float32[np.ndarray, "h w *channels"]
Warped = Float32[np.ndarray, "result_h result_w *channels"]
Interpolation = Literal["nearest", "bilinear", "cubic", "lanczos", "area"]

_CV2_FLAGS: dict[Interpolation, int] = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}
_LARGEST_CANVAS = 4096


def fit_similarity(source: Points, target: Points) -> Affine:
    """Rotation, uniform scale and shift that take `source` closest to `target`, without mirroring.

    Points that all coincide give the shift alone. Means are taken in each array's own precision.

    Source: Umeyama, "Least-squares estimation of transformation parameters between two point
    patterns", 1991.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    source_centred, target_centred = source - source_mean, target - target_mean
    covariance = target_centred.T @ source_centred / len(source)
    variance = float(source_centred.var(axis=0).sum())
    if variance == 0.0:
        return np.hstack([np.eye(2), (target_mean - source_mean)[:, None]])
    left, singular, right = np.linalg.svd(covariance)
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = left @ np.diag(signs) @ right
    linear = rotation * float(singular @ signs) / variance
    return np.hstack([linear, (target_mean - linear @ source_mean)[:, None]])


def transform_points(points: Points, matrix: Affine) -> Points:
    """`points` through `matrix`, in double precision."""
    moved = np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(moved)


def invert(matrix: Affine) -> Affine:
    """The map that undoes `matrix`.

    Raises:
        ValueError: the map flattens the plane.
    """
    linear = matrix[:, :2].astype(np.float64)
    determinant = linear[0, 0] * linear[1, 1] - linear[0, 1] * linear[1, 0]
    if determinant == 0 or not np.isfinite(determinant):
        raise ValueError(f"a matrix that can be inverted is needed, not {matrix.tolist()}")
    inverse = np.array([[linear[1, 1], -linear[0, 1]], [-linear[1, 0], linear[0, 0]]]) / determinant
    return np.hstack([inverse, -(inverse @ matrix[:, 2])[:, None]])


def compose(first: Affine, then: Affine) -> Affine:
    """One map that does `first` and after it `then`."""
    linear = then[:, :2] @ first[:, :2]
    return np.hstack([linear, (then[:, :2] @ first[:, 2] + then[:, 2])[:, None]])


def matrix_from_points(
    source: Float[np.ndarray, "3 2"], target: Float[np.ndarray, "3 2"]
) -> Affine:
    """The affine map that takes three points to three others."""
    system = np.hstack([source.astype(np.float64), np.ones((3, 1))])
    return np.asarray(np.linalg.solve(system, target.astype(np.float64)).T)


def scale_of(matrix: Affine) -> float:
    """How many times longer lengths become, as the root of the change of area."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2].astype(np.float64)))))


def warp(
    picture: Picture,
    matrix: Affine,
    *,
    shape_hw: tuple[int, int],
    interpolation: Interpolation = "bilinear",
) -> Warped:
    """`picture` moved by `matrix` (source to result) onto a black canvas of `shape_hw`.

    "area" averages all source pixels that fall on a result pixel when the matrix shrinks, and is
    cubic when it does not; the others read a fixed neighbourhood and alias when they shrink.
    """
    if interpolation == "area":
        return _warp_area(picture, matrix, shape_hw)
    return _warp(picture, matrix, shape_hw, _CV2_FLAGS[interpolation])


def _warp(picture: Picture, matrix: Affine, shape_hw: tuple[int, int], flags: int) -> Warped:
    height, width = shape_hw
    warped = cv2.warpAffine(
        picture,
        matrix.astype(np.float64),
        (width, height),
        flags=flags,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return np.asarray(warped, np.float32).reshape(height, width, *picture.shape[2:])


def _warp_area(picture: Picture, matrix: Affine, shape_hw: tuple[int, int]) -> Warped:
    """Warp onto a canvas a whole number of times as fine, then take exact means of its boxes."""
    most = max(_LARGEST_CANVAS // max(shape_hw), 1)
    factor = min(int(np.ceil(1 / max(scale_of(matrix), 1e-6) - 0.05)), most)
    if factor <= 1:
        return _warp(picture, matrix, shape_hw, cv2.INTER_CUBIC)
    # Result pixel i covers fine pixels f*i .. f*i+f-1, whose centre is f*i + (f-1)/2.
    fine = matrix * float(factor)
    fine[:, 2] += (factor - 1) / 2
    height, width = shape_hw
    flags = cv2.INTER_CUBIC if factor == 2 else cv2.INTER_LINEAR
    large = _warp(picture, fine, (height * factor, width * factor), flags)
    small = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(height, width, *picture.shape[2:])
