"""Filters that vary pictures a mask net learns from: colour, sharpness, motion, size, compression.

Batches of pictures (NCHW RGB float32) and numbers per picture in, pictures out, on the device the
pictures are on; nothing is drawn here. Blurs and resizes are matrices applied to both axes, sharpen
and motion blur small kernels, so that pictures of one batch may each have their own. Only JPEG
leaves the device. Source: reference "networks, losses, training", section 13.6, golden.
"""

from functools import lru_cache

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional as F

from understudy.training.samples.augment import shift_hsv

__all__ = [
    "blurring",
    "down_up_bilinear",
    "down_up_nearest",
    "faded_circles",
    "filter_small",
    "jpeg",
    "levels",
    "motion_kernel",
    "sharpen_kernel",
    "shift_hsv",
    "spread",
]

KERNEL = 5
"""Side of the canvas small kernels are put on."""

_FRACTION = 32  # positions of the turned line are told in parts of a pixel


def levels(
    faces: Float[Tensor, "b 3 h w"], uniform: Float[Tensor, "b 5 3"]
) -> Float[Tensor, "b 3 h w"]:
    """Each channel with other black and white points and another gamma.

    `uniform` holds draws of 0..1: input black, input white, gamma, output black, output white.
    """
    draws = uniform[..., None, None]  # b 5 3 1 1
    in_black, in_white = 0.25 * draws[:, 0], 1 - 0.25 * draws[:, 1]
    gamma = 0.5 + draws[:, 2]
    out_black, out_white = 0.25 * draws[:, 3], 1 - 0.25 * draws[:, 4]
    stretched = ((faces - in_black) / (in_white - in_black)).clamp(0, 1)
    return stretched ** (1 / gamma) * (out_white - out_black) + out_black


def faded_circles(places: Float[Tensor, "b 4"], side: int) -> Float[Tensor, "b 1 side side"]:
    """Discs of 1 that fade to 0: inner radius, width of the fade, centre y and x, in pixels."""
    inner, fade, y, x = (places[:, k].view(-1, 1, 1) for k in range(4))
    line = torch.arange(side, device=places.device, dtype=places.dtype)
    away = torch.sqrt((line.view(1, -1, 1) - y) ** 2 + (line.view(1, 1, -1) - x) ** 2)
    faded = 1 - (away - inner).clamp_min(0) / (inner + fade).clamp_min(1)
    return faded.clamp(0, 1)[:, None]


# ---------------------------------------------------------------- small kernels


def sharpen_kernel(size: int, amount: float, *, box: bool) -> Float32[np.ndarray, "5 5"]:
    """Kernel that adds `amount` of what a box or Gaussian of `size` (odd) takes away."""
    point = _on_canvas(np.ones((1, 1), np.float32))
    if box:
        mean = np.full((size, size), 1 / size**2, np.float32)
        return np.asarray(point + (point - _on_canvas(mean)) * np.float32(amount), np.float32)
    line = np.asarray(cv2.getGaussianKernel(size, 0), np.float32)
    blur = _on_canvas(line @ line.T)
    made = point * np.float32(1 + amount / 2) - blur * np.float32(amount / 2)
    return np.asarray(made, np.float32)


