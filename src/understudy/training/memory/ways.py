"""Ways to train with less memory, the gentlest first: what a user may be told to try.

A way in, others out, each with the words that ask for it. Knows no memory; whether one fits is for
the caller to find out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any  # values of options are of several plain types

import torch

from understudy.models.config import ModelConfig
from understudy.options import parse
from understudy.training.plan.options import TrainOptions

_SMALLEST_PX, _STEP_PX = 64, 32


@dataclass(frozen=True, slots=True)
class Way:
    """How to train, and the words that ask for it."""

    config: ModelConfig
    options: TrainOptions
    device: torch.device
    told: str = ""

    def but(self, told: str, **values: Any) -> "Way":
        """The same with other options."""
        both = f"{self.told} {told}".strip()
        return replace(self, options=self.options.model_copy(update=values), told=both)


def ways_to_take_less(way: Way) -> Iterator[Way]:
    """Other ways to train the same model, from those that change nothing of the result on."""
    start = [way]
    if way.device.type != "cpu" and way.options.models_opt_on_gpu:
        start.append(way.but("--no-models-opt-on-gpu", models_opt_on_gpu=False))
        yield start[-1]
    for one in start:
        if one.options.gan_power:
            yield one.but("--gan-power 0", gan_power=0.0)
        if one.options.ema:
            yield one.but("--ema 0", ema=0.0)
            if one.options.adabelief:
                yield one.but("--ema 0 --no-adabelief", ema=0.0, adabelief=False)
    if way.device.type != "cpu":
        yield replace(way, device=torch.device("cpu"), told="--device cpu")


def smaller_models(way: Way, *, words: str) -> list[Way]:
    """The same for models of a lower resolution, the largest first; `words` ask for one."""
    made = []
    first = (way.config.resolution - 1) // _STEP_PX * _STEP_PX
    for side in range(first, _SMALLEST_PX - 1, -_STEP_PX):
        values = way.config.model_dump() | {"resolution": side}
        made.append(replace(way, config=parse(ModelConfig, values), told=f"{words} {side}"))
    return made
