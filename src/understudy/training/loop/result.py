"""How a run of training ended. Values only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MEAN_OVER = 100


@dataclass(frozen=True, slots=True)
class TrainResult:
    """How a run ended.

    `losses` are means over the last hundred iterations, by name; `seconds` counts all runs.
    `measures` holds what was measured of the faces kept aside, if there are any.
    """

    reason: str
    iteration: int
    seconds: float
    losses: dict[str, float]
    measures: dict[str, float]


def mean_of_last(losses: Sequence[float]) -> float:
    """Mean of the last hundred losses; 0 if there are none."""
    recent = losses[-_MEAN_OVER:]
    return float(np.mean(recent)) if len(recent) else 0.0
