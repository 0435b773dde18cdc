"""Draws that follow from numbers alone: the same ones give the same draws, in any process."""

import numpy as np
import torch


def generator_of(*seed: int) -> torch.Generator:
    """A generator on the processor that these numbers decide."""
    state = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)
