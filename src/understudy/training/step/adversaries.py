"""Discriminators in training: what they add to the loss of a side, and how they learn from it.

Painted sides and their targets in; losses per sample out, and the discriminators change in place.
Both are off unless an option asks for them. Knows no files: their state is a dict of tensors.
Source: reference "networks, losses, training", sections 10.1, 10.2 and 11.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from understudy.errors import StateError
from understudy.models.blocks import initialise
from understudy.models.config import ModelConfig
from understudy.models.discriminators import CodeDiscriminator, PatchDiscriminator
from understudy.models.face_model import Painted
from understudy.models.losses import Target
from understudy.models.style import looks_made, looks_real
from understudy.training.plan.options import TrainOptions
from understudy.training.step.lodging import Lodging
from understudy.training.step.optimizers import Optimizer, UpdateRule
from understudy.training.step.portions import GradientSum

Say = Callable[[str], None]
Reduce = Callable[[Sequence[Mapping[str, Tensor]]], list[dict[str, Tensor]]]
"""Gradients of a batch that is spread over several processes, of those of the parts here."""

Gradients = list[dict[str, Tensor]]
MakeOptimizer = type[Optimizer]

GAN, CODE = "GAN", "code_discriminator"
"""Names of the two, as the predecessor's files have them."""


class Seen(NamedTuple):
    """What the discriminators learn from on one side; nothing flows back through it."""

    painted: Tensor
    wanted: Tensor
    code: Tensor


def seen(side: Painted, target: Target) -> Seen:
    """A side as the discriminators see it."""
    return Seen(
        weighed(side.face, target).detach(), weighed(target.face, target), side.code.detach()
    )


def weighed(face: Tensor, target: Target) -> Tensor:
    """`face` inside the target's weight, if it has one."""
    return face if target.weight is None else face * target.weight


