"""AdaBelief and RMSprop as the predecessor computes them, over every parameter in one pass.

Parameters and gradients in, parameters changed in place; knows nothing of networks or losses.
No bias correction, no weight decay, epsilon outside the root. On a processor the update runs in
pieces that fit the cache, so that each number crosses the memory bus once; on an accelerator in
pieces that are large enough to keep it busy. Masters are float32; a shadow of each (what the
networks compute with: bfloat16, or on another device) is written in the same pass.
Source: reference "networks, losses, training", section 11; Zhuang et al., "AdaBelief optimizer:
adapting stepsizes by the belief in observed gradients", 2020.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from understudy.errors import StateError
from understudy.training.step.crew import Crew

EPSILON = 1e-6
PIECE = 262_144
"""Numbers per piece on a processor: five streams of it fit the last-level cache; measured."""

DEVICE_PIECE = 1 << 25
"""Numbers per piece on an accelerator: each stream of it takes longer than a launch."""

LANES = 2
"""Pieces on a processor are shared out among this many threads."""

AVERAGE_EVERY = 8
"""Iterations between two updates of the averaged weights: it costs an eighth, and shows nowhere."""


_LONG_AGO = torch.tensor(1e15)


@dataclass(frozen=True, slots=True)
class UpdateRule:
    """How far a step goes.

    `keep` is the share of weights updated per step (1 = all), `period` the number of iterations of
    a full cosine of the rate (0 = constant), `clip_norm` the largest norm of the whole gradient
    (0 = any), `average` the decay of the averaged weights (0 = none kept).
    """

    learning_rate: float = 5e-5
    keep: float = 1.0
    period: int = 0
    clip_norm: float = 0.0
    average: float = 0.0
    seed: int = 0


@dataclass(slots=True)
class _Piece:
    """Tensors of one pass: flat views of the same stretch of each parameter."""

    number: int
    sources: list[tuple[str, int, int]]
    weights: list[Tensor]
    shadows: list[Tensor]
    averages: list[Tensor]
    slots: list[list[Tensor]]
    scratch: list[Tensor]
    numerators: list[Tensor]


class Optimizer(ABC):
    """Holds the state of an update rule; `step` applies it."""

    SLOTS: ClassVar[tuple[str, ...]]
    ROOMS: ClassVar[int]
    """Pieces of memory an update works in, for each lane."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        rule: UpdateRule,
        *,
        shadows: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.rule = rule
        self.iteration = 0
        self.parameters = {name: parameter.detach() for name, parameter in parameters.items()}
        self.shadows = {name: shadow.detach() for name, shadow in (shadows or {}).items()}
        self.slots = {
            slot: {name: torch.zeros_like(p) for name, p in self.parameters.items()}
            for slot in self.SLOTS
        }
        self.averaged: dict[str, Tensor] = (
            {name: p.clone() for name, p in self.parameters.items()} if rule.average else {}
        )
        kind = next(iter(self.parameters.values())).device.type
        self._on_host = kind in ("cpu", "meta")  # what has no content is cut up as on a processor
        self._lanes = LANES if self._on_host else 1
        self._pieces: list[_Piece] = []
        self._moving: frozenset[str] = frozenset()

    @abstractmethod
    def _direction(self, piece: _Piece, slots: list[list[Tensor]]) -> list[Tensor]:
        """Numerators of the step, after the slots took in the gradients in `piece.scratch`.

        Leaves the divisors in `piece.scratch`.
        """

    @torch.no_grad()
    def step(self, *parts: Mapping[str, Tensor], crew: Crew | None = None) -> None:
        """One update by the sum of the gradients of each part of a batch.

        A parameter without a gradient rests, and so does its state. Gradients may be of any float
        type and layout; they are not changed. The result does not depend on the crew.
        """
        self.iteration += 1
        rate = self.learning_rate()
        decay = self._average_decay()
        flat: dict[str, list[Tensor]] = {}
        for part in parts:
            for name, gradient in part.items():
                row = _flat(_like(gradient, self.parameters[name]))
                flat.setdefault(name, []).append(row)
        scale = self._clip_scale(flat)
        self.make_room(flat)

        @torch.no_grad()  # each thread has its own switch
        def advance(lane: int) -> None:
            for piece in self._pieces[lane :: self._lanes]:
                self._update(piece, flat, rate=rate, scale=scale, decay=decay)

        if crew is None:
            for lane in range(self._lanes):
                advance(lane)
        else:
            crew.run([partial(advance, lane) for lane in range(self._lanes)])

    def make_room(self, names: Iterable[str]) -> None:
        """Take the memory that an update of these parameters works in; it is kept for the next."""
        moving = frozenset(names)
        if self._moving != moving:
            self._moving, self._pieces = moving, self._cut(moving)

    def learning_rate(self) -> float:
        """Rate of the present iteration."""
        if not self.rule.period:
            return self.rule.learning_rate
        turn = 2 * math.pi * self.iteration / self.rule.period
        return self.rule.learning_rate * (math.cos(turn) + 1) / 2

    def state_tensors(self) -> dict[str, Tensor]:
        """The state as "slot/parameter" -> tensor, not copied; `iteration` is apart."""
        return {
            f"{slot}/{name}": tensor
            for slot, tensors in [*self.slots.items(), ("average", self.averaged)]
            for name, tensor in tensors.items()
        }

    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what `state_tensors` gave; set `iteration` too.

        Averages may be missing (they were off): they start from the present weights. Keys of other
        slots are left alone.

        Raises:
            StateError: a tensor is missing or has another shape; nothing has been changed then.
        """
        own = self.state_tensors()
        for key, tensor in own.items():
            found = tensors.get(key)
            if found is None and key.startswith("average/"):
                continue
            if found is None or found.shape != tensor.shape:
                raise StateError(
                    f"optimizer state {key!r}",
                    expected=f"a tensor of shape {tuple(tensor.shape)}",
                    found="none" if found is None else f"shape {tuple(found.shape)}",
                    remedy="Load the state that belongs to this model and optimizer.",
                )
        with torch.no_grad():
            for key, tensor in own.items():
                if key in tensors:
                    tensor.copy_(tensors[key])
                else:
                    tensor.copy_(self.parameters[key.partition("/")[2]])

    @torch.no_grad()
    def refresh(self) -> None:
        """Writes the shadows anew after the parameters were changed from outside."""
        for name, shadow in self.shadows.items():
            shadow.copy_(self.parameters[name])

    def _clip_scale(self, gradients: Mapping[str, Sequence[Tensor]]) -> float:
        if not self.rule.clip_norm:
            return 1.0
        sums = (sum(part.float() for part in parts) for parts in gradients.values())
        squares = [torch.as_tensor(total).square().sum() for total in sums]
        norm = math.sqrt(float(torch.stack(squares).sum()))
        return self.rule.clip_norm / norm if norm >= self.rule.clip_norm else 1.0

    def _dropped(self, like: Tensor, generator: np.random.Generator) -> Tensor:
        """Which numbers of a row rest in this iteration."""
        # numpy's draws, four of 16 bits from each of 64, are twenty times as fast as bernoulli_
        words = generator.integers(0, 2**64, -(-like.numel() // 4), dtype=np.uint64)
        draws = torch.from_numpy(words.view(np.int16)[: like.numel()])
        return (draws >= round(self.rule.keep * 2**16) - 2**15).to(like.device)

    def _average_decay(self) -> float | None:
        """Decay of the averages in this iteration; None if they rest."""
        if not self.rule.average or self.iteration % AVERAGE_EVERY:
            return None
        # young averages follow quickly, or the random first weights would show for long
        young = (1 + self.iteration) / (10 + self.iteration)
        return float(min(self.rule.average, young) ** AVERAGE_EVERY)

    def _update(
        self,
        piece: _Piece,
        gradients: Mapping[str, Sequence[Tensor]],
        *,
        rate: float,
        scale: float,
        decay: float | None,
    ) -> None:
        for scratch, (name, start, end) in zip(piece.scratch, piece.sources, strict=True):
            first, *others = gradients[name]
            scratch.copy_(first[start:end])
            for other in others:
                scratch.add_(other[start:end])
        if scale != 1:
            torch._foreach_mul_(piece.scratch, scale)
        resting: list[Tensor] = []
        if self.rule.keep < 1:
            # a draw that depends on seed, iteration and place alone survives any resume
            place = [self.rule.seed, self.iteration, piece.number]
            draws = np.random.Generator(np.random.SFC64(place))
            resting = [self._dropped(row, draws) for row in piece.scratch]
        self._move(piece, rate, resting)
        if piece.shadows:
            _copy(piece.shadows, piece.weights)
        if decay is not None:
            torch._foreach_lerp_(piece.averages, piece.weights, 1 - decay)

    def _move(self, piece: _Piece, rate: float, resting: Sequence[Tensor]) -> None:
        """Moves the weights but those that rest, given the gradients in `piece.scratch`."""
        numerators = self._direction(piece, piece.slots)
        for divisor, rests in zip(piece.scratch, resting, strict=False):
            divisor.masked_fill_(rests, math.inf)  # dividing by infinity moves nothing
        torch._foreach_addcdiv_(piece.weights, numerators, piece.scratch, -rate)

    def _cut(self, names: Collection[str]) -> list[_Piece]:
        """Pieces that cover the named parameters: long ones cut up, short ones together."""
        first = next(iter(self.parameters.values()))
        size = PIECE if self._on_host else DEVICE_PIECE
        stretches: list[list[tuple[str, int, int]]] = []
        room = 0
        # in the parameters' own order: the draws of dropout belong to the place
        for name in [name for name in self.parameters if name in names]:
            count = self.parameters[name].numel()
            for start in range(0, count, size):
                end = min(start + size, count)
                if end - start > room or start:
                    stretches.append([])
                    room = size
                stretches[-1].append((name, start, end))
                room -= end - start
        # every piece of a lane works in the same rooms: they stay in the cache
        room = max(sum(end - start for _, start, end in sources) for sources in stretches)
        rooms = [[first.new_empty(room) for _ in range(self.ROOMS)] for _ in range(self._lanes)]
        return [
            self._piece(number, sources, rooms[number % self._lanes])
            for number, sources in enumerate(stretches)
        ]

    def _piece(
        self, number: int, sources: Sequence[tuple[str, int, int]], rooms: Sequence[Tensor]
    ) -> _Piece:
        def cut(tensors: Mapping[str, Tensor]) -> list[Tensor]:
            return [_flat(tensors[name])[start:end] for name, start, end in sources]

        weights = cut(self.parameters)
        return _Piece(
            number=number,
            sources=list(sources),
            weights=weights,
            shadows=cut(self.shadows) if self.shadows else [],
            averages=cut(self.averaged) if self.averaged else [],
            slots=[cut(self.slots[slot]) for slot in self.SLOTS],
            scratch=_furnish(rooms[0], weights),
            numerators=_furnish(rooms[1], weights) if len(rooms) > 1 else [],
        )


class AdaBelief(Optimizer):
    """Steps by the mean of the gradient over its deviation from that mean."""

    SLOTS = ("m", "v")
    ROOMS = 1

    def _move(self, piece: _Piece, rate: float, resting: Sequence[Tensor]) -> None:
        if resting or not self._on_host:
            super()._move(piece, rate, resting)
            return
        means, variances = piece.slots
        torch._foreach_lerp_(means, piece.scratch, 0.1)
        torch._foreach_sub_(piece.scratch, means)
        # torch's Adam does the rest in one pass: its mean, which is ours already, stays as it is,
        # and after so many steps it corrects nothing
        torch._fused_adam_(
            piece.weights,
            piece.scratch,
            means,
            variances,
            [],
            [_LONG_AGO] * len(piece.weights),
            lr=rate,
            beta1=1 - 1e-12,
            beta2=0.999,
            weight_decay=0.0,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def _direction(self, piece: _Piece, slots: list[list[Tensor]]) -> list[Tensor]:
        means, variances = slots
        torch._foreach_lerp_(means, piece.scratch, 0.1)
        torch._foreach_sub_(piece.scratch, means)
        torch._foreach_mul_(variances, 0.999)
        torch._foreach_addcmul_(variances, piece.scratch, piece.scratch, 0.001)
        _root(variances, out=piece.scratch)
        torch._foreach_add_(piece.scratch, EPSILON)
        return means


class RmsProp(Optimizer):
    """Steps by the gradient over its recent size."""

    SLOTS = ("acc",)
    ROOMS = 2

    def _direction(self, piece: _Piece, slots: list[list[Tensor]]) -> list[Tensor]:
        (powers,) = slots
        gradients = piece.numerators
        _copy(gradients, piece.scratch)
        torch._foreach_mul_(powers, 0.9)
        torch._foreach_addcmul_(powers, gradients, gradients, 0.1)
        _root(powers, out=piece.scratch)
        torch._foreach_add_(piece.scratch, EPSILON)
        return gradients


def _furnish(room: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Rows in `room` as long as `tensors`."""
    counts = [tensor.numel() for tensor in tensors]
    return list(torch.split(room[: sum(counts)], counts))


def _copy(targets: list[Tensor], sources: list[Tensor]) -> None:
    if targets[0].device == sources[0].device and targets[0].device.type != "cpu":
        torch._foreach_copy_(targets, sources)
        return
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)  # the fused form would first make a converted copy


def _root(sources: list[Tensor], *, out: list[Tensor]) -> None:
    if out[0].device.type != "cpu":
        torch._foreach_copy_(out, sources)
        torch._foreach_sqrt_(out)
        return
    for source, target in zip(sources, out, strict=True):
        torch.sqrt(source, out=target)  # in place after a copy would be another pass


def _like(gradient: Tensor, parameter: Tensor) -> Tensor:
    """`gradient` in the memory order of `parameter`, where that is."""
    if gradient.stride() == parameter.stride():
        return gradient.to(parameter.device)
    return torch.empty_like(parameter, dtype=gradient.dtype).copy_(gradient)


def _flat(tensor: Tensor) -> Tensor:
    """`tensor` as a row in memory order, sharing its memory."""
    return tensor.as_strided((tensor.numel(),), (1,))
