"""One iteration of training: forward, losses, gradients, update.

A batch in, the losses before the update out; the model changes in place. Knows nothing of where
batches come from, of files, or of when to stop.

On several processor threads each side has its own; they meet in the shared networks' gradients.
Where the device computes faster in bfloat16, the networks run in a bfloat16 copy of the weights
that the optimizer rewrites as it updates the float32 masters: autocast would cast every weight in
every iteration. Losses, sigmoids and norms are float32 either way.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from understudy.models.face_model import FaceModel, Painted, join, split
from understudy.models.losses import (
    Target,
    dssim_windows,
    gaussian_blur,
    reconstruction_loss,
    smooth_outside,
    soft_mask,
)
from understudy.models.model import Model
from understudy.training.adversaries import Adversaries, Reduce, Seen, seen
from understudy.training.allocator import keep_freed_memory
from understudy.training.crew import Crew
from understudy.training.optimizers import AdaBelief, Optimizer, RmsProp, UpdateRule
from understudy.training.options import TrainOptions, in_force
from understudy.training.terms import Terms


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
    channels: Bool[Tensor, "b n"] | None = None
    """Which channels of each src face's code are its own; AMP only."""


class StepLosses(NamedTuple):
    """Loss of every sample, before the update."""

    src: Float[Tensor, " b"]
    dst: Float[Tensor, " b"]


class _Side(NamedTuple):
    """One side after its forward pass: its loss per sample, the style of the swap, what drives."""

    told: Tensor
    style: Tensor | None
    driving: Tensor
    seen: Seen | None

    def detach(self) -> "_Side":
        style = None if self.style is None else self.style.detach()
        return _Side(self.told.detach(), style, self.driving.detach(), self.seen)


