"""What a faceset holds, in numbers: directions, sharpness, sizes, light.

Columns of measures in, counts and quantiles out. Knows no pictures and draws nothing.
"""

from dataclasses import dataclass
from typing import Any  # JSON values

import cv2
import numpy as np
from jaxtyping import Bool, Float64, Int64

from understudy.facesets.sorting.table import Table

KINDS = ("record", "sharpness", "histograms", "thumb")
"""Measures these numbers are made of."""

YAW_EDGES_DEG = np.arange(-90, 91, 10, dtype=np.float64)
PITCH_EDGES_DEG = np.arange(-50, 51, 10, dtype=np.float64)
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_THUMB_MIDDLE = (slice(11, 25), slice(10, 22))  # skin in every face type

Column = Float64[np.ndarray, " n"]
Grid = Int64[np.ndarray, "p y"]


@dataclass(frozen=True, slots=True)
class Traits:
    """What each face of a set is like. Angles as the face's pose has them, in degrees.

    `size_px` is the side of its box in the frame, `sharpness` 0..1, `brightness` the mean grey
    level inside the hull, `chroma` the two colour axes of CIE Lab in the middle of the face.
    """

    names: tuple[str, ...]
    yaw_deg: Column
    pitch_deg: Column
    size_px: Column
    sharpness: Column
    brightness: Column
    chroma: Float64[np.ndarray, "n 2"]

    def __len__(self) -> int:
        return len(self.names)


def traits_of(table: Table) -> Traits:
    """Traits of the faces in a table that holds `KINDS`; what is no face is left out."""
    faces = table.part(np.flatnonzero(table["is_face"]))
    return Traits(
        names=faces.names,
        yaw_deg=np.degrees(faces["yaw"]),
        pitch_deg=np.degrees(faces["pitch"]),
        size_px=np.sqrt(faces["rect_area"]),
        sharpness=np.asarray(faces["blur"], np.float64),
        brightness=_brightness(faces["masked_grey"]),
        chroma=_chroma(faces["picture"]),
    )


def _brightness(masked_grey: np.ndarray) -> Column:
    """Mean level of the pixels inside the hull: what is black there is outside, but for a few."""
    inside = np.asarray(masked_grey[:, 1:], np.float64)
    counts = np.maximum(inside.sum(1), 1.0)
    return np.asarray(inside @ np.arange(1, 256, dtype=np.float64) / counts)


def _chroma(thumbs: np.ndarray) -> Float64[np.ndarray, "n 2"]:
    """Mean a and b of CIE Lab in the middle of each small picture."""
    middle = np.ascontiguousarray(thumbs[:, *_THUMB_MIDDLE]).astype(np.float32) / 255
    if not len(middle):
        return np.zeros((0, 2))
    rows = middle.reshape(len(middle), -1, 3)
    lab = cv2.cvtColor(rows, cv2.COLOR_RGB2LAB)
    return np.asarray(lab[..., 1:].mean(1), np.float64)


def pose_grid(traits: Traits) -> Grid:
    """Faces in each direction: rows are pitch, columns yaw; what lies beyond counts at the rim."""
    return direction_grid(traits.yaw_deg, traits.pitch_deg)


def direction_grid(yaw_deg: Column, pitch_deg: Column) -> Grid:
    """As `pose_grid`, of angles."""
    yaw = np.clip(yaw_deg, YAW_EDGES_DEG[0], YAW_EDGES_DEG[-1] - 1e-9)
    pitch = np.clip(pitch_deg, PITCH_EDGES_DEG[0], PITCH_EDGES_DEG[-1] - 1e-9)
    counts, _, _ = np.histogram2d(pitch, yaw, (PITCH_EDGES_DEG, YAW_EDGES_DEG))
    return np.asarray(counts, np.int64)


def lacking(src: Grid, dst: Grid) -> Bool[np.ndarray, "p y"]:
    """Directions dst looks in and src never does."""
    return np.asarray((dst > 0) & (src == 0))


def covered_share(src: Grid, dst: Grid) -> float:
    """Share of dst's faces that look in a direction src has, too; 1 where dst has none."""
    total = int(dst.sum())
    return 1.0 if not total else 1.0 - float(dst[lacking(src, dst)].sum()) / total


def summary_of(traits: Traits) -> dict[str, Any]:
    """Count and quantiles of every measure, as JSON values."""
    measures = {
        "yaw_deg": traits.yaw_deg,
        "pitch_deg": traits.pitch_deg,
        "size_px": traits.size_px,
        "sharpness": traits.sharpness,
        "brightness": traits.brightness,
    }
    return {"count": len(traits)} | {name: _quantiles(v) for name, v in measures.items()}


def _quantiles(values: Column) -> dict[str, float]:
    if not len(values):
        return {}
    found = np.quantile(values, _QUANTILES)
    named = {f"p{q * 100:.0f}": round(float(v), 3) for q, v in zip(_QUANTILES, found, strict=True)}
    return named | {"mean": round(float(values.mean()), 3)}
