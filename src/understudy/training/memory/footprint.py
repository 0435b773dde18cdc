"""How much memory training will take, found out without taking any.

A model's config, options and a device in; bytes out, by what they are for. The very step that will
train runs once on tensors that have shapes and no content, and what would be alive at its peak is
counted; so a new loss or another architecture is counted as it is. Knows no loop.
"""

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any  # whatever an operation of torch takes and gives

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from understudy.models import outline
from understudy.models.config import ModelConfig
from understudy.models.model import Model
from understudy.training.plan.options import TrainOptions
from understudy.training.step.face_step import TrainStep
from understudy.training.step.lodging import Lodging
from understudy.training.step.mask_step import MaskStep
from understudy.training.step.optimizers import DEVICE_PIECE

META = torch.device("meta")
_ITERATION = "iteration"
_PLANES = 16  # of a face of each side in a batch: input, target, two masks

HOST_OVERHEAD, DEVICE_OVERHEAD = 1.3, 1.1
"""What an iteration takes for each byte of its tensors: the rest are gaps between them, and what
libraries set aside. On a processor measured; on an accelerator its allocator's usual waste."""

AnyStep = TrainStep | MaskStep
MakeStep = Callable[[Model, TrainOptions, torch.device], AnyStep]


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes that training takes at its peak, by what for; faces are not among them.

    On a processor all of it is the host's.
    """

    device: Mapping[str, int] = field(default_factory=dict)
    host: Mapping[str, int] = field(default_factory=dict)

    def at(self, place: str) -> int:
        """All that the host ("cpu") or the accelerator holds."""
        return sum((self.host if place == "cpu" else self.device).values())

    @property
    def iteration(self) -> int:
        """What comes and goes with each iteration."""
        return self.device.get(_ITERATION, 0) + self.host.get(_ITERATION, 0)


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Counts the bytes of all tensors without content that are made meanwhile."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor) and leaf.device.type == "meta":
                self._see(leaf.untyped_storage())
        return made

    def _see(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return
        self._alive[key] = weakref.ref(storage, partial(self._forget, key, size))
        self.now += size
        self.peak = max(self.peak, self.now)

    def _forget(self, key: int, size: int, _: object) -> None:
        del self._alive[key]
        self.now -= size


def footprint(
    config: ModelConfig,
    options: TrainOptions,
    device: torch.device,
    *,
    make: MakeStep,
    at_once: int | None = None,
) -> Footprint:
    """What training a model of this config with these options takes on `device`.

    `at_once` faces of each side are computed at a time; by default as many as `accumulate` says.
    """
    lodging = Lodging.of(options, device)
    size = options.batch_size
    at_once = min(size, at_once or -(-size // options.accumulate))
    tried = (
        size if at_once == size else min(size, 2 * at_once)
    )  # two parts show all there is to see
    values = {
        "precision": "bf16" if lodging.dtype == torch.bfloat16 else "fp32",
        "models_opt_on_gpu": True,
        "batch_size": tried,
        "accumulate": 1,
    }
    with LiveBytes() as live:
        step = make(outline(config), options.model_copy(update=values), META)
        step.portions.at_once = at_once
        before = live.now
        live.peak = before
        step.rehearse(tried)
    face = _PLANES * 4 * config.resolution**2
    working = live.peak - before - tried * face
    return _placed(step, lodging, working=max(0, working), faces=size * face)


def _placed(step: AnyStep, lodging: Lodging, *, working: int, faces: int) -> Footprint:
    """The parts of a footprint, each where it is held."""
    weights = sum(_bytes(step.model.parameters()))
    trained = sum(p.numel() for p in step.trained.values())
    narrow = weights * lodging.dtype.itemsize // 4
    learned = step.optimizer.state_tensors()
    averages = [t for key, t in learned.items() if key.startswith("average/")]
    others = [*step.adversaries.state_tensors().values()]
    kept = {
        "weights": weights,
        "optimizer": sum(_bytes([*learned.values(), *others])) - sum(_bytes(averages)),
        "averages": sum(_bytes(averages)),
    }
    computing = {
        "weights to compute with": narrow if lodging.has_workers else 0,
        "weights to look at": narrow,
        "batch": faces,
    }
    if lodging.device.type == "cpu":
        # two threads each find gradients of what both sides pass through
        twins = trained * lodging.dtype.itemsize if torch.get_num_threads() > 1 else 0
        return Footprint(
            host=kept | computing | {_ITERATION: _with(HOST_OVERHEAD, working) + twins}
        )
    computing[_ITERATION] = _with(DEVICE_OVERHEAD, working)
    if lodging.home == lodging.device:
        room = min(trained, DEVICE_PIECE) * 4 * step.optimizer.ROOMS
        return Footprint(device=kept | computing | {"update": room})
    return Footprint(device=computing, host=kept | {"gradients": 4 * trained})


def _with(overhead: float, size: int) -> int:
    return round(overhead * size)


def _bytes(tensors: Iterable[Tensor]) -> list[int]:
    return [tensor.numel() * tensor.element_size() for tensor in tensors]
