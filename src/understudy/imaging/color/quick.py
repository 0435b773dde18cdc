"""The random colour transfers, quick enough for every frame: measured on fewer pixels.

Two pictures of one size and the pixels that count in, one out. idt moves a lattice of colours along
with a sample of the pixels, and all pixels go as the lattice around their colour. sot and mix are
worked out on a quarter of the rows and columns, since the change is smoothed over the picture
anyway. Against the whole operations what is counted as black outside the mask is left out.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from understudy.imaging.color import idt, sot
from understudy.imaging.color.linear import fit_lightness
from understudy.imaging.color.methods import ColorMap
from understudy.registry import Registry
from understudy.types import Image

Counts = Bool[np.ndarray, "h w"]
QuickTransfer = Callable[[Image, Image, Counts, np.random.Generator], Image]

QUICK_TRANSFERS: Registry[QuickTransfer] = Registry("quick colour transfer")

_SAMPLE = 8192
_LATTICE = 17
_SMALL_PX = 64
_TOO_FAR = 1e-3
_CUT_OFF = 0.68
"""A bilateral filter ends at 1.5 times its spread, which leaves this part of it."""
_MIX_EDGE = 5 / 255
_EVEN_L = 100 * 100 / 255


@QUICK_TRANSFERS.register("idt-m")
@QUICK_TRANSFERS.register("idt")
def quick_idt(face: Image, plate: Image, counts: Counts, rng: np.random.Generator) -> Image:
    """`face` moved as by idt, all pixels as those that count."""
    return fit_idt(face[counts], plate[counts], rng)(face)


def fit_idt(
    face: Float32[np.ndarray, "n 3"], plate: Float32[np.ndarray, "m 3"], rng: np.random.Generator
) -> ColorMap:
    """Map of all colours as idt moves those pixels of a face to those of a plate."""
    own, wanted = _some(face, rng), _some(plate, rng)
    low, high = own.min(0), np.maximum(own.max(0), own.min(0) + 1e-3)
    steps = np.linspace(0, 1, _LATTICE, dtype=np.float32)
    lattice = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lattice = low + lattice * (high - low)
    moved = idt.match_along(own[None], wanted[None], idt.draw_rotations(rng), along=lattice[None])[
        0
    ]

    def apply(picture: Image) -> Image:
        at = np.clip((picture - low) / (high - low), 0, 1) * np.float32(_LATTICE - 1)
        change = _between(moved - lattice, at.reshape(-1, 3))
        return np.asarray(picture + change.reshape(picture.shape), np.float32)

    return apply


@QUICK_TRANSFERS.register("sot-m")
def quick_sot_masked(face: Image, plate: Image, counts: Counts, rng: np.random.Generator) -> Image:
    """`face` moved as by sot in many directions, all pixels as those that count."""
    directions = sot.draw_directions(sot.STEPS, rng, batch=sot.BATCH_MASKED)
    return np.asarray(face + _smooth_change(face, plate, counts, directions))


@QUICK_TRANSFERS.register("sot")
def quick_sot(face: Image, plate: Image, counts: Counts, rng: np.random.Generator) -> Image:
    """`face` moved as by sot, all pixels as those that count."""
    directions = sot.draw_directions(sot.STEPS, rng, batch=sot.BATCH)
    return np.asarray(face + _smooth_change(face, plate, counts, directions))


@QUICK_TRANSFERS.register("mix-m")
@QUICK_TRANSFERS.register("mix")
def quick_mix(face: Image, plate: Image, counts: Counts, rng: np.random.Generator) -> Image:
    """`face` moved as by mix, in float: no steps of 8-bit Lab in soft shades."""
    face_lab, plate_lab = (
        np.asarray(cv2.cvtColor(np.ascontiguousarray(p), cv2.COLOR_RGB2Lab)) for p in (face, plate)
    )
    lightness = fit_lightness(face_lab[..., 0][counts], plate_lab[..., 0][counts])
    even = [_evenly_lit(lab) for lab in (face_lab, plate_lab)]
    directions = sot.draw_directions(sot.STEPS, rng, batch=sot.BATCH)
    moved = even[0] + _smooth_change(even[0], even[1], counts, directions, edges=_MIX_EDGE)
    before, after = (cv2.cvtColor(np.clip(p, 0, 1), cv2.COLOR_RGB2Lab) for p in (even[0], moved))
    # Only what changed: the even light itself takes the strongest colours out of what can be shown.
    result = face_lab + (after - before)
    result[..., 0] = np.clip(lightness(face_lab[..., 0]), 0, 100)
    return np.asarray(cv2.cvtColor(result, cv2.COLOR_Lab2RGB), np.float32)


def _some(pixels: Float32[np.ndarray, "n 3"], rng: np.random.Generator) -> np.ndarray:
    if len(pixels) <= _SAMPLE:
        return pixels
    return np.asarray(pixels[rng.choice(len(pixels), _SAMPLE, replace=False)])


def _between(
    table: Float32[np.ndarray, "k 3"], at: Float32[np.ndarray, "n 3"]
) -> Float32[np.ndarray, "n 3"]:
    """Values of the lattice `table` at places between its points, evenly from one to the next."""
    low = np.minimum(at.astype(np.int32), _LATTICE - 2)
    part = at - low
    base = (low[:, 0] * _LATTICE + low[:, 1]) * _LATTICE + low[:, 2]
    result = np.zeros_like(at)
    for corner in range(8):
        bits = (corner >> 2 & 1, corner >> 1 & 1, corner & 1)
        weight = np.ones(len(at), np.float32)
        for axis, bit in enumerate(bits):
            weight *= part[:, axis] if bit else 1 - part[:, axis]
        offset = (bits[0] * _LATTICE + bits[1]) * _LATTICE + bits[2]
        result += weight[:, None] * np.take(table, base + offset, axis=0)
    return result


def _smooth_change(
    face: Image,
    plate: Image,
    counts: Counts,
    directions: sot.Directions,
    *,
    edges: float | None = None,
) -> Image:
    """What sot adds to each pixel, smoothed; outside what counts as nearby inside.

    With `edges`, changes that differ by more than that stay apart.
    """
    height, width = counts.shape
    factor = max(min(height, width) // _SMALL_PX, 1)
    small_wh = max(width // factor, 1), max(height // factor, 1)
    weight = cv2.resize(counts.astype(np.float32), small_wh, interpolation=cv2.INTER_AREA)
    # Means of the pixels that count alone: no colour of what lies around comes in.
    small = [
        cv2.resize(picture * counts[..., None], small_wh, interpolation=cv2.INTER_AREA)
        / np.maximum(weight, _TOO_FAR)[..., None]
        for picture in (face, plate)
    ]
    some = weight > 0.5
    if not some.any():
        some = weight >= weight.max()
    own, wanted = small[0][some], small[1][some]
    moved = sot.transport(own[None], wanted[None], directions, smooth=False)[0]
    change = np.zeros_like(small[0])
    change[some] = moved - own
    sigma = max(_CUT_OFF * sot.SIGMA_SPACE / factor, 0.5)
    near = cv2.GaussianBlur(change, (0, 0), sigma)
    share = cv2.GaussianBlur(some.astype(np.float32), (0, 0), sigma)[..., None]
    mean = change[some].mean(0)
    smooth = np.where(share > _TOO_FAR, near / np.maximum(share, _TOO_FAR), mean)
    if edges is not None:
        kept = np.where(some[..., None], change, smooth).astype(np.float32)
        smooth = cv2.bilateralFilter(kept, 0, edges, sot.SIGMA_SPACE / factor)
    large = cv2.resize(
        np.asarray(smooth, np.float32), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(large)


def _evenly_lit(lab: Float32[np.ndarray, "h w 3"]) -> Image:
    even = lab.copy()
    even[..., 0] = _EVEN_L
    return np.asarray(np.clip(cv2.cvtColor(even, cv2.COLOR_Lab2RGB), 0, 1), np.float32)
