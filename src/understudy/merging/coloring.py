"""The plate's colours for a face: measured on the pixels that count, given to all of them.

A face, the plate in the same place and a mask in, the face in other colours out. Knows nothing of
frames. Source: reference section 17.4; what is measured differs, see `docs/parity.md`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int

from understudy.imaging.color import COLOR_FITS, QUICK_TRANSFERS, ColorMap
from understudy.imaging.color.quick import fit_idt
from understudy.imaging.histograms import fit_histogram
from understudy.merging.overlay import OVERLAYS
from understudy.merging.settings import MergeSettings
from understudy.types import Image, Mask

_FEW_PIXELS = 16
_FOREIGN_SPREADS = 4.0
_LEAST_SPREAD = (6.0, 3.0, 3.0)  # of L, a, b: eyes, brows and lips of an evenly lit face stay in
_MAD_TO_SIGMA = 1.4826
_LOOKED_AT = 4096
_MASKED_TRANSFERS = frozenset({"rct", "mkl-m", "idt-m", "sot-m", "mix-m"})

Counts = Bool[np.ndarray, "h w"]
Pixels = Float32[np.ndarray, "_ 3"]
Places = Int[np.ndarray, " _"]

_DRAWING_FITS: Mapping[str, Callable[[Pixels, Pixels, np.random.Generator], ColorMap]] = {
    "idt": fit_idt,
    "idt-m": fit_idt,
}
_SAMPLE = 4096


@dataclass(frozen=True, slots=True)
class ColorSample:
    """Some of the plate's pixels: of the face alone, and of the whole square."""

    in_mask: Pixels
    in_square: Pixels


@dataclass(frozen=True, slots=True)
class ColorsOverTime:
    """What the plate shows of a face in the frames around and how far each counts.

    Only the plate is averaged: what a model paints differs a little from frame to frame, which a
    transfer measured on each face takes out. `seed` is the shot's.
    """

    samples: Sequence[tuple[float, ColorSample]]
    seed: int

    def pooled(self, *, masked: bool) -> Pixels:
        """One sample out of all, every frame with as many pixels as it counts."""
        parts = []
        for weight, sample in self.samples:
            pixels = sample.in_mask if masked else sample.in_square
            parts.append(pixels[_evenly(len(pixels), round(weight * _SAMPLE))])
        return np.asarray(np.concatenate(parts), np.float32)


def color_sample(plate: Image, *, mask: Mask, inside: Counts) -> ColorSample:
    """What is measured of `plate` to colour a face in that place."""

    def some(counts: Counts) -> Pixels:
        pixels = plate[counts]
        return np.asarray(pixels[_evenly(len(pixels), _SAMPLE)])

    return ColorSample(some(face_pixels(plate, mask, inside)), some(inside))


def colored_face(
    face: Image,
    plate: Image,
    *,
    mask: Mask,
    inside: Counts,
    settings: MergeSettings,
    rng: np.random.Generator,
    over_time: ColorsOverTime | None = None,
) -> Image:
    """`face` in the colours of `plate`, which shows the same place and counts where `inside`.

    With `over_time` the plate of the frames around counts, too; sot and mix only draw alike in all.
    """
    if over_time is not None:
        rng = np.random.default_rng(over_time.seed)

    def counts(*, masked: bool) -> Counts:
        return face_pixels(plate, mask, inside) if masked else inside

    def measured(*, masked: bool) -> tuple[Pixels, Pixels]:
        these = counts(masked=masked)
        wanted = plate[these] if over_time is None else over_time.pooled(masked=masked)
        return face[these], wanted

    name = settings.color_transfer
    recolor: ColorMap = _as_it_is
    masked = name in _MASKED_TRANSFERS
    if name in QUICK_TRANSFERS and name not in _DRAWING_FITS:
        these, over_time = counts(masked=masked), None
        if np.count_nonzero(these) >= _FEW_PIXELS:
            face = np.clip(QUICK_TRANSFERS[name](face, plate, these, rng), 0, 1)
    elif name != "none":
        own, wanted = measured(masked=masked)
        recolor = _fitted(name, own, wanted, rng)
    recolored = np.asarray(recolor(face))
    if not OVERLAYS[settings.mode].matches:
        return recolored
    own, wanted = measured(masked=settings.masked_hist_match)
    if min(len(own), len(wanted)) < _FEW_PIXELS:
        return recolored
    threshold = float(settings.hist_match_threshold)
    return fit_histogram(recolor(own[:, None]), wanted[:, None], threshold=threshold)(recolored)


def _as_it_is(picture: Image) -> Image:
    return picture


def _fitted(name: str, own: Pixels, wanted: Pixels, rng: np.random.Generator) -> ColorMap:
    """The transfer of that name as a map of colours into 0..1; of too few pixels none."""
    if min(len(own), len(wanted)) < _FEW_PIXELS:
        return _as_it_is
    if name in _DRAWING_FITS:
        fit = _DRAWING_FITS[name](own, wanted, rng)
    else:
        fit = COLOR_FITS[name](own[:, None], wanted[:, None])
    return lambda picture: np.asarray(np.clip(fit(picture), 0, 1), np.float32)


def _evenly(count: int, wanted: int) -> Places:
    """At most `wanted` places out of `count`, evenly spread."""
    return np.linspace(0, count - 1, min(count, max(wanted, 1))).astype(np.intp)


def face_pixels(plate: Image, mask: Mask, inside: Counts) -> Counts:
    """Where the plate shows the face that is masked, and nothing that lies before it."""
    counts = np.asarray(inside & (mask >= 0.5))
    if counts.any():
        counts[counts] = _of_the_face(plate[counts][:, None])
    return counts


def _of_the_face(pixels: Image) -> Bool[np.ndarray, " n"]:
    """Which pixels of the plate may be the face's own: not a hand, a desk or a glare before it.

    Colours far from the face's usual one would stretch what the whole face is given.
    """
    lab = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2Lab)[:, 0]
    some = lab[:: max(1, len(lab) // _LOOKED_AT)]
    usual = np.median(some, axis=0)
    spread = _MAD_TO_SIGMA * np.median(np.abs(some - usual), axis=0)
    reach = _FOREIGN_SPREADS * np.maximum(spread, _LEAST_SPREAD)
    return np.asarray((np.abs(lab - usual) <= reach).all(axis=1))
