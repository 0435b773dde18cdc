"""Frames as they are stored, so that a whole frame need not be converted for one face in it."""

import cv2
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


def encoded_face(pixels: Pixels, *, quality: int | None) -> bytes:
    """The picture in 8 bits as a JPEG with colour in full size, or as a PNG if `quality` is None.

    Colour at half size, the codec's default, would bleed over lips and lids.
    """
    if pixels.dtype == np.uint8:
        levels = pixels
    else:
        levels = np.rint(np.asarray(pixels, np.float32) * (255 / white(pixels))).astype(np.uint8)
    bgr = cv2.cvtColor(levels, cv2.COLOR_RGB2BGR)
    full_color = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    settings = () if quality is None else (cv2.IMWRITE_JPEG_QUALITY, quality, *full_color)
    done, data = cv2.imencode(".png" if quality is None else ".jpg", bgr, settings)
    if not done:
        raise ValueError(f"a picture of shape {levels.shape} can't be encoded")
    return np.asarray(data).tobytes()
