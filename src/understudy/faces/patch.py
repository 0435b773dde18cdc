"""Square patches cut from a frame at any place, size and angle, without aliasing.

Frame and map in, float RGB 0..1 out. Pixel coordinates count from the centre of the first pixel.
Knows nothing of faces.
"""

import cv2
import numpy as np
from jaxtyping import Float, Float32

from understudy.faces.pixels import Pixels, to_image
from understudy.imaging.geometry import scale_of, transform_points
from understudy.types import Matrix

_MARGIN_PX = 3


def square_matrix(centre: Float[np.ndarray, "2"], side: float, angle: float, size: int) -> Matrix:
    """Map from the pixels of a `size` x `size` patch to the frame.

    The patch covers a square of `side` frame pixels, turned clockwise by `angle` radians.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) * (side / size)
    middle = (size - 1) / 2
    return np.hstack([linear, (centre - linear @ [middle, middle])[:, None]])


def read_patch(
    image: Pixels, patch_to_frame: Matrix, size: int
) -> Float32[np.ndarray, "size size 3"]:
    """The patch, read from means of about as many pixels as one of it covers; black outside.

    Read in the frame's own depth: bytes cost a tenth of what floats do.
    """
    corners = np.array([[0.0, 0.0], [size, 0.0], [size, size], [0.0, size]]) - 0.5
    outline = transform_points(corners, patch_to_frame)
    shrink = max(round(scale_of(patch_to_frame)), 1)
    low = np.floor(outline.min(0)).astype(int) - _MARGIN_PX * shrink
    high = np.ceil(outline.max(0)).astype(int) + _MARGIN_PX * shrink + 1
    height, width = image.shape[:2]
    low, high = np.clip(low, 0, (width, height)), np.clip(high, 0, (width, height))
    if (high - low).min() < 1:
        return np.zeros((size, size, 3), np.float32)
    part = image[low[1] : high[1], low[0] : high[0]]
    matrix = patch_to_frame.copy()
    matrix[:, 2] -= low
    part, matrix = _shrunk(part, matrix, shrink)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return to_image(cv2.warpAffine(np.ascontiguousarray(part), matrix, (size, size), flags=flags))


def _shrunk(part: Pixels, matrix: Matrix, factor: int) -> tuple[Pixels, Matrix]:
    """The part and the map onto it after exact means of whole blocks: cheap, and never too much."""
    height, width = part.shape[0] // factor, part.shape[1] // factor
    if factor == 1 or min(height, width) < 1:
        return part, matrix
    even = np.ascontiguousarray(part[: height * factor, : width * factor])
    small = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
    scaled = matrix / factor
    scaled[:, 2] -= (factor - 1) / (2 * factor)
    return small, scaled
