"""The mask of a face as a picture: the applied one, the drawn one, or the hull of its landmarks.

A face in, a mask of its picture's size out. Knows no files. Source:
reference sections 7, 10 and 11.
"""

from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32

from understudy.errors import MaterialError
from understudy.faces.regions import hull_mask
from understudy.facesets.dfl.face_file import picture_shape
from understudy.masks.polygons import is_labelled, rasterize
from understudy.types import FaceSample, Mask

MaskKind = Literal["auto", "applied", "drawn", "hull"]
Found = Literal["applied", "drawn", "hull"]

SPECK = 0.001
"""Of the picture: what is smaller in a painted mask is a fault of the net, and no face or hand."""

_ORDER: tuple[Found, ...] = ("applied", "drawn", "hull")


def face_mask(sample: FaceSample, kind: MaskKind = "auto") -> tuple[Mask, Found]:
    """The mask of that kind in the picture's size, and which one it is.

    "auto" takes the applied mask, without one the polygons drawn by hand, without these the hull.

    Raises:
        MaterialError: the face has no mask of that kind.
    """
    shape_hw = picture_shape(sample)
    for one in _ORDER if kind == "auto" else (kind,):
        if one == "applied" and sample.mask is not None:
            return resized(sample.mask, shape_hw), one
        if one == "drawn" and is_labelled(sample.polygons):
            return rasterize(sample.polygons, shape_hw), one
        if one == "hull":
            return hull_mask(sample.landmarks, shape_hw, sample.brow_expand), one
    raise MaterialError(
        sample.name or "face",
        expected="an applied mask" if kind == "applied" else "polygons drawn by hand",
        found="none",
        remedy="Choose another --kind: auto, hull.",
    )


def hardened(mask: Mask) -> Mask:
    """The mask in black and white, cut at one half."""
    return np.asarray(mask >= 0.5, np.float32)


def without_specks(mask: Mask) -> Mask:
    """The mask in black and white without islands and holes too small to be meant."""
    clean = hardened(mask)
    for level in (0.0, 1.0):
        _, areas, stats, _ = cv2.connectedComponentsWithStats(np.asarray(clean == level, np.uint8))
        small = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] < SPECK * mask.size)
        clean[np.isin(areas, small[small > 0])] = 1.0 - level
    return clean


def resized(mask: Mask, shape_hw: tuple[int, int]) -> Float32[np.ndarray, "result_h result_w"]:
    """The mask at another size, without aliasing."""
    if mask.shape == shape_hw:
        return mask
    smaller = shape_hw[0] * shape_hw[1] < mask.size
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask, shape_hw[::-1], interpolation=method), np.float32)