@lru_cache(maxsize=4096)
def motion_kernel(size: int, degrees: int) -> Float32[np.ndarray, "5 5"]:
    """A line of `size` pixels, turned; what it covers sums to 1."""
    row = (size - 1) // 2
    angle = np.deg2rad(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    centre = size / 2 - 0.5
    y, x = np.mgrid[:size, :size].astype(np.float64)
    # the line is read at positions rounded to a part of a pixel, as the predecessor's library does
    from_x = cosine * (x - centre) - sine * (y - centre) + centre
    from_y = sine * (x - centre) + cosine * (y - centre) + centre
    from_x, from_y = (np.floor(p * _FRACTION + 0.5) / _FRACTION for p in (from_x, from_y))
    inside = np.clip(1 - np.maximum(from_x - (size - 1), 0) - np.maximum(-from_x, 0), 0, 1)
    kernel = np.clip(1 - np.abs(from_y - row), 0, 1) * inside
    return _on_canvas((kernel / kernel.sum()).astype(np.float32))


def _on_canvas(kernel: Float32[np.ndarray, "k k"]) -> Float32[np.ndarray, "5 5"]:
    """The kernel around the canvas' centre; one of even side reaches further up and left."""
    canvas = np.zeros((KERNEL, KERNEL), np.float32)
    start = KERNEL // 2 - len(kernel) // 2
    canvas[start : start + len(kernel), start : start + len(kernel)] = kernel
    return canvas


def filter_small(
    faces: Float[Tensor, "b 3 h w"], kernels: Float[Tensor, "b 5 5"]
) -> Float[Tensor, "b 3 h w"]:
    """Each picture through its own kernel, mirrored at the rim."""
    padded = F.pad(faces, [KERNEL // 2] * 4, mode="reflect").transpose(0, 1)  # 3 b h w
    made = F.conv2d(padded, kernels[:, None], groups=len(faces))
    return made.transpose(0, 1)


# ---------------------------------------------------------------- matrices for both axes


def spread(
    faces: Float[Tensor, "b c h h"], matrices: Float[Tensor, "b h h"]
) -> Float[Tensor, "b c h h"]:
    """Each picture with its own matrix applied to its columns and its rows."""
    wide = matrices[:, None]
    return wide @ faces @ wide.transpose(2, 3)


def blurring(size: int, side: int) -> Float32[np.ndarray, "side side"]:
    """Matrix of a Gaussian blur of `size` (odd) pixels, mirrored at the rim."""
    window = np.asarray(cv2.getGaussianKernel(size, 0), np.float64)[:, 0]
    reach = np.zeros(3 * side)
    reach[: size // 2 + 1] = window[size // 2 :]
    row, column = np.mgrid[:side, :side]
    matrix = reach[np.abs(row - column)]
    matrix += np.where(column > 0, reach[row + column], 0)
    matrix += np.where(column < side - 1, reach[2 * (side - 1) - row - column], 0)
    return np.asarray(matrix, np.float32)


def down_up_bilinear(small: int, side: int) -> Float32[np.ndarray, "side side"]:
    """Matrix of a reduction to `small` pixels and back, both bilinear."""
    made = _bilinear(small, side) @ _bilinear(side, small)
    return np.asarray(made, np.float32)


def down_up_nearest(small: int, side: int) -> Float32[np.ndarray, "side side"]:
    """Matrix of a reduction to `small` pixels and back, both taking the nearest pixel."""
    up = np.minimum(np.floor(np.arange(side) * (small / side)), small - 1)
    source = np.minimum(np.floor(up * (side / small)), side - 1).astype(int)
    return np.asarray(np.eye(side, dtype=np.float32)[source])


def _bilinear(have: int, want: int) -> np.ndarray:
    """(want, have): each wanted pixel from its two neighbours, the rim repeated."""
    at = np.clip((np.arange(want) + 0.5) * (have / want) - 0.5, 0, have - 1)
    low = np.minimum(np.floor(at).astype(int), max(have - 2, 0))
    part = at - low
    matrix = np.zeros((want, have))
    matrix[np.arange(want), low] = 1 - part
    matrix[np.arange(want), np.minimum(low + 1, have - 1)] += part
    return matrix


# ---------------------------------------------------------------- compression


def jpeg(faces: Float[Tensor, "b 3 h w"], qualities: list[int]) -> Float[Tensor, "b 3 h w"]:
    """The pictures after JPEG compression; it is the library's own, on the processor."""
    levels_8 = (faces * 255).clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
    made = []
    for picture, quality in zip(levels_8, qualities, strict=True):
        _, data = cv2.imencode(".jpg", picture[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality))
        decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        made.append(decoded[..., ::-1])
    pictures = torch.from_numpy(np.ascontiguousarray(np.stack(made)))
    return pictures.to(faces.device).permute(0, 3, 1, 2).to(faces.dtype) / 255
