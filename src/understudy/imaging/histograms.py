"""Matching of histograms, channel by channel: exactly, or by a table fitted to what counts.

Two pictures in, one out; no files, no state. Source: Gonzalez and Woods, "Digital image
processing", histogram specification; the threshold after reference section 18.
"""

import numpy as np
from jaxtyping import Float32

from understudy.imaging.color.methods import ColorMap, PlateImage
from understudy.types import Image

WHOLE = 255.0
"""The threshold that limits nothing."""

_LEVELS = 1024


def hist_match(face: Image, plate: PlateImage, *, threshold: float = WHOLE) -> Image:
    """`face` with each channel's histogram of `plate`; below 255, `threshold` limits the bright.

    Values of the face go to those of the plate that hold as much below them, of which `threshold`
    takes that many 255ths.
    """
    matched = [_matched(face[..., c].ravel(), plate[..., c].ravel(), threshold) for c in range(3)]
    return np.asarray(np.stack(matched, axis=-1).reshape(face.shape), np.float32)


def fit_histogram(face: Image, plate: PlateImage, *, threshold: float = WHOLE) -> ColorMap:
    """The same as a map of colours, from the pixels of a face to those of a plate.

    By tables of 1024 levels that go on evenly between: what lies between two colours that were
    measured gets a colour between theirs.
    """
    tables = [_table(face[..., c].ravel(), plate[..., c].ravel(), threshold) for c in range(3)]

    def apply(picture: Image) -> Image:
        scaled = np.clip(picture, 0, 1) * np.float32(_LEVELS - 1)
        low = np.minimum(scaled.astype(np.int32), _LEVELS - 2)
        part = scaled - low
        channels = []
        for c, table in enumerate(tables):
            at, share = low[..., c], part[..., c]
            below = table[at]
            channels.append(below + (table[at + 1] - below) * share)
        return np.asarray(np.stack(channels, axis=-1), np.float32)

    return apply


def _matched(
    values: Float32[np.ndarray, " n"], wanted: Float32[np.ndarray, " m"], threshold: float
) -> np.ndarray:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    targets, target_counts = np.unique(wanted, return_counts=True)
    own, others = np.cumsum(counts, dtype=np.float64), np.cumsum(target_counts, dtype=np.float64)
    moved = np.interp(own * (threshold / own[-1]), others * (WHOLE / others[-1]), targets)
    return np.asarray(moved[places])


def _table(
    values: Float32[np.ndarray, " n"], wanted: Float32[np.ndarray, " m"], threshold: float
) -> Float32[np.ndarray, " levels"]:
    """Where each level goes; each end of the plate's own range is the end for what lies beyond."""
    edges = np.linspace(0, 1, _LEVELS)
    own, others = (_below(these, edges) for these in (values, wanted))
    # From the middle of the plate's range outwards flat parts of it hold no pixel to aim at.
    filled = np.concatenate([[True], np.diff(others) > 0])
    targets = np.interp(own * (threshold / WHOLE), others[filled], edges[filled])
    return np.asarray(targets, np.float32)


def _below(values: Float32[np.ndarray, " n"], edges: np.ndarray) -> np.ndarray:
    """The share of `values` at or below each level, that of a level counted half above it."""
    nearest = np.rint(np.clip(values, 0, 1) * np.float32(_LEVELS - 1)).astype(np.int32)
    counts = np.bincount(nearest, minlength=len(edges)).astype(np.float64)
    total = np.cumsum(counts)
    return np.asarray((total - counts / 2) / max(total[-1], 1.0))
