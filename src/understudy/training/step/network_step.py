"""What one iteration of training works with, whatever the networks paint.

A model and options in; where it computes, its optimizer, its discriminators and the portions in
which batches are computed out. Losses are left to those who know what is painted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Generic, TypeVar

import torch

from understudy.models.model import Model
from understudy.training.plan.options import TrainOptions, in_force
from understudy.training.step.adversaries import Adversaries, Gradients, Reduce
from understudy.training.step.allocator import keep_freed_memory
from understudy.training.step.crew import Crew
from understudy.training.step.lodging import Lodging
from understudy.training.step.optimizers import AdaBelief, Optimizer, RmsProp, UpdateRule
from understudy.training.step.portions import Portions, Say
from understudy.training.step.stopwatch import Stopwatch

M = TypeVar("M", bound=Model)


class NetworkStep(Generic[M]):
    """Trains `model`, whose float32 weights change in place with every call.

    The networks compute on `device`. Weights, optimizer and averages lie there too, unless the
    options keep them with the host. `say` hears when memory ran out.
    """

    def __init__(
        self,
        model: M,
        options: TrainOptions,
        *,
        device: torch.device | str = "cpu",
        say: Say = lambda _text: None,
    ) -> None:
        self.options = options = in_force(options, model.config)
        self.device = torch.device(device)
        self.lodging = Lodging.of(options, self.device)
        self.dtype = self.lodging.dtype
        on_host = self.lodging.home.type == "cpu"
        if on_host:
            keep_freed_memory()
        at_once = -(-options.batch_size // options.accumulate)
        self.portions = Portions(at_once, device=self.device, say=say)
        self.model = model
        self.worker = self.lodging.worker(model)
        frozen = model.frozen(random_warp=options.random_warp, parity=options.dfl_parity)
        for name, parameter in self.worker.named_parameters():
            parameter.requires_grad_(name.partition(".")[0] not in frozen)
        self.trained = {
            name: parameter
            for name, parameter in self.worker.named_parameters()
            if parameter.requires_grad
        }
        self.crew = Crew(2) if on_host and torch.get_num_threads() > 1 else None
        kind: type[Optimizer] = AdaBelief if options.adabelief else RmsProp
        rule = update_rule(model, options)
        self.adversaries = Adversaries(model.config, options, kind, rule=rule, lodging=self.lodging)
        self.reduce: Reduce | None = None
        self.is_whole = True
        """Whether weights and optimizers are those after some iteration, all of them."""
        self.stopwatch: Stopwatch | None = None
        working = dict(self.worker.named_parameters()) if self.lodging.has_workers else None
        self.optimizer = kind(dict(self.model.named_parameters()), rule, shadows=working)

    def start_lap(self) -> None:
        """From now on the time of this thread is measured, if anyone does."""
        if self.stopwatch is not None:
            self.stopwatch.start()

    def lap(self, name: str, *, threads: int = 1) -> None:
        """The time since went into `name`, side by side on so many threads."""
        if self.stopwatch is not None:
            self.stopwatch.lap(name, threads=threads)

    def update(self, gradients: Gradients) -> None:
        """One step of the optimizer down these gradients."""
        self.start_lap()
        if self.reduce is not None:
            gradients = self.reduce(gradients)
            self.lap("exchange")
        self.optimizer.step(*gradients, crew=self.crew)
        self.lap("optimizer")

    @contextmanager
    def changing(self) -> Iterator[None]:
        """While weights change: what fails meanwhile leaves them half changed."""
        self.is_whole = False
        yield
        self.is_whole = True

    def share_gradients(self, reduce: Reduce) -> None:
        """Update from now on by what `reduce` makes of the gradients of a batch."""
        self.reduce = reduce
        for member in self.adversaries.members.values():
            member.reduce = reduce

    def set_learning_rate(self, rate: float) -> None:
        """The rate of every optimizer from now on."""
        self.optimizer.rule = replace(self.optimizer.rule, learning_rate=rate)
        self.adversaries.set_learning_rate(rate)

    def refresh(self) -> None:
        """To be called after the model's weights were changed from outside."""
        self.optimizer.refresh()


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