class Adversary:
    """One discriminator and its optimizer."""

    def __init__(
        self, network: nn.Module, make: MakeOptimizer, *, rule: UpdateRule, lodging: Lodging
    ) -> None:
        self.network, self._dtype = network, lodging.dtype
        self._worker = lodging.worker(network)
        self.reduce: Reduce | None = None
        self._parameters = dict(network.named_parameters())
        working = dict(self._worker.named_parameters()) if lodging.has_workers else None
        self.optimizer = make(self._parameters, rule, shadows=working)

    def judge(self, what: Tensor) -> tuple[Tensor, ...]:
        """Logits of a batch of faces or codes."""
        logits: tuple[Tensor, ...] = self._worker(what.to(self._dtype))
        return logits

    def gradients(self, losses: Iterable[Callable[[], Tensor]], *, parts: int) -> Gradients:
        """Gradients of the sum of the losses of a batch, which comes in so many parts."""
        total = GradientSum(parts)
        for loss in losses:
            found = torch.autograd.grad(loss().sum(), list(self._worker.parameters()))
            total.add([dict(zip(self._parameters, found, strict=True))])
        return total.found

    def update(self, gradients: Gradients) -> None:
        """One step down these gradients."""
        self.optimizer.step(*(gradients if self.reduce is None else self.reduce(gradients)))

    def state_tensors(self) -> dict[str, Tensor]:
        """Weights, the optimizer's slots and its count of iterations."""
        tensors = {f"model/{name}": p.detach() for name, p in self._parameters.items()}
        slots = self.optimizer.state_tensors()
        tensors |= {f"optimizer/{name}": tensor for name, tensor in slots.items()}
        return tensors | {"iteration": torch.tensor([self.optimizer.iteration])}

    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what `state_tensors` gave.

        Raises:
            StateError: weights are missing or have another shape, nothing is changed then; or the
                optimizer's slots do not fit, only the weights are taken over then.
        """
        for name, parameter in self._parameters.items():
            found = tensors.get(f"model/{name}")
            if found is None or found.shape != parameter.shape:
                raise StateError(
                    f"its weights {name}",
                    expected=f"a tensor of shape {tuple(parameter.shape)}",
                    found="none" if found is None else f"shape {tuple(found.shape)}",
                    remedy="Leave gan_patch_size and gan_dims as they were.",
                )
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(tensors[f"model/{name}"])
        self.optimizer.refresh()
        prefix = "optimizer/"
        slots = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        self.optimizer.load_state_tensors(slots)
        self.optimizer.iteration = int(tensors["iteration"])


class Adversaries:
    """The discriminators that the options ask for; none of them costs anything when off."""

    def __init__(
        self,
        config: ModelConfig,
        options: TrainOptions,
        make: MakeOptimizer,
        *,
        rule: UpdateRule,
        lodging: Lodging,
    ) -> None:
        self._options = options
        self._both_sides = config.kind == "AMP"
        self.members: dict[str, Adversary] = {}

        def enter(name: str, network: nn.Module, place: int) -> None:
            initialise(network, seed=options.seed + place)
            own = replace(rule, average=0.0, seed=rule.seed + place)
            self.members[name] = Adversary(network, make, rule=own, lodging=lodging)

        if options.true_face_power:
            side = config.resolution // (32 if "d" in config.letters else 16)
            side *= 1 if "t" in config.letters else 2
            enter(CODE, CodeDiscriminator(num_in=config.ae_dims, side=side), 1)
        if options.gan_power:
            patch = options.gan_patch_size or config.resolution // 8
            enter(GAN, PatchDiscriminator(patch_size=patch, width=options.gan_dims), 2)

    def __bool__(self) -> bool:
        return bool(self.members)

    def loss(self, side: Painted, target: Target, *, is_src: bool) -> Tensor | None:
        """How far one side is from passing as real, per sample; None if nothing judges it."""
        options = self._options
        terms = []
        if CODE in self.members and is_src:
            code = self.members[CODE].judge(side.code)
            terms.append(options.true_face_power * looks_real(code))
        if GAN in self.members and (is_src or self._both_sides):
            face = self.members[GAN].judge(weighed(side.face, target))
            terms.append(options.gan_power * looks_real(face))
        return torch.stack(terms).sum(dim=0) if terms else None

    def lessons(self, pairs: Sequence[tuple[Seen, Seen]]) -> dict[str, Gradients]:
        """What each has to learn from the parts of a batch, src and dst; nothing changes yet."""
        losses = {CODE: self._code_loss, GAN: self._face_loss}
        return {
            name: member.gradients(
                (partial(losses[name], src, dst) for src, dst in pairs), parts=len(pairs)
            )
            for name, member in self.members.items()
            if name != CODE or not self._options.pretrain
        }

    def learn(self, lessons: Mapping[str, Gradients]) -> None:
        """One step of each."""
        for name, gradients in lessons.items():
            self.members[name].update(gradients)

    def _code_loss(self, src: Seen, dst: Seen) -> Tensor:
        judge = self.members[CODE].judge
        return (looks_real(judge(dst.code)) + looks_made(judge(src.code))) / 2

    def _face_loss(self, src: Seen, dst: Seen) -> Tensor:
        judge = self.members[GAN].judge
        sides = (src, dst) if self._both_sides else (src,)
        apart = [looks_real(judge(s.wanted)) + looks_made(judge(s.painted)) for s in sides]
        return torch.stack(apart).sum(0) / (8 if self._both_sides else 2)

    def set_learning_rate(self, rate: float) -> None:
        """The rate of every optimizer from now on."""
        for member in self.members.values():
            member.optimizer.rule = replace(member.optimizer.rule, learning_rate=rate)

    def state_tensors(self) -> dict[str, Tensor]:
        """State of all as "name/..." -> tensor."""
        return {
            f"{name}/{key}": tensor
            for name, member in self.members.items()
            for key, tensor in member.state_tensors().items()
        }

    def added_to(self, saved: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state in place of the same members' in `saved`; those off now are kept for later."""
        others = {k: v for k, v in saved.items() if k.partition("/")[0] not in self.members}
        return others | self.state_tensors()

    def load_state_tensors(self, tensors: Mapping[str, Tensor], say: Say) -> None:
        """Takes over what was saved; `say` hears of a discriminator that begins anew."""
        for name, member in self.members.items():
            prefix = f"{name}/"
            own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            if not own:
                continue
            try:
                member.load_state_tensors(own)
            except StateError as error:
                say(f"{name}, whose settings were changed, begins anew: {error}")
