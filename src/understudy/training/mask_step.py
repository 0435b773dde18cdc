"""One iteration of a mask net's training: forward, loss, gradients, update.

A batch in, the loss before the update out; the model changes in place. Knows nothing of where
batches come from, of files, or of when to stop. Arithmetic and optimizer are those of `step`.
Source: reference "networks, losses, training", sections 10.4 and 11.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from understudy.models.losses import dssim, dssim_windows
from understudy.models.mask_net import MaskModel, Painted
from understudy.training.adversaries import Adversaries, Lodging
from understudy.training.allocator import keep_freed_memory
from understudy.training.mask_batches import MaskBatch
from understudy.training.optimizers import AdaBelief, Optimizer, RmsProp
from understudy.training.options import TrainOptions, in_force
from understudy.training.portions import GradientSum, Portions, Say
from understudy.training.step import choose_dtype, lays_channels_last, update_rule


class MaskLosses(NamedTuple):
    """Loss of every sample, before the update."""

    mask: Float[Tensor, " b"]


class MaskStep:
    """Trains `model`, whose float32 weights change in place with every call.

    `say` hears when memory ran out: batches are computed in parts then, with the same result.
    """

    def __init__(
        self,
        model: MaskModel,
        options: TrainOptions,
        *,
        device: torch.device | str = "cpu",
        say: Say = lambda _text: None,
    ) -> None:
        self.options = options = in_force(options, model.config)
        self.device = torch.device(device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.dtype = choose_dtype(options.precision, self.device)
        at_once = -(-options.batch_size // options.accumulate)
        self.portions = Portions(at_once, device=self.device, say=say)
        self.model = model.to(self.device)
        self._last = lays_channels_last(self.dtype, self.device)
        if self._last:
            for parameter in self.model.parameters():
                if parameter.dim() == 4:
                    parameter.data = parameter.contiguous(memory_format=torch.channels_last)
        shadowed = self.dtype != torch.float32
        self.worker = copy.deepcopy(self.model).to(self.dtype) if shadowed else self.model
        self._trained = dict(self.worker.named_parameters())
        for parameter in self._trained.values():
            parameter.requires_grad_(True)
        kind: type[Optimizer] = AdaBelief if options.adabelief else RmsProp
        rule = update_rule(model, options)
        self.optimizer: Optimizer = kind(
            dict(self.model.named_parameters()), rule, shadows=self._trained if shadowed else None
        )
        # none: a mask net has no one to judge it
        lodging = Lodging(self.device, self.device, self.dtype)
        self.adversaries = Adversaries(model.config, options, kind, rule=rule, lodging=lodging)

    def __call__(self, batch: MaskBatch) -> MaskLosses:
        """One iteration."""
        losses, gradients = self.portions.run(
            len(batch.faces), lambda rows: self._computed(batch, rows)
        )
        self.optimizer.step(*gradients)
        return MaskLosses(losses)

    def _computed(
        self, batch: MaskBatch, parts: Sequence[slice]
    ) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """Loss of every sample and the gradients of their sum, a part at a time."""
        total, found = GradientSum(len(parts)), []
        for rows in parts:
            losses = self.losses(MaskBatch(batch.faces[rows], batch.target[rows])).mask
            # of the sum over the batch: it fixes how clipping depends on its size
            gradients = torch.autograd.grad(losses.sum(), list(self._trained.values()))
            total.add([dict(zip(self._trained, gradients, strict=True))])
            found.append(losses.detach())
        return torch.cat(found), total.found

    def losses(self, batch: MaskBatch) -> MaskLosses:
        """Losses of `batch` as they are, without an update."""
        faces = batch.faces.to(self.dtype)
        if self._last:
            faces = faces.contiguous(memory_format=torch.channels_last)
        painted: Painted = self.worker(faces, skips=not self.options.pretrain)
        if self.options.pretrain:
            return MaskLosses(_likeness_loss(painted, batch.target))
        apart = F.binary_cross_entropy_with_logits(painted.logits, batch.target, reduction="none")
        return MaskLosses(apart.mean(dim=(1, 2, 3)))

    def set_learning_rate(self, rate: float) -> None:
        """The optimizer's rate from now on."""
        self.optimizer.rule = replace(self.optimizer.rule, learning_rate=rate)

    def refresh(self) -> None:
        """To be called after the model's weights were changed from outside."""
        self.optimizer.refresh()


def _likeness_loss(painted: Painted, grey: Float[Tensor, "b 1 r r"]) -> Float[Tensor, " b"]:
    """How unlike the grey picture the mask is: pretraining learns to see faces at all."""
    loss = 10 * (grey - painted.mask).square().mean(dim=(1, 2, 3))
    windows = dssim_windows(grey.shape[-1], both=True)
    for window in windows:
        loss = loss + 10 / len(windows) * dssim(grey, painted.mask, window=window).mean(dim=1)
    return loss
