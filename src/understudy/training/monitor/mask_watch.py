"""Looks at a mask net in training: measures faces kept aside, paints what previews show.

A model and its faces in, numbers and sheets of faces out. Knows no files and no loop.
"""

import copy
from collections.abc import Iterator, Mapping

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from understudy.training.monitor.sheets import Sheet, sheet_of_columns
from understudy.training.samples.mask_batches import MaskBatch, MaskSide, MaskSource
from understudy.training.step.mask_step import MaskStep

_MEASURED_MAX = 64  # faces kept aside that are painted for a measure
_BATCH = 8
_ROWS = 4
_GREEN = torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1)

Masks = Float[Tensor, "b 1 r r"]
Faces = Float[Tensor, "b 3 r r"]


def overlap(painted: Masks, wanted: Masks) -> Float[Tensor, " b"]:
    """Intersection over union of masks cut at one half; 1 where both are empty."""
    one, other = painted >= 0.5, wanted >= 0.5
    both = (one & other).sum(dim=(1, 2, 3)).float()
    either = (one | other).sum(dim=(1, 2, 3)).float()
    return torch.where(either > 0, both / either.clamp_min(1), torch.ones_like(both))


def boundary_error(painted: Masks, wanted: Masks) -> Float[Tensor, " b"]:
    """Mean distance between the outlines, both ways, in hundredths of the side.

    Where only one of them has an outline, half of the side.
    """
    pairs = zip((painted >= 0.5).cpu().numpy(), (wanted >= 0.5).cpu().numpy(), strict=True)
    return torch.tensor([_outline_distance(one[0], other[0]) for one, other in pairs])


def _outline_distance(one: np.ndarray, other: np.ndarray) -> float:
    rims = [_rim(mask) for mask in (one, other)]
    if not rims[0].any() and not rims[1].any():
        return 0.0
    if not rims[0].any() or not rims[1].any():
        return 50.0
    away = [cv2.distanceTransform((~rim).astype(np.uint8), cv2.DIST_L2, 5) for rim in rims]
    mean = (away[1][rims[0]].mean() + away[0][rims[1]].mean()) / 2
    return float(100 * mean / len(one))


def _rim(mask: np.ndarray) -> np.ndarray:
    """Pixels of the mask that touch what is not of it; the picture's own rim is no outline."""
    inner = cv2.erode(
        mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(mask & (inner == 0))


class MaskWatch:
    """Shows the same faces every time, as the averaged weights paint them.

    `others` are faces of src and of dst, labelled or not, by their side's name.
    """

    def __init__(self, side: MaskSide, others: Mapping[str, Faces], *, step: MaskStep) -> None:
        self._model, self._others, self._dtype = step.model, others, step.dtype
        self._shown_model = copy.deepcopy(step.worker).requires_grad_(False)
        self._shown = _spread(side.held_out, side.trained)
        self._measured = side.held_out[:_MEASURED_MAX]

    @property
    def can_measure(self) -> bool:
        """Whether faces were kept aside."""
        return bool(len(self._measured))

    def measure(self, source: MaskSource, averaged: Mapping[str, Tensor]) -> dict[str, float]:
        """IoU and boundary error (% of the side) of the faces kept aside; empty without any."""
        if not self.can_measure:
            return {}
        self._take(averaged)
        ious, errors = [], []
        for places in _pieces(self._measured):
            batch = source.still(places)
            painted = self._paint(batch, source)
            if source.is_pretraining:
                ious.append(1 - (painted - batch.target).abs().mean(dim=(1, 2, 3)))
                continue
            ious.append(overlap(painted, batch.target))
            errors.append(boundary_error(painted, batch.target))
        if source.is_pretraining:
            return {"likeness": float(torch.cat(ious).mean())}
        return {
            "mask IoU": float(torch.cat(ious).mean()),
            "mask boundary %": float(torch.cat(errors).mean()),
        }

    def sheets(self, source: MaskSource, averaged: Mapping[str, Tensor]) -> list[Sheet]:
        """Training faces, then faces of src and of dst; the part that is no face is green."""
        self._take(averaged)
        batch = source.still(self._shown)
        painted = self._paint(batch, source)
        if source.is_pretraining:
            return [
                sheet_of_columns(
                    "XSeg pretraining", ("face", "output"), (batch.faces, _grey(painted))
                )
            ]
        captions = ("as labelled", "painted", "as painted")
        labelled = _tinted(batch.faces, batch.target)
        looks = (labelled, _grey(painted), _tinted(batch.faces, painted))
        made = [sheet_of_columns("XSeg training faces", captions, looks)]
        for side, faces in self._others.items():
            mask = self._paint(MaskBatch(faces, faces[:, :1]), source)
            looks = (faces, _grey(mask), _tinted(faces, mask))
            made.append(
                sheet_of_columns(f"XSeg {side} faces", (side, "painted", "as painted"), looks)
            )
        return made

    def _take(self, averaged: Mapping[str, Tensor]) -> None:
        weights = averaged or dict(self._model.named_parameters())
        with torch.no_grad():
            for name, parameter in self._shown_model.named_parameters():
                parameter.copy_(weights[name])

    @torch.no_grad()
    def _paint(self, batch: MaskBatch, source: MaskSource) -> Masks:
        faces = batch.faces.to(self._dtype)
        painted: Masks = self._shown_model(faces, skips=not source.is_pretraining).mask
        return painted.float()


def _pieces(places: Int64[np.ndarray, " n"]) -> Iterator[Int64[np.ndarray, " b"]]:
    for start in range(0, len(places), _BATCH):
        yield places[start : start + _BATCH]


def _spread(
    held_out: Int64[np.ndarray, " h"], trained: Int64[np.ndarray, " t"]
) -> Int64[np.ndarray, " r"]:
    """Places to show: half of faces kept aside, half of faces trained on."""
    aside = held_out[[0, -1]] if len(held_out) > 1 else held_out
    inner = (np.arange(_ROWS - len(aside)) + 0.5) / (_ROWS - len(aside)) * len(trained)
    return np.concatenate([aside, trained[inner.astype(int)]])


def _grey(masks: Masks) -> Faces:
    return masks.expand(-1, 3, -1, -1)


def _tinted(faces: Faces, masks: Masks) -> Faces:
    """Faces whose outside is half green."""
    return faces * masks + (1 - masks) * (0.5 * faces + 0.5 * _GREEN.to(faces.device))
