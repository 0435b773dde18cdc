"""One iteration of training: forward, losses, gradients, update.

A batch in, the losses before the update out; the model changes in place. Knows nothing of where
batches come from, of files, or of when to stop.

A batch may be computed in parts, one after the other, whose gradients are added up: less memory,
the same update. When memory runs out the parts become smaller and the batch is taken again.

On several processor threads each side has its own; they meet in the shared networks' gradients.
Where the device computes faster in bfloat16, the networks run in a bfloat16 copy of the weights
that the optimizer rewrites as it updates the float32 masters: autocast would cast every weight in
every iteration. Losses, sigmoids and norms are float32 either way.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

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
from understudy.training.adversaries import (
    Adversaries,
    Gradients,
    Lodging,
    Reduce,
    Seen,
    seen,
)
from understudy.training.allocator import keep_freed_memory
from understudy.training.crew import Crew
from understudy.training.optimizers import AdaBelief, Optimizer, RmsProp, UpdateRule
from understudy.training.options import TrainOptions, in_force
from understudy.training.portions import GradientSum, Portions, Say
from understudy.training.terms import Terms

T = TypeVar("T")


class SideBatch(NamedTuple):
    """Faces of one side: what goes in, and what should come out."""

    warped: Float[Tensor, "b 3 r r"]
    target: Float[Tensor, "b 3 r r"]
    mask: Float[Tensor, "b 1 r r"]
    eyes_mouth: Float[Tensor, "b 1 r r"] | None = None

    def part(self, rows: slice) -> "SideBatch":
        """Some of the faces."""
        eyes_mouth = None if self.eyes_mouth is None else self.eyes_mouth[rows]
        return SideBatch(self.warped[rows], self.target[rows], self.mask[rows], eyes_mouth)


class Batch(NamedTuple):
    """Faces of both sides for one iteration."""

    src: SideBatch
    dst: SideBatch
    channels: Bool[Tensor, "b n"] | None = None
    """Which channels of each src face's code are its own; AMP only."""

    def part(self, rows: slice) -> "Batch":
        """Some of the faces of both sides."""
        channels = None if self.channels is None else self.channels[rows]
        return Batch(self.src.part(rows), self.dst.part(rows), channels)


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


class _Found(NamedTuple):
    """What a batch gives before anything changes: losses, gradients, what discriminators learn."""

    losses: StepLosses
    gradients: Gradients
    lessons: dict[str, Gradients]


