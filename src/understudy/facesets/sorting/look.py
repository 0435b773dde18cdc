"""What one face file says about itself: pose, size, light, sharpness, histograms.

A picture file in, rows of numbers out, in kinds that are worked out and cached together: whoever
decodes the picture for its brightness has its histograms for nothing. Knows nothing of other faces.
Source: reference "dfl-pipeline" section 9; the numbers are those DFL sorts by.
"""

import functools
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any  # numpy's structured rows hold a type per field

import cv2
import numpy as np
from jaxtyping import UInt8, UInt32

from understudy.errors import FormatError
from understudy.faces.identity.registry import EMBEDDERS, Embedder
from understudy.faces.plausibility import shape_error
from understudy.faces.pose import head_pose
from understudy.faces.regions import hull_mask
from understudy.facesets.dfl import containers
from understudy.facesets.dfl.face_file import parse_face, sidecar_path
from understudy.files import read_bytes
from understudy.imaging.sharpness import sharpness_of_levels
from understudy.media.images import decode_pixels
from understudy.types import FaceSample

THUMB_PX = 32
SOURCE_BYTES = 255
_MAX_BYTES = 1 << 28

Levels = UInt8[np.ndarray, "h w 3"]
Plane = UInt8[np.ndarray, "h w"]
Row = np.ndarray[Any, np.dtype[Any]]
"""One record of a kind's dtype, of shape ()."""


class Look:
    """A picture file that is read once, and only as far as it is asked about."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def data(self) -> bytes:
        """The file's bytes."""
        return read_bytes(self.path, limit=_MAX_BYTES)

    @cached_property
    def face(self) -> FaceSample | None:
        """The face the file's metadata tell of; None where they don't: such a file is no face."""
        try:
            header = containers.read_header(io.BytesIO(self.data), self.path)
            return parse_face(
                header.payload,
                source=self.path,
                name=self.path.name,
                encoded=lambda: self.data,
                sidecar=sidecar_path(self.path),
            )
        except FormatError:
            return None

    @cached_property
    def levels(self) -> Levels:
        """RGB of 8 bits."""
        pixels = decode_pixels(self.data, self.path)
        return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)

    @cached_property
    def hull(self) -> Plane:
        """1 inside the hull of the face, 0 outside; 1 everywhere where there is no face."""
        shape = self.levels.shape[0], self.levels.shape[1]
        if self.face is None:
            return np.ones(shape, np.uint8)
        return hull_mask(self.face.landmarks, shape, self.face.brow_expand).astype(np.uint8)

    @cached_property
    def grey(self) -> Plane:
        """Brightness of 8 bits."""
        return np.asarray(cv2.cvtColor(self.levels, cv2.COLOR_RGB2GRAY), np.uint8)

    @cached_property
    def masked_grey(self) -> Plane:
        """The same, black outside the hull."""
        return np.asarray(cv2.bitwise_and(self.grey, self.grey, mask=self.hull), np.uint8)


@dataclass(frozen=True, slots=True)
class Kind:
    """Numbers worked out together. `version` goes up when they change: old ones are forgotten."""

    name: str
    version: int
    dtype: np.dtype[Any]
    measure: Callable[[Look], Row]


def _record(look: Look) -> Row:
    row = np.zeros((), _RECORD)
    face = look.face
    if face is None:
        return row
    size = containers.read_header(io.BytesIO(look.data), look.path).shape_hw[0]
    row["is_face"] = True
    row["pitch"], row["yaw"], row["roll"] = head_pose(face.landmarks, size)
    row["misfit"] = shape_error(face.landmarks)
    if face.source_box is not None:
        left, top, right, bottom = face.source_box
        row["rect_area"] = abs((right - left) * (bottom - top))
    row["source"] = (face.source_name or "").encode(errors="surrogateescape")[:SOURCE_BYTES]
    return row