class TrainStep:
    """Trains `model`, whose float32 weights change in place with every call."""

    def __init__(
        self, model: FaceModel, options: TrainOptions, *, device: torch.device | str = "cpu"
    ) -> None:
        self.options = options = in_force(options, model.config)
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
        frozen = model.frozen(random_warp=options.random_warp, parity=options.dfl_parity)
        for name, parameter in self.worker.named_parameters():
            parameter.requires_grad_(name.partition(".")[0] not in frozen)
        self._trained = {
            name: parameter
            for name, parameter in self.worker.named_parameters()
            if parameter.requires_grad
        }
        several = self.device.type == "cpu" and torch.get_num_threads() > 1
        self._crew = Crew(2) if several else None
        kind: type[Optimizer] = AdaBelief if options.adabelief else RmsProp
        rule = update_rule(model, options)
        self.adversaries = Adversaries(
            model.config, options, kind, rule=rule, device=self.device, dtype=self.dtype
        )
        self._terms = Terms(self.worker, options, self.adversaries)
        self._reduce: Reduce | None = None
        self.optimizer: Optimizer = kind(
            dict(self.model.named_parameters()),
            rule,
            shadows=dict(self.worker.named_parameters()) if shadowed else None,
        )

    def __call__(self, batch: Batch) -> StepLosses:
        """One iteration."""
        crew = self._crew
        sides, gradients = self._together(batch) if crew is None else self._apart(batch, crew)
        if self._reduce is not None:
            gradients = self._reduce(gradients)
        self.optimizer.step(*gradients, crew=crew)
        if self.adversaries:
            self._teach_adversaries(batch, sides)
        src, dst = sides
        return StepLosses(src.told if dst.style is None else src.told + dst.style, dst.told)

    def share_gradients(self, reduce: Reduce) -> None:
        """Update from now on by what `reduce` makes of the gradients of a batch."""
        self._reduce = reduce
        for member in self.adversaries.members.values():
            member.reduce = reduce

    def set_learning_rate(self, rate: float) -> None:
        """The rate of every optimizer from now on."""
        self.optimizer.rule = replace(self.optimizer.rule, learning_rate=rate)
        self.adversaries.set_learning_rate(rate)

    def _together(self, batch: Batch) -> tuple[list[_Side], list[dict[str, Tensor]]]:
        """Losses and gradients with both sides as one batch where they share networks."""
        sides = self._sides(batch)
        # gradients are those of the sum over the batch: it fixes how clipping depends on its size
        total = sides[0].driving + sides[1].driving
        gradients = torch.autograd.grad(total, list(self._trained.values()))
        detached = [side.detach() for side in sides]
        return detached, [dict(zip(self._trained, gradients, strict=True))]

    def _apart(self, batch: Batch, crew: Crew) -> tuple[list[_Side], list[dict[str, Tensor]]]:
        """The same with each side on its own thread, and the gradients of each side apart."""
        src, dst = crew.run(
            [
                lambda: self._alone(batch, is_src=True),
                lambda: self._alone(batch, is_src=False),
            ]
        )
        return [src[0], dst[0]], [src[1], dst[1]]

    def _alone(self, batch: Batch, *, is_src: bool) -> tuple[_Side, dict[str, Tensor]]:
        """Losses of one side, and the gradients of what it passed through."""
        own = batch.src if is_src else batch.dst
        painted = self.worker.reconstruct_side(
            own.warped.to(self.dtype), is_src=is_src, channels=batch.channels if is_src else None
        )
        target = self._target_of(own)
        losses = self._reconstruction(painted.face, painted.mask, target)
        side = self._side(painted, target, losses, batch, is_src=is_src)
        gradients = torch.autograd.grad(
            side.driving, list(self._trained.values()), allow_unused=True
        )
        named = zip(self._trained, gradients, strict=True)
        return side.detach(), {name: grad for name, grad in named if grad is not None}

    def losses(self, batch: Batch) -> StepLosses:
        """Losses of `batch` as they are, without an update."""
        src, dst = self._sides(batch)
        return StepLosses(src.told if dst.style is None else src.told + dst.style, dst.told)

    def _sides(self, batch: Batch) -> list[_Side]:
        targets = self._target_of(batch.src), self._target_of(batch.dst)
        painted = self.worker.reconstruct(
            batch.src.warped.to(self.dtype),
            batch.dst.warped.to(self.dtype),
            channels=batch.channels,
        )
        losses = self._reconstruction(
            join(painted.src.face, painted.dst.face),
            join(painted.src.mask, painted.dst.mask),
            _join_targets(*targets),
        )
        both = split(losses, len(batch.src.warped))
        return [
            self._side(painted[place], targets[place], both[place], batch, is_src=place == 0)
            for place in (0, 1)
        ]

    def _side(
        self, painted: Painted, target: Target, losses: Tensor, batch: Batch, *, is_src: bool
    ) -> _Side:
        """All that drives one side, given its reconstruction losses."""
        driving, style = losses.sum(), None
        if not is_src and self._terms.has_style:
            style = self._terms.style(painted, target, self._target_of(batch.src))
        silent = self._terms.silent(painted, target, is_src=is_src)
        for more in (style, silent):
            driving = driving if more is None else driving + more.sum()
        judged = seen(painted, target) if self.adversaries else None
        return _Side(losses, style, driving, judged)

    @torch.no_grad()
    def _seen_again(self, batch: Batch) -> list[Seen]:
        """What the updated networks paint, as the predecessor shows its discriminators."""
        painted = self.worker.reconstruct(
            batch.src.warped.to(self.dtype),
            batch.dst.warped.to(self.dtype),
            channels=batch.channels,
        )
        return [
            seen(side, self._target_of(own))
            for side, own in zip(painted, (batch.src, batch.dst), strict=True)
        ]

    def _teach_adversaries(self, batch: Batch, sides: Sequence[_Side]) -> None:
        judged = [side.seen for side in sides if side.seen is not None]
        # What was painted before the update does as well, and costs nothing.
        self.adversaries.learn(*(self._seen_again(batch) if self.options.dfl_parity else judged))

    def _reconstruction(self, face: Tensor, mask: Tensor, target: Target) -> Tensor:
        windows = dssim_windows(face.shape[-1], both=self.model.config.kind == "AMP")
        return reconstruction_loss(face, mask, target, windows=windows)

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


def _join_targets(src: Target, dst: Target) -> Target:
    """Both sides as one batch."""
    return Target(
        join(src.face, dst.face),
        join(src.mask, dst.mask),
        _join_both(src.weight, dst.weight),
        _join_both(src.eyes_mouth, dst.eyes_mouth),
    )


def _join_both(src: Tensor | None, dst: Tensor | None) -> Tensor | None:
    return None if src is None or dst is None else join(src, dst)


def update_rule(model: Model, options: TrainOptions) -> UpdateRule:
    """How the optimizer steps with these options."""
    cosine = options.lr_dropout and model.config.kind not in ("Quick96", "XSeg")
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
