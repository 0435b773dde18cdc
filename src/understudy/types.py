"""What flows between the rooms: images, masks, landmarks, faces, frames, predictions, reports.

Everything here is plain data on numpy arrays. Nothing here reads a file by itself: lazy pictures
carry the function that reads them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32

Image = Float32[np.ndarray, "h w 3"]
"""RGB, display-encoded, 0..1."""

Mask = Float32[np.ndarray, "h w"]
"""0..1, 1 = face."""

Landmarks = Float[np.ndarray, "68 2"]
"""iBUG-68 points, x then y, in pixels of the image the variable's name says."""

Matrix = Float[np.ndarray, "2 3"]
"""Affine map of points; the variable's name says from where to where."""


class FaceType(StrEnum):
    """How much of the head an aligned picture covers; the values are DFL's names."""

    HALF = "half_face"
    MIDFULL = "midfull_face"
    FULL = "full_face"
    FULL_NO_ALIGN = "full_face_no_align"
    WHOLE = "whole_face"
    HEAD = "head"
    HEAD_NO_ALIGN = "head_no_align"
    MARK_ONLY = "mark_only"


@dataclass(frozen=True, slots=True)
class ColorTags:
    """How a picture's numbers map to light, as the source declares it; None = not declared.

    Values are FFmpeg's names: "bt709", "smpte170m", "tv"/"pc" for range.
    """

    primaries: str | None = None
    transfer: str | None = None
    matrix: str | None = None
    range: str | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a clip. `load` decodes it anew at each call."""

    index: int
    name: str
    load: Callable[[], Image]
    bit_depth: int = 8
    color: ColorTags = field(default_factory=ColorTags)

    @property
    def image(self) -> Image:
        """The decoded picture."""
        return self.load()


class Polygon(NamedTuple):
    """An outline drawn by hand, in pixels of the aligned picture; cuts away if not `include`."""

    include: bool
    points: Float32[np.ndarray, "n 2"]


@dataclass(frozen=True, slots=True)
class FaceSample:
    """One aligned face with all that is known of it.

    `landmarks` and `polygons` are in pixels of the aligned picture, `source_landmarks` and
    `source_box` (left, top, right, bottom) in pixels of the frame it came from, `frame_to_face`
    maps the latter to the former. `mask` is the applied mask (any size) or None. `extra` holds
    metadata keys we do not know; they survive a rewrite. `encoded` gives the file's bytes so that a
    rewrite keeps the pixels; it is None for a face that was never encoded.
    """

    load: Callable[[], Image]
    landmarks: Landmarks
    face_type: FaceType
    source_name: str | None = None
    source_box: tuple[int, int, int, int] | None = None
    source_landmarks: Landmarks | None = None
    frame_to_face: Matrix | None = None
    brow_expand: float = 1.0
    polygons: Sequence[Polygon | tuple[bool, Float32[np.ndarray, "_ 2"]]] = ()
    mask: Mask | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    encoded: Callable[[], bytes] | None = None
    name: str | None = None

    @property
    def image(self) -> Image:
        """The decoded aligned picture."""
        return self.load()


class Prediction(NamedTuple):
    """What a model gives for one aligned dst face; all at the model's resolution."""

    face: Image
    mask: Mask
    dst_mask: Mask


@dataclass(frozen=True, slots=True)
class Failure:
    """One item a step could not finish, and why."""

    item: str
    reason: str


@dataclass(slots=True)
class Report:
    """What a step did. `details` holds JSON values that belong to the step (counts, scores)."""

    step: str
    done: int = 0
    skipped: int = 0
    failed: list[Failure] = field(default_factory=list)
    outputs: list[Path] = field(default_factory=list)
    seconds: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON form with paths as text."""
        return {
            "step": self.step,
            "done": self.done,
            "skipped": self.skipped,
            "failed": [{"item": f.item, "reason": f.reason} for f in self.failed],
            "outputs": [str(p) for p in self.outputs],
            "seconds": round(self.seconds, 3),
            "details": self.details,
        }