def _light(look: Look) -> Row:
    row = np.zeros((), _LIGHT)
    row["hue"], _, row["brightness"], _ = cv2.mean(cv2.cvtColor(look.levels, cv2.COLOR_RGB2HSV))
    row["black"] = look.levels.size - np.count_nonzero(look.levels)
    return row


def _histograms(look: Look) -> Row:
    row = np.zeros((), _HISTOGRAMS)
    for channel in range(3):
        row["color"][channel] = _histogram(look.levels, channel)
    row["grey"], row["masked_grey"] = _histogram(look.grey, 0), _histogram(look.masked_grey, 0)
    return row


def _thumb(look: Look) -> Row:
    row = np.zeros((), _THUMB)
    small = cv2.resize(look.levels, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA)
    row["picture"], row["shape"] = small, look.levels.shape[:2]
    height, width = look.levels.shape[:2]
    row["residual"] = 255.0 * look.levels.size  # more than it can be
    if not height % THUMB_PX and not width % THUMB_PX:
        again = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
        row["residual"] = cv2.norm(look.levels, again, cv2.NORM_L1)
    return row


def _sharpness(look: Look) -> Row:
    row = np.zeros((), _SHARPNESS)
    if look.face is not None:
        row["blur"] = sharpness_of_levels(look.masked_grey)
    return row


def _motion(look: Look) -> Row:
    row = np.zeros((), _MOTION)
    if look.face is not None:
        masked = cv2.bitwise_and(look.levels, look.levels, mask=look.hull)
        row["motion_blur"] = cv2.Laplacian(masked, cv2.CV_64F, ksize=11).var()
    return row


def _histogram(levels: UInt8[np.ndarray, "..."], channel: int) -> UInt32[np.ndarray, "256"]:
    counts = cv2.calcHist([levels], [channel], None, [256], [0, 256])
    return np.asarray(counts, np.uint32).reshape(256)


_RECORD = np.dtype(
    [
        ("is_face", np.bool_),
        ("pitch", np.float64),
        ("yaw", np.float64),
        ("roll", np.float64),
        ("rect_area", np.float64),
        ("misfit", np.float64),
        ("source", f"S{SOURCE_BYTES}"),
    ]
)
_LIGHT = np.dtype([("brightness", np.float64), ("hue", np.float64), ("black", np.int64)])
_HISTOGRAMS = np.dtype(
    [
        ("color", np.uint32, (3, 256)),
        ("grey", np.uint32, (256,)),
        ("masked_grey", np.uint32, (256,)),
    ]
)
_THUMB = np.dtype(
    [
        ("picture", np.uint8, (THUMB_PX, THUMB_PX, 3)),
        ("shape", np.int32, (2,)),
        ("residual", np.float64),
    ]
)
_SHARPNESS = np.dtype([("blur", np.float64)])
_MOTION = np.dtype([("motion_blur", np.float64)])


@functools.cache
def _embedder(name: str) -> Embedder:
    return EMBEDDERS[name]("cpu")


def _identity(embedder: str, length: int) -> Kind:
    """Who it is, as an embedder sees it; what is no face is nobody."""
    dtype = np.dtype([("embedding", np.float32, (length,))])

    def look_for(look: Look) -> Row:
        row = np.zeros((), dtype)
        if look.face is not None:
            row["embedding"] = _embedder(embedder).embed([look.levels], [look.face.landmarks])[0]
        return row

    return Kind(f"identity_{embedder}", 1, dtype, look_for)


_ALL = (
    Kind("record", 2, _RECORD, _record),
    Kind("light", 1, _LIGHT, _light),
    Kind("histograms", 1, _HISTOGRAMS, _histograms),
    Kind("thumb", 1, _THUMB, _thumb),
    Kind("sharpness", 1, _SHARPNESS, _sharpness),
    Kind("motion", 1, _MOTION, _motion),
    _identity("texture", 944),
    _identity("sface", 128),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}

TOGETHER = ("light", "histograms", "thumb")
"""Kinds that cost little once the picture is decoded: who needs one gets all."""
