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

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float
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
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.batch import Batch, SideBatch
from understudy.training.step.adversaries import Gradients, Seen, seen
from understudy.training.step.crew import Crew
from understudy.training.step.network_step import NetworkStep
from understudy.training.step.portions import GradientSum, Say
from understudy.training.step.terms import Terms

T = TypeVar("T")


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


class TrainStep(NetworkStep[FaceModel]):
    """One iteration of a face model."""

    def __init__(
        self,
        model: FaceModel,
        options: TrainOptions,
        *,
        device: torch.device | str = "cpu",
        say: Say = lambda _text: None,
    ) -> None:
        super().__init__(model, options, device=device, say=say)
        self._terms = Terms(self.worker, self.options, self.adversaries)

    def __call__(self, batch: Batch) -> StepLosses:
        """One iteration.

        Raises:
            MemoryShortError: not even one face of each side fits; nothing has changed then.
        """
        losses, gradients, lessons = self._in_portions(batch, self._find)
        with self.changing():
            self.update(gradients)
            if self.adversaries and self.options.dfl_parity:
                lessons = self._in_portions(batch, self._find_again)
            self.adversaries.learn(lessons)
        return losses

    def rehearse(self, count: int) -> None:
        """All that an iteration with `count` grey faces does, but nothing changes.

        It shows whether memory allows for one.

        Raises:
            MemoryShortError: not even one face of each side fits.
        """
        batch = self._blank(count)
        found = self._in_portions(batch, self._find)
        self.optimizer.make_room(name for part in found.gradients for name in part)
        if self.adversaries and self.options.dfl_parity:
            self._in_portions(batch, self._find_again)

    def _blank(self, count: int) -> Batch:
        config = self.model.config
        side, halves = config.resolution, partial(torch.full, fill_value=0.5, device=self.device)

        def faces() -> SideBatch:
            mask, eyes_mouth = (halves((count, 1, side, side)) for _ in range(2))
            return SideBatch(
                halves((count, 3, side, side)), halves((count, 3, side, side)), mask, eyes_mouth
            )

        own = None
        if config.kind == "AMP":
            own = torch.ones(count, config.inter_dims, dtype=torch.bool, device=self.device)
        return Batch(faces(), faces(), own)

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
            self._apart(part, self.crew) if self.crew and is_cpu else self._together(part)
        )
        sides.append(both)
        return gradients

    def _together(self, batch: Batch) -> tuple[list[_Side], Gradients]:
        """Losses and gradients with both sides as one batch where they share networks."""
        self.start_lap()
        sides = self._sides(batch)
        self.lap("forward")
        # gradients are those of the sum over the batch: it fixes how clipping depends on its size
        total = sides[0].driving + sides[1].driving
        gradients = torch.autograd.grad(total, list(self.trained.values()))
        self.lap("backward")
        detached = [side.detach() for side in sides]
        return detached, [dict(zip(self.trained, gradients, strict=True))]

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
        self.start_lap()
        own = batch.src if is_src else batch.dst
        painted = self.worker.reconstruct_side(
            own.warped.to(self.dtype), is_src=is_src, channels=batch.channels if is_src else None
        )
        target = self._target_of(own)
        losses = self._reconstruction(painted.face, painted.mask, target)
        side = self._side(painted, target, losses, batch, is_src=is_src)
        self.lap("forward", threads=2)
        gradients = torch.autograd.grad(
            side.driving, list(self.trained.values()), allow_unused=True
        )
        self.lap("backward", threads=2)
        named = zip(self.trained, gradients, strict=True)
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
