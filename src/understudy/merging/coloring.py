"""The plate's colours for a face: measured on the pixels that count, given to all of them.

A face, the plate in the same place and a mask in, the face in other colours out. Knows nothing of
frames. Source: reference section 17.4; what is measured differs, see `docs/parity.md`.
"""

import cv2
import numpy as np
from jaxtyping import Bool

from understudy.imaging.color import COLOR_FITS, QUICK_TRANSFERS
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


def colored_face(
    face: Image,
    plate: Image,
    *,
    mask: Mask,
    inside: Counts,
    settings: MergeSettings,
    rng: np.random.Generator,
) -> Image:
    """`face` in the colours of `plate`, which shows the same place and counts where `inside`."""
    name = settings.color_transfer
    recolored = face
    if name != "none":
        masked = name in _MASKED_TRANSFERS
        counts = face_pixels(plate, mask, inside) if masked else inside
        if np.count_nonzero(counts) >= _FEW_PIXELS:
            recolored = np.clip(_transferred(name, face, plate, counts, rng), 0, 1)
    if not OVERLAYS[settings.mode].matches:
        return np.asarray(recolored)
    counts = face_pixels(plate, mask, inside) if settings.masked_hist_match else inside
    if np.count_nonzero(counts) < _FEW_PIXELS:
        return np.asarray(recolored)
    recolor = fit_histogram(
        recolored[counts][:, None],
        plate[counts][:, None],
        threshold=float(settings.hist_match_threshold),
    )
    return recolor(recolored)


def face_pixels(plate: Image, mask: Mask, inside: Counts) -> Counts:
    """Where the plate shows the face that is masked, and nothing that lies before it."""
    counts = np.asarray(inside & (mask >= 0.5))
    if counts.any():
        counts[counts] = _of_the_face(plate[counts][:, None])
    return counts


def _transferred(
    name: str, face: Image, plate: Image, counts: Counts, rng: np.random.Generator
) -> Image:
    if name in QUICK_TRANSFERS:
        return QUICK_TRANSFERS[name](face, plate, counts, rng)
    return COLOR_FITS[name](face[counts][:, None], plate[counts][:, None])(face)


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
