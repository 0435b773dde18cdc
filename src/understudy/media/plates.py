"""A frame with all that its file holds, so that it goes out again as it came in.

PNG, JPEG, TIFF or OpenEXR in; colours in the file's own numbers (EXR: floats, scene values beyond
0..1 and all), its alpha, and how many bits it takes to keep them. Knows nothing of faces.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from understudy.files import read_bytes
from understudy.media.decoded import EXR, decode_picture, is_half
from understudy.media.images import MAX_BYTES, Pixels, decode_pixels, write_image
from understudy.media.stills import write_still

Colors = Pixels | Float32[np.ndarray, "h w 3"]


@dataclass(frozen=True, slots=True)
class PlateFrame:
    """`bits` are 8 or 16 of whole numbers, or 16 and 32 of floats. Only EXR keeps its `alpha`."""

    colors: Colors
    alpha: Float32[np.ndarray, "h w 1"] | None
    bits: Literal[8, 16, 32]


def read_plate(path: Path) -> PlateFrame:
    """The frame at `path`.

    Raises:
        FileError: it can't be read.
        FormatError: it is no picture, or a damaged one.
    """
    data = read_bytes(path, limit=MAX_BYTES)
    if not data.startswith(EXR):
        pixels = decode_pixels(data, path)
        return PlateFrame(pixels, None, 8 if pixels.dtype == np.uint8 else 16)
    stored = decode_picture(data, "exr", path).astype(np.float32)
    colors = stored[..., :3] if stored.shape[2] >= 3 else stored[..., :1].repeat(3, axis=2)
    alpha = stored[..., 3:4] if stored.shape[2] == 4 else None
    return PlateFrame(np.ascontiguousarray(colors), alpha, 16 if is_half(data) else 32)


def merged_name(plate: Path) -> str:
    """What the finished frame of a plate is called: OpenEXR stays that, all others become PNG."""
    return f"{plate.stem}.exr" if is_exr(plate) else f"{plate.stem}.png"


def is_exr(path: Path) -> bool:
    """Whether the frame there holds floats."""
    return path.suffix.lower() == ".exr"


def write_merged(path: Path, colors: Colors, plate: PlateFrame) -> None:
    """Put the finished frame at `path`, with the depth and the alpha of its plate.

    Raises:
        StorageError: the disk is full or the folder can't be written.
    """
    if not is_exr(path):
        write_image(path, colors)
        return
    whole = colors if plate.alpha is None else np.concatenate([colors, plate.alpha], axis=2)
    write_still(path, whole, bit_depth=plate.bits)
