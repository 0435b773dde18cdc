"""One iteration of a mask net's training: forward, loss, gradients, update.

A batch in, the loss before the update out; the model changes in place. Knows nothing of where
batches come from, of files, or of when to stop. Arithmetic and optimizer are those of `face_step`.
Source: reference "networks, losses, training", sections 10.4 and 11.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from understudy.models.config import ModelConfig
from understudy.models.losses import dssim, dssim_windows
from understudy.models.mask_net import MaskModel, Painted
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.mask_batches import MaskBatch
from understudy.training.step.adversaries import Gradients
from understudy.training.step.network_step import NetworkStep
from understudy.training.step.portions import GradientSum, Say

_WIDE = 32


class MaskLosses(NamedTuple):
    """Loss of every sample, before the update."""

    mask: Float[Tensor, " b"]


class MaskStep(NetworkStep[MaskModel]):
    """One iteration of a mask net."""

    def __init__(
        self,
        model: MaskModel,
        options: TrainOptions,
        *,
        device: torch.device | str = "cpu",
        say: Say = lambda _text: None,
    ) -> None:
        super().__init__(model, _faster(options, model.config, device), device=device, say=say)

    def __call__(self, batch: MaskBatch) -> MaskLosses:
        """One iteration.

        Raises:
            MemoryShortError: not even one face fits; nothing has changed then.
        """
        losses, gradients = self._in_portions(batch)
        with self.changing():
            self.update(gradients)
        return losses

    def rehearse(self, count: int) -> None:
        """All that an iteration with `count` grey faces does, but nothing changes.

        It shows whether memory allows for one.

        Raises:
            MemoryShortError: not even one face fits.
        """
        side = self.model.config.resolution
        faces, masks = (
            torch.full((count, depth, side, side), 0.5, device=self.device) for depth in (3, 1)
        )
        _, gradients = self._in_portions(MaskBatch(faces, masks))
        self.optimizer.make_room(name for part in gradients for name in part)

    def _in_portions(self, batch: MaskBatch) -> tuple[MaskLosses, Gradients]:
        """Losses and gradients of the batch, in as many parts as memory needs."""

        def find(parts: list[slice]) -> tuple[MaskLosses, Gradients]:
            told, total = [], GradientSum(len(parts))
            for rows in parts:
                losses = self.losses(MaskBatch(batch.faces[rows], batch.target[rows]))
                # of the sum over the batch: it fixes how clipping depends on its size
                found = torch.autograd.grad(losses.mask.sum(), list(self.trained.values()))
                told.append(losses.mask.detach())
                total.add([dict(zip(self.trained, found, strict=True))])
            return MaskLosses(torch.cat(told)), total.found

        return self.portions.run(len(batch.faces), find)

    def losses(self, batch: MaskBatch) -> MaskLosses:
        """Losses of `batch` as they are, without an update."""
        faces = batch.faces.to(self.dtype)
        if self.lodging.lays_channels_last:
            faces = faces.contiguous(memory_format=torch.channels_last)
        painted: Painted = self.worker(faces, skips=not self.options.pretrain)
        if self.options.pretrain:
            return MaskLosses(_likeness_loss(painted, batch.target))
        apart = F.binary_cross_entropy_with_logits(painted.logits, batch.target, reduction="none")
        return MaskLosses(apart.mean(dim=(1, 2, 3)))


def _faster(options: TrainOptions, config: ModelConfig, device: torch.device | str) -> TrainOptions:
    """`options` with float32 for a narrow net on a processor, unless they say otherwise.

    Measured on a processor with instructions for bfloat16: at width 32 an iteration takes 0.74 of
    the time in bfloat16, at width 16 it takes 1.7 times as long.
    """
    narrow = torch.device(device).type == "cpu" and config.base_dims < _WIDE
    if options.precision == "auto" and narrow:
        return options.model_copy(update={"precision": "fp32"})
    return options


def _likeness_loss(painted: Painted, grey: Float[Tensor, "b 1 r r"]) -> Float[Tensor, " b"]:
    """How unlike the grey picture the mask is: pretraining learns to see faces at all."""
    loss = 10 * (grey - painted.mask).square().mean(dim=(1, 2, 3))
    windows = dssim_windows(grey.shape[-1], both=True)
    for window in windows:
        loss = loss + 10 / len(windows) * dssim(grey, painted.mask, window=window).mean(dim=1)
    return loss
