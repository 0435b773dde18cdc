"""Looks at a model in training: measures faces kept aside, paints what previews show.

A model and its batches in, numbers and sheets of faces out. Knows no files and no loop.
"""

import copy
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from understudy.models.face_model import FaceModel, View
from understudy.training.monitor.health import likeness
from understudy.training.monitor.sheets import Sheet, as_shown, sheets
from understudy.training.samples.batch import SideBatch
from understudy.training.samples.batches import BatchSource, Side
from understudy.training.step.face_step import TrainStep

_MEASURED_MAX = 16  # faces of each side painted for a measure


class Viewer:
    """Shows faces as the averaged weights paint them (the present ones where none are kept)."""

    def __init__(self, step: TrainStep) -> None:
        self._model, self._portions = step.model, step.portions
        self._shown = copy.deepcopy(step.worker).requires_grad_(False)

    @torch.no_grad()
    def shown(self, averaged: Mapping[str, Tensor]) -> FaceModel:
        """The model with those weights."""
        weights = averaged or dict(self._model.named_parameters())
        for name, parameter in self._shown.named_parameters():
            parameter.copy_(weights[name])
        return self._shown

    @torch.no_grad()
    def view(
        self,
        src: Float[Tensor, "b 3 r r"],
        dst: Float[Tensor, "b 3 r r"],
        *,
        averaged: Mapping[str, Tensor],
    ) -> View:
        """What the networks make of as many faces of both sides, in float32."""
        shown = self.shown(averaged)

        def paint(parts: list[slice]) -> View:
            views = [as_shown(shown, src[rows], dst[rows]) for rows in parts]
            return View(*(torch.cat(pictures) for pictures in zip(*views, strict=True)))

        return self._portions.run(len(src), paint)


class Watch:
    """Shows and measures the same faces every time, as the averaged weights paint them."""

    def __init__(
        self,
        src: Side,
        dst: Side,
        *,
        shown: tuple[SideBatch, SideBatch],
        step: TrainStep,
    ) -> None:
        self._viewer = Viewer(step)
        self._shown, sides = shown, (src, dst)
        count = min(len(src.held_out), len(dst.held_out), _MEASURED_MAX)
        self._measured = tuple(side.held_out[:count] for side in sides)

    @property
    def can_measure(self) -> bool:
        """Whether faces were kept aside on both sides."""
        return bool(len(self._measured[0]))

    def measure(self, source: BatchSource, averaged: Mapping[str, Tensor]) -> dict[str, float]:
        """SSIM and PSNR of both sides' faces kept aside; empty if there are none."""
        src, dst = self._measured
        if not len(src):
            return {}
        batch = source.unwarped(src, dst)
        view = self._viewer.view(batch.src.target, batch.dst.target, averaged=averaged)
        found: dict[str, float] = {}
        for name, made, side in (
            ("src", view.src_src, batch.src),
            ("dst", view.dst_dst, batch.dst),
        ):
            ssim, psnr = likeness(made, side.target, side.mask)
            found |= {f"{name} SSIM": ssim, f"{name} PSNR": psnr}
        return found

    def sheets(self, _: BatchSource, averaged: Mapping[str, Tensor]) -> list[Sheet]:
        """The previews, the main one first."""
        return sheets(self._viewer.shown(averaged), *self._shown)
