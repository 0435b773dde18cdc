"""Frames as they are stored, so that a whole frame need not be converted for one face in it."""

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

from understudy.types import Image

Pixels = UInt8[np.ndarray, "_ _ 3"] | UInt16[np.ndarray, "_ _ 3"] | Float32[np.ndarray, "_ _ 3"]
"""A frame or a part of one: RGB; uint8, uint16, or float32 0..1."""


def white(pixels: Pixels) -> float:
    """The number that stands for full brightness."""
    return float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else 1.0


def to_image(pixels: Pixels) -> Image:
    """The same picture as float32 0..1."""
    image = np.array(pixels, np.float32)
    if pixels.dtype.kind == "u":
        image *= np.float32(1 / white(pixels))
    return image
