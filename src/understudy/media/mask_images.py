"""Masks that other programs painted, and pictures for them to paint on.

A picture file in black and white, or with an alpha channel, in; a mask out. A picture and its mask
in; one file with straight alpha out. Knows nothing of faces.
"""

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import UInt8, UInt16

from understudy.errors import FormatError, from_os_error
from understudy.files import read_bytes
from understudy.media.images import MAX_BYTES, decode_stored, to_pixels
from understudy.media.picture_size import picture_size
from understudy.types import Image, Mask

Channel = Literal["auto", "alpha", "grey"]

_STORED = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
_HEADER_BYTES = 1 << 20
_GREY_SPREAD = 0.1  # of a pixel's channels, before it counts as coloured
_COLORED = 0.005  # of all pixels, before the picture does


def read_mask(path: Path, channel: Channel = "auto") -> Mask:
    """The mask in a picture of 8 or 16 bits.

    "auto" takes the alpha channel unless there is none or all of it is opaque, else the grey
    levels; "grey" is the brightness, whatever the alpha channel holds.

    Raises:
        FileError: it can't be read.
        FormatError: it is no picture, has no such channel, or is a photograph for all one can see.
    """
    stored = decode_stored(read_bytes(path, limit=MAX_BYTES), path, flags=_STORED)
    levels = np.asarray(stored, np.float32) / np.float32(np.iinfo(stored.dtype).max)
    alpha = levels[..., 3] if levels.ndim == 3 and levels.shape[2] == 4 else None
    if channel == "alpha" and alpha is None:
        raise _no_mask(path, "a picture with an alpha channel", "one without")
    if alpha is not None and (channel == "alpha" or (channel == "auto" and alpha.min() < 1)):
        return np.ascontiguousarray(alpha)
    if levels.ndim == 2 or levels.shape[2] == 1:
        return np.ascontiguousarray(levels.reshape(levels.shape[:2]))
    colors = np.ascontiguousarray(levels[..., :3])
    spread = colors.max(2) - colors.min(2)
    if channel == "auto" and float((spread > _GREY_SPREAD).mean()) > _COLORED:
        raise _no_mask(path, "black and white, or an alpha channel", "colours")
    return np.asarray(cv2.cvtColor(colors, cv2.COLOR_BGR2GRAY), np.float32)


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) of a picture, by its header alone.

    Raises:
        FileError: it can't be read.
        FormatError: it is no picture.
    """
    try:
        with path.open("rb") as stream:
            size = picture_size(stream.read(_HEADER_BYTES))
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error
    if size is None:  # a TIFF may have its sizes at its end
        size = picture_size(read_bytes(path, limit=MAX_BYTES))
    if size is None:
        raise _no_mask(path, "a picture", "something else")
    return size


def encode_cutout(picture: Image, mask: Mask) -> bytes:
    """PNG of a picture with its mask as straight alpha: what is cut out is still there."""
    pixels: UInt8[np.ndarray, "h w 4"] | UInt16[np.ndarray, "h w 4"] = to_pixels(
        np.concatenate([picture[..., ::-1], mask[..., None]], 2)
    )
    return np.asarray(cv2.imencode(".png", pixels)[1]).tobytes()


def encode_mask(mask: Mask) -> bytes:
    """PNG of a mask, in grey."""
    return np.asarray(cv2.imencode(".png", to_pixels(mask[..., None]))[1]).tobytes()


def _no_mask(path: Path, expected: str, found: str) -> FormatError:
    return FormatError(
        path,
        expected=expected,
        found=found,
        remedy="Save the mask alone as a picture, or choose with --channel: alpha, grey.",
    )
