"""A model in training as one value: what a save holds and the loop works on.

Values only. `model_folder` writes and reads it as our own folder, `dfl_import` as DFL's files.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any  # DFL's options are of several plain types

from torch import Tensor

from understudy.models.config import ModelConfig
from understudy.models.model import Model
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.phases import Plan
from understudy.training.state.history import FACES, History

_AVERAGE = "average/"


def loss_names(config: ModelConfig) -> tuple[str, ...]:
    """Names of the losses a model of this config is told by."""
    return ("mask",) if config.kind == "XSeg" else FACES


@dataclass(slots=True)
class TrainState:
    """A model in training. Tensors are those in use, not copies.

    `optimizer` has "slot/parameter" keys; slot "average" holds the averaged weights. All random
    draws follow from the options' seed, `attempt` (roll-backs so far) and `iteration`. `seconds`
    counts training over all runs.
    """

    config: ModelConfig
    model: Model
    options: TrainOptions = field(default_factory=TrainOptions)
    iteration: int = 0
    seconds: float = 0.0
    attempt: int = 0
    optimizer: Mapping[str, Tensor] = field(default_factory=dict)
    optimizer_iteration: int = 0
    history: History = field(default_factory=History)
    sha256: str = ""
    """Hash of the tensors this was read from; "" if it was never saved."""
    adversaries: Mapping[str, Tensor] = field(default_factory=dict)
    """State of the discriminators, as `Adversaries.state_tensors` gives it."""
    dfl_options: Mapping[str, Any] = field(default_factory=dict)
    """Options as DFL knows them, of a model that came from there."""
    plan: Plan | None = None
    """Phases of a recipe and how far they are, where one is followed."""

    @property
    def acting(self) -> TrainOptions:
        """The options as the present phase of the plan changes them."""
        return self.options if self.plan is None else self.plan.acting(self.options)

    def change(self, values: Mapping[str, Any]) -> None:
        """Let these options hold from now on, in all phases."""
        self.options = self.options.model_copy(update=values)
        if self.plan is not None:
            self.plan = self.plan.with_settings(dict(values))

    def tensors(self) -> Iterator[Tensor]:
        """All that was learned: weights, the optimizer's memory, discriminators."""
        return chain(self.model.parameters(), self.optimizer.values(), self.adversaries.values())

    @property
    def num_bytes(self) -> int:
        """Bytes of all tensors a save holds."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors())

    @property
    def averaged(self) -> dict[str, Tensor]:
        """Averaged weights by parameter; empty if none are kept."""
        return {
            key.removeprefix(_AVERAGE): tensor
            for key, tensor in self.optimizer.items()
            if key.startswith(_AVERAGE)
        }
