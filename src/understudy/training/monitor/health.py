"""Whether training goes well: finite numbers, and how close faces kept aside are painted.

Losses and pictures in, measures out; raises `Unhealthy` when the run has to go back. Knows no
files.
"""

import math
import statistics
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm

from understudy.training.plan.options import TrainOptions
from understudy.training.state.history import is_likeness

COLLAPSE_SHARE = 0.7
"""A likeness below this share of the best one, twice in a row, is a collapse."""
YOUNG_ITERATIONS = 200
EXPLODED_TIMES = 20.0
"""A loss this many times its median over the last `_LOSSES` iterations has exploded."""

_WINDOW, _SIGMA = 7, 1.5
_LOSSES = 50


class Unhealthy(Exception):
    """Training has to go back to the last good save; the text says why."""


@dataclass(slots=True)
class Health:
    """Watches one run, unless told not to. `best` holds the best likeness by name."""

    guards: bool = True
    best: dict[str, float] = field(default_factory=dict)
    names: tuple[str, ...] = ("src", "dst")
    _low: dict[str, int] = field(default_factory=dict)
    _losses: list[deque[float]] = field(default_factory=list)

    @classmethod
    def after(
        cls,
        measures: Iterable[tuple[int, str, float]],
        *,
        guards: bool = True,
        names: Iterable[str] = ("src", "dst"),
    ) -> "Health":
        """Health that knows the best of these measures: (iteration, name, value).

        `names` are those of the losses it will be shown.
        """
        health = cls(guards, names=tuple(names))
        for iteration, name, value in measures:
            if is_likeness(name) and iteration >= YOUNG_ITERATIONS and math.isfinite(value):
                health.best[name] = max(health.best.get(name, 0.0), value)
        return health

    @property
    def is_doubtful(self) -> bool:
        """Whether the last look at the faces kept aside was much worse than the best."""
        return any(self._low.values())

    def forget_losses(self) -> None:
        """Let losses be of another size from now on, as other options make them."""
        self._losses = []

    def check_losses(self, *losses: float, iteration: int) -> None:
        """Nothing, if all are numbers of the size they lately were.

        Raises:
            Unhealthy: one is infinite, no number, or far above the last ones: what an exploding
                gradient leaves behind.
        """
        if not self.guards:
            return
        named = list(zip(self.names, losses, strict=True))
        if not all(math.isfinite(value) for value in losses):
            told = ", ".join(f"{value} ({name})" for name, value in named)
            raise Unhealthy(f"the loss at iteration {iteration} is {told}")
        self._losses = self._losses or [deque(maxlen=_LOSSES) for _ in named]
        for (name, value), window in zip(named, self._losses, strict=True):
            usual = statistics.median(window) if len(window) == window.maxlen else math.inf
            if value > EXPLODED_TIMES * usual:
                raise Unhealthy(
                    f"the gradient exploded: the {name} loss at iteration {iteration} is "
                    f"{value:.3g}, lately it was {usual:.3g}"
                )
            window.append(value)

    def check_weights(self, tensors: Iterable[Tensor]) -> None:
        """Nothing, if all weights are numbers.

        Raises:
            Unhealthy: one is not.
        """
        if not self.guards:
            return
        # a norm takes no memory of the tensor's size
        sums = [vector_norm(t.detach(), 1) for t in tensors if t.is_floating_point()]
        if sums and not bool(torch.isfinite(torch.stack(sums)).all()):
            raise Unhealthy("a weight is not a number")

    def check_likeness(self, measures: Mapping[str, float], *, iteration: int) -> None:
        """Nothing, unless a face kept aside is painted much worse than before, twice in a row.

        The first iterations don't count: grey, which a new model paints, is liker than first tries.

        Raises:
            Unhealthy: it is.
        """
        if iteration < YOUNG_ITERATIONS or not self.guards:
            return
        for name, value in measures.items():
            best = max(self.best.get(name, 0.0), value if math.isfinite(value) else 0.0)
            self.best[name] = best
            low = not math.isfinite(value) or value < COLLAPSE_SHARE * best
            self._low[name] = self._low.get(name, 0) + 1 if low else 0
            if self._low[name] >= 2:
                self._low[name] = 0
                raise Unhealthy(f"{name} fell to {value:.3f} from {best:.3f}")


def cure(options: TrainOptions) -> dict[str, bool | float]:
    """What to change after a roll-back: gradients are clipped, or else the step size halved."""
    if not options.clipgrad:
        return {"clipgrad": True}
    return {"learning_rate": options.learning_rate / 2}


def likeness(
    made: Float[Tensor, "b 3 r r"], wanted: Float[Tensor, "b 3 r r"], mask: Float[Tensor, "b 1 r r"]
) -> tuple[float, float]:
    """SSIM and PSNR (dB) of faces inside their masks, over all of them.

    Source: Wang et al., "Image quality assessment: from error visibility to structural
    similarity", 2004; 7 x 7 Gaussian window, per channel.
    """
    structure = _ssim_map(made, wanted)
    rim = _WINDOW // 2
    weight = mask[:, :, rim:-rim, rim:-rim]
    total = weight.sum().clamp_min(1e-6)
    ssim = (structure.mean(1, keepdim=True) * weight).sum() / total
    error = ((made - wanted).square().mean(1, keepdim=True) * mask).sum()
    error = error / mask.sum().clamp_min(1e-6)
    psnr = -10 * torch.log10(error.clamp_min(1e-10))
    return float(ssim), float(psnr)


def _ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """SSIM (b, 3, r - 6, r - 6) at every place the window fits."""
    line = torch.arange(_WINDOW, device=a.device, dtype=a.dtype) - _WINDOW // 2
    line = torch.exp(-line.square() / (2 * _SIGMA**2))
    line = line / line.sum()
    window = torch.outer(line, line).expand(3, 1, _WINDOW, _WINDOW)

    def mean(x: Tensor) -> Tensor:
        return F.conv2d(x, window, groups=3)

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    both = mean(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    light = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    shape = (2 * both + c2) / (var_a + var_b + c2)
    return light * shape
