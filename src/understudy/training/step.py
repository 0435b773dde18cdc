"""One iteration of training: forward, losses, gradients, update.

A batch in, the losses before the update out; the model changes in place. Knows nothing of where
batches come from, of files, or of when to stop.

On several processor threads each side has its own; they meet in the shared networks' gradients.
Where the device computes faster in bfloat16, the networks run in a bfloat16 copy of the weights
that the optimizer rewrites as it updates the float32 masters: autocast would cast every weight in
every iteration. Losses, sigmoids and norms are float32 either way.
"""

import copy
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from understudy.models.face_model import FaceModel, Reconstruction, join
from understudy.models.losses import (
    Target,
    gaussian_blur,
    reconstruction_loss,
    smooth_outside,
    soft_mask,
)
from understudy.training.allocator import keep_freed_memory
from understudy.training.crew import Crew
from understudy.training.optimizers import AdaBelief, Optimizer, RmsProp, UpdateRule
from understudy.training.options import TrainOptions


class SideBatch(NamedTuple):
    """Faces of one side: what goes in, and what should come out."""

    warped: Float[Tensor, "b 3 r r"]
    target: Float[Tensor, "b 3 r r"]
    mask: Float[Tensor, "b 1 r r"]
    eyes_mouth: Float[Tensor, "b 1 r r"] | None = None


class Batch(NamedTuple):
    """Faces of both sides for one iteration."""

    src: SideBatch
    dst: SideBatch


class StepLosses(NamedTuple):
    """Loss of every sample, before the update."""

    src: Float[Tensor, " b"]
    dst: Float[Tensor, " b"]


class TrainStep:
    """Trains `model`, whose float32 weights change in place with every call."""

    def __init__(
        self, model: FaceModel, options: TrainOptions, *, device: torch.device | str = "cpu"
    ) -> None:
        self.options = options
        self.device = torch.device(device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.dtype = choose_dtype(options.precision, self.device)
        self.model = model.to(self.device)
        if lays_channels_last(self.dtype, self.device):
            for parameter in self.model.parameters():
                if parameter.dim() == 4:
                    parameter.data = parameter.contiguous(memory_format=torch.channels_last)
        shadowed = self.dtype != torch.float32
        self.worker = copy.deepcopy(self.model).to(self.dtype) if shadowed else self.model
        frozen = model.frozen(random_warp=options.random_warp)
        for name, parameter in self.worker.named_parameters():
            parameter.requires_grad_(name.partition(".")[0] not in frozen)
        self._trained = {
            name: parameter
            for name, parameter in self.worker.named_parameters()
            if parameter.requires_grad
        }
        several = self.device.type == "cpu" and torch.get_num_threads() > 1
        self._crew = Crew(2) if several else None
        kind = AdaBelief if options.adabelief else RmsProp
        self.optimizer: Optimizer = kind(
            dict(self.model.named_parameters()),
            update_rule(model, options),
            shadows=dict(self.worker.named_parameters()) if shadowed else None,
        )

    def __call__(self, batch: Batch) -> StepLosses:
        """One iteration."""
        crew = self._crew
        losses, gradients = self._together(batch) if crew is None else self._apart(batch, crew)
        self.optimizer.step(*gradients, crew=crew)
        return losses

    def _together(self, batch: Batch) -> tuple[StepLosses, list[dict[str, Tensor]]]:
        """Losses and gradients with both sides as one batch where they share networks."""
        losses = self.losses(batch)
        # gradients are those of the sum over the batch: it fixes how clipping depends on its size
        total = losses.src.sum() + losses.dst.sum()
        gradients = torch.autograd.grad(total, list(self._trained.values()))
        detached = StepLosses(losses.src.detach(), losses.dst.detach())
        return detached, [dict(zip(self._trained, gradients, strict=True))]

    def _apart(self, batch: Batch, crew: Crew) -> tuple[StepLosses, list[dict[str, Tensor]]]:
        """The same with each side on its own thread, and the gradients of each side apart."""
        (src_loss, src), (dst_loss, dst) = crew.run(
            [
                lambda: self._side(batch.src, is_src=True),
                lambda: self._side(batch.dst, is_src=False),
            ]
        )
        return StepLosses(src_loss, dst_loss), [src, dst]

    def _side(self, side: SideBatch, *, is_src: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of each sample of one side, and the gradients of what it passed through."""
        target = self._target_of(side)
        painted = self.worker.reconstruct_side(side.warped.to(self.dtype), is_src=is_src)
        losses = reconstruction_loss(*painted, target)
        gradients = torch.autograd.grad(
            losses.sum(), list(self._trained.values()), allow_unused=True
        )
        named = zip(self._trained, gradients, strict=True)
        return losses.detach(), {name: grad for name, grad in named if grad is not None}

    def losses(self, batch: Batch) -> StepLosses:
        """Losses of `batch` as they are, without an update."""
        target = self.target(batch)
        painted: Reconstruction = self.worker.reconstruct(
            batch.src.warped.to(self.dtype), batch.dst.warped.to(self.dtype)
        )
        losses = reconstruction_loss(
            join(painted.src_src, painted.dst_dst),
            join(painted.src_src_mask, painted.dst_dst_mask),
            target,
        )
        num_src = len(batch.src.warped)
        return StepLosses(losses[:num_src], losses[num_src:])

    def target(self, batch: Batch) -> Target:
        """What both sides should come out as, one after the other."""
        src, dst = self._target_of(batch.src), self._target_of(batch.dst)
        return Target(
            join(src.face, dst.face),
            join(src.mask, dst.mask),
            _join_both(src.weight, dst.weight),
            _join_both(src.eyes_mouth, dst.eyes_mouth),
        )

    @torch.no_grad()
    def _target_of(self, side: SideBatch) -> Target:
        face, mask = side.target, side.mask
        if self.options.blur_out_mask:
            face = smooth_outside(face, mask)
        eyes_mouth = None
        if self.options.eyes_mouth_prio:
            if side.eyes_mouth is None:
                raise ValueError("eyes_mouth_prio needs the eyes and mouth masks in the batch")
            eyes_mouth = side.eyes_mouth
        weight = None
        if self.model.config.kind == "Quick96":
            weight = gaussian_blur(mask, 3.0)
        elif self.options.masked_training:
            weight = soft_mask(mask)
        return Target(face, mask, weight, eyes_mouth)

    def refresh(self) -> None:
        """To be called after the model's weights were changed from outside."""
        self.optimizer.refresh()


def _join_both(src: Tensor | None, dst: Tensor | None) -> Tensor | None:
    return None if src is None or dst is None else join(src, dst)


def update_rule(model: FaceModel, options: TrainOptions) -> UpdateRule:
    """How the optimizer steps with these options."""
    cosine = options.lr_dropout and model.config.kind != "Quick96"
    return UpdateRule(
        learning_rate=options.learning_rate,
        keep=0.3 if options.lr_dropout else 1.0,
        period=500 if cosine else 0,
        clip_norm=1.0 if options.clipgrad else 0.0,
        average=options.ema,
        seed=options.seed,
    )


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Number type of the networks: what `precision` says, or the faster one for "auto".

    The rule for "auto" looks at what the device has instructions for, not at the clock, so the same
    machine always trains in the same arithmetic.
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bf16" else torch.float32
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        fast = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def lays_channels_last(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether pixels rather than channels are kept together in memory."""
    return device.type == "cuda" or dtype == torch.bfloat16
