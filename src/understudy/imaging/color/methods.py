"""The lists of colour transfers: what the modules beside this one enter themselves in.

A transfer gives one picture (the face) the colours of another (the plate). `COLOR_TRANSFERS` holds
the whole operation under the field's names and to its numbers; `COLOR_FITS` holds, for those that
treat every pixel alike, the map of colours alone, so that a caller can measure on the pixels that
count and colour all of them. No files, no state.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from jaxtyping import Float32

from understudy.registry import Registry
from understudy.types import Image, Mask

PlateImage = Float32[np.ndarray, "plate_h plate_w 3"]
"""As Image; need not have the face's size."""

ColorMap = Callable[[Image], Image]
"""Gives every pixel of a picture its new colour; may leave 0..1 slightly."""

ColorFit = Callable[[Image, PlateImage], ColorMap]
"""Map of colours from the pixels of a face to those of a plate (any numbers of pixels)."""


class ColorTransfer(Protocol):
    """`face` in the colours of `plate`.

    Pixels outside `mask` are not left out but counted as black, as the field's tools have it; None
    counts everything as it is. A mask needs both of its size. `rng` is drawn from by the transfers
    that are random.
    """

    def __call__(
        self, face: Image, plate: PlateImage, mask: Mask | None, rng: np.random.Generator | None
    ) -> Image: ...


COLOR_TRANSFERS: Registry[ColorTransfer] = Registry("colour transfer")
COLOR_FITS: Registry[ColorFit] = Registry("colour fit")


def blacken(picture: Image, mask: Mask | None) -> Image:
    """`picture` with black where `mask` is below 0.5; itself without a mask."""
    if mask is None:
        return picture
    return np.asarray(np.where(mask[..., None] >= 0.5, picture, np.float32(0)))
