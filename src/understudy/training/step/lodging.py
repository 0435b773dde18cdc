"""Where the networks of a model compute, in which arithmetic, and where their weights are kept.

Networks in; the copies of them that compute out. The float32 weights stay with the optimizer.
Where the device computes faster in bfloat16, or the optimizer stays with the host, networks compute
in a copy that the optimizer rewrites as it updates the weights: autocast would cast every weight in
every iteration. Knows no losses and no optimizer.
"""

import copy
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from understudy.models.devices import has_fast_bfloat16
from understudy.training.plan.options import TrainOptions

N = TypeVar("N", bound=nn.Module)

HOST = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Lodging:
    """Networks compute on `device` in `dtype`; their weights and optimizers are at `home`."""

    device: torch.device
    home: torch.device
    dtype: torch.dtype

    @classmethod
    def of(cls, options: TrainOptions, device: torch.device) -> "Lodging":
        """What the options ask for on this device."""
        home = device if options.models_opt_on_gpu else HOST
        return cls(device, home, choose_dtype(options.precision, device))

    @property
    def has_workers(self) -> bool:
        """Whether networks compute in a copy of their weights: a narrower one, or one nearer."""
        return self.dtype != torch.float32 or self.device != self.home

    @property
    def lays_channels_last(self) -> bool:
        """Whether pixels rather than channels are kept together in memory."""
        return self.device.type == "cuda" or self.dtype == torch.bfloat16

    def worker(self, network: N) -> N:
        """What computes for `network`, which moves home: itself, if it needs no copy."""
        network = network.to(self.home)
        if self.lays_channels_last:
            for parameter in network.parameters():
                if parameter.dim() == 4:
                    parameter.data = parameter.contiguous(memory_format=torch.channels_last)
        return copy.deepcopy(network).to(self.device, self.dtype) if self.has_workers else network


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Number type of the networks: what `precision` says, or the faster one for "auto".

    The rule for "auto" looks at what the device has instructions for, not at the clock, so the same
    machine always trains in the same arithmetic.
    """
    narrow = has_fast_bfloat16(device) if precision == "auto" else precision == "bf16"
    return torch.bfloat16 if narrow else torch.float32