class TrainStep:
    """Trains `model`, whose float32 weights change in place with every call.

    The networks compute on `device`. Weights, optimizer and averages lie there too, unless the
    options keep them with the host. `say` hears when memory ran out.
    """

    def __init__(
        self,
        model: FaceModel,
        options: TrainOptions,
        *,
        device: torch.device | str = "cpu",
        say: Say = lambda _text: None,
    ) -> None:
        self.options = options = in_force(options, model.config)
        self.device = torch.device(device)
        home = self.device if options.models_opt_on_gpu else torch.device("cpu")
        if home.type == "cpu":
            keep_freed_memory()
        self.dtype = choose_dtype(options.precision, self.device)
        self.portions = Portions(
            -(-options.batch_size // options.accumulate), device=self.device, say=say
        )
        self.model = model.to(home)
        if lays_channels_last(self.dtype, self.device):
            for parameter in self.model.parameters():
                if parameter.dim() == 4:
                    parameter.data = parameter.contiguous(memory_format=torch.channels_last)
        lodging = Lodging(self.device, home, self.dtype)
        self.worker = self.model
        if lodging.has_workers:
            self.worker = copy.deepcopy(self.model).to(self.device, self.dtype)
        frozen = model.frozen(random_warp=options.random_warp, parity=options.dfl_parity)
        for name, parameter in self.worker.named_parameters():
            parameter.requires_grad_(name.partition(".")[0] not in frozen)
        self._trained = {
            name: parameter
            for name, parameter in self.worker.named_parameters()
            if parameter.requires_grad
        }
        several = home.type == "cpu" and torch.get_num_threads() > 1
        self._crew = Crew(2) if several else None
        kind: type[Optimizer] = AdaBelief if options.adabelief else RmsProp
        rule = update_rule(model, options)
        self.adversaries = Adversaries(model.config, options, kind, rule=rule, lodging=lodging)
        self._terms = Terms(self.worker, options, self.adversaries)
        self._reduce: Reduce | None = None
        self.optimizer: Optimizer = kind(
            dict(self.model.named_parameters()),
            rule,
            shadows=dict(self.worker.named_parameters()) if lodging.has_workers else None,
        )

    def __call__(self, batch: Batch) -> StepLosses:
        """One iteration.

        Raises:
            MemoryShortError: not even one face of each side fits; nothing has changed then.
        """
        losses, gradients, lessons = self._in_portions(batch, self._find)
        if self._reduce is not None:
            gradients = self._reduce(gradients)
        self.optimizer.step(*gradients, crew=self._crew)
        if self.adversaries and self.options.dfl_parity:
            lessons = self._in_portions(batch, self._find_again)
        self.adversaries.learn(lessons)
        return losses

    def rehearse(self, batch: Batch) -> None:
        """Do all that an iteration does but change anything, to see whether memory allows it.

        Raises:
            MemoryShortError: not even one face of each side fits.
        """
        found = self._in_portions(batch, self._find)
        self.optimizer.make_room(name for part in found.gradients for name in part)
        if self.adversaries and self.options.dfl_parity:
            self._in_portions(batch, self._find_again)

    def share_gradients(self, reduce: Reduce) -> None:
        """Update from now on by what `reduce` makes of the gradients of a batch."""
        self._reduce = reduce
        for member in self.adversaries.members.values():
            member.reduce = reduce

    def set_learning_rate(self, rate: float) -> None:
        """The rate of every optimizer from now on."""
        self.optimizer.rule = replace(self.optimizer.rule, learning_rate=rate)
        self.adversaries.set_learning_rate(rate)

    def _in_portions(self, batch: Batch, work: Callable[[list[Batch]], T]) -> T:
        """What `work` makes of the batch in as many parts as memory needs."""
        return self.portions.run(
            len(batch.src.warped), lambda rows: work([batch.part(some) for some in rows])
        )

    def _find(self, parts: list[Batch]) -> _Found:
        sides: list[list[_Side]] = []
        total = GradientSum(len(parts))
        for part in parts:
            total.add(self._of_part(part, sides))
        src, dst = ([pair[place] for pair in sides] for place in (0, 1))
        told = torch.cat([side.told for side in src])
        styles = [side.style for side in dst if side.style is not None]
        losses = StepLosses(
            told + torch.cat(styles) if styles else told, torch.cat([side.told for side in dst])
        )
        # What was painted before the update does for the discriminators as well, at no cost.
        lessons = {}
        if self.adversaries and not self.options.dfl_parity:
            pairs = zip((side.seen for side in src), (side.seen for side in dst), strict=True)
            lessons = self.adversaries.lessons([(a, b) for a, b in pairs if a and b])
        return _Found(losses, total.found, lessons)

    def _of_part(self, part: Batch, sides: list[list[_Side]]) -> Gradients:
        """Gradients of a part of a batch, whose two sides are added to `sides`."""
        is_cpu = self.device.type == "cpu"
        both, gradients = (
            self._apart(part, self._crew) if self._crew and is_cpu else self._together(part)
        )
        sides.append(both)
        return gradients

    def _together(self, batch: Batch) -> tuple[list[_Side], Gradients]:
        """Losses and gradients with both sides as one batch where they share networks."""
        sides = self._sides(batch)
        # gradients are those of the sum over the batch: it fixes how clipping depends on its size
        total = sides[0].driving + sides[1].driving
        gradients = torch.autograd.grad(total, list(self._trained.values()))
        detached = [side.detach() for side in sides]
        return detached, [dict(zip(self._trained, gradients, strict=True))]

    def _apart(self, batch: Batch, crew: Crew) -> tuple[list[_Side], Gradients]:
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
    def _seen_again(self, batch: Batch) -> tuple[Seen, Seen]:
        """What the updated networks paint, as the predecessor shows its discriminators."""
        painted = self.worker.reconstruct(
            batch.src.warped.to(self.dtype),
            batch.dst.warped.to(self.dtype),
            channels=batch.channels,
        )
        src, dst = (
            seen(side, self._target_of(own))
            for side, own in zip(painted, (batch.src, batch.dst), strict=True)
        )
        return src, dst

    def _find_again(self, parts: list[Batch]) -> dict[str, Gradients]:
        """What the discriminators learn from faces painted anew."""
        return self.adversaries.lessons([self._seen_again(part) for part in parts])

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
