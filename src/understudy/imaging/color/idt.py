"""Colour transfer by iterated matching of one-dimensional histograms along random axes.

Two pictures in, one out; the random axes come from `rng`; no files, no state. Goes two thirds of
the way: each of the 20 rounds moves by a twentieth. Source: Pitie, Kokaram and Dahyot,
"N-dimensional probability density function transfer and its application to colour transfer", 2005;
constants of reference section 18.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32, Float64
from scipy.stats import special_ortho_group

from understudy.imaging.color.methods import COLOR_TRANSFERS, PlateImage
from understudy.types import Image, Mask

ROUNDS = 20
_BINS = 256
_FLAT = 1e-9

Row = Float64[np.ndarray, "..."]
Lattice = Float32[np.ndarray, "lattice_h lattice_w 3"]
Moved = Float32[np.ndarray, "_ _ 3"]


@COLOR_TRANSFERS.register("idt")
def transfer_idt(
    face: Image, plate: PlateImage, mask: Mask | None, rng: np.random.Generator | None
) -> Image:
    """`face` with its distribution of colours moved towards the plate's; needs `rng`."""
    return match_along(face, plate, draw_rotations(rng))


@COLOR_TRANSFERS.register("idt-m")
def transfer_idt_masked(
    face: Image, plate: PlateImage, mask: Mask | None, rng: np.random.Generator | None
) -> Image:
    """As idt, with both pictures multiplied by `mask` beforehand."""
    if mask is None:
        return transfer_idt(face, plate, mask, rng)
    inside = mask[..., None]
    return match_along(face * inside, plate * inside, draw_rotations(rng))


def draw_rotations(rng: np.random.Generator | None) -> Float64[np.ndarray, "rounds 3 3"]:
    """Axes for every round, uniform over all rotations; fixed ones without an `rng`."""
    generator = np.random.default_rng(0) if rng is None else rng
    return np.asarray(special_ortho_group.rvs(3, size=ROUNDS, random_state=generator))


def match_along(
    face: Image,
    plate: PlateImage,
    rotations: Float[np.ndarray, "rounds 3 3"],
    *,
    parity: bool = False,
    along: Lattice | None = None,
) -> Moved:
    """`face` after one round for each of `rotations`; with `along` those colours, moved with it.

    With `parity` the darkest and brightest pixels fly off as the predecessor's do: what lies beyond
    the middle of its outermost bins is drawn to 0 or 256.
    """
    moving = np.ascontiguousarray(face.reshape(-1, 3).T, np.float64)
    still = np.ascontiguousarray(plate.reshape(-1, 3).T, np.float64)
    result = face if along is None else along
    taken = None if along is None else np.ascontiguousarray(along.reshape(-1, 3).T, np.float64)
    fit = _fit_as_predecessor if parity else _fit
    for rotation in rotations.astype(np.float64):
        turned, wanted = rotation @ moving, rotation @ still
        maps = [fit(*axis) for axis in zip(turned, wanted, strict=True)]
        moving += rotation.T @ _change(turned, maps) / len(rotations)
        if taken is not None:
            taken += rotation.T @ _change(rotation @ taken, maps) / len(rotations)
    arrived = moving if taken is None else taken
    return np.asarray(np.clip(arrived.T.reshape(result.shape), 0, 1), np.float32)


def _change(rows: Float64[np.ndarray, "3 n"], maps: list[Callable[[Row], Row]]) -> np.ndarray:
    return np.stack([move(row) - row for move, row in zip(maps, rows, strict=True)])


def _fit(values: Row, wanted: Row) -> Callable[[Row], Row]:
    """Map that moves `values` so that their histogram becomes that of `wanted`."""
    edges, own, others = _cumulated(values, wanted)
    # A slight slope where there are no pixels: equal histograms then move nothing.
    slope = np.linspace(0, 1e-6, len(edges))
    zero = np.zeros(1)
    own, others = (np.concatenate([zero, shares]) + slope for shares in (own, others))
    # The ends go to the ends: beyond them are edges with as little below or above.
    low, high = np.count_nonzero(others < 2e-6) - 1, np.count_nonzero(others < 1)
    targets = np.interp(own, others[low : high + 1], edges[low : high + 1])
    return lambda row: np.asarray(np.interp(row, edges, targets))


def _fit_as_predecessor(values: Row, wanted: Row) -> Callable[[Row], Row]:
    edges, own, others = _cumulated(values, wanted)
    targets = np.interp(own, others, edges[1:])
    return lambda row: np.asarray(np.interp(row, edges[1:], targets, left=0, right=_BINS))


def _cumulated(values: Row, wanted: Row) -> tuple[Row, Row, Row]:
    """Edges of the bins over both, and the share of each that lies below each upper edge."""
    low, high = min(values.min(), wanted.min()), max(values.max(), wanted.max())
    limits = (low, max(high, low + _FLAT))
    own, others = (
        np.cumsum(np.histogram(these, bins=_BINS, range=limits)[0]) / len(these)
        for these in (values, wanted)
    )
    return np.linspace(*limits, _BINS + 1), own, others
