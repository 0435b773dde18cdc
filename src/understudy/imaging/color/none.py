"""No colour transfer: the face as it is."""

import numpy as np

from understudy.imaging.color.methods import COLOR_TRANSFERS, PlateImage
from understudy.types import Image, Mask


@COLOR_TRANSFERS.register("none")
def keep_colors(
    face: Image, plate: PlateImage, mask: Mask | None, rng: np.random.Generator | None
) -> Image:
    """`face`, untouched."""
    return face
