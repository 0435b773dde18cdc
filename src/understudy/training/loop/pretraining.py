"""The end of pretraining: what learned faces at large makes room for this pair of people.

A `TrainState` in, the same one changed. Encoder and decoders stay; the networks between them, which
know whose face it is, begin anew. Source: reference "networks, losses, training", section 11.
"""

import torch

from understudy.models.blocks import initialise
from understudy.training.state.train_state import TrainState


def end_pretraining(state: TrainState, *, seed: int, parity: bool = False) -> list[str]:
    """Names of the networks that begin anew, as do their averages and what the optimizer knew.

    With `parity` the optimizer remembers what is gone, as the predecessor's does.
    """
    names = [name for name in state.model.networks() if name.startswith("inter")]
    for place, name in enumerate(names):
        initialise(state.model.networks()[name], seed=seed + 1 + place)
    weights = {
        name: parameter.detach()
        for name, parameter in state.model.named_parameters()
        if name.partition(".")[0] in names
    }
    optimizer = dict(state.optimizer)
    for key in optimizer:
        slot, _, name = key.partition("/")
        if name not in weights:
            continue
        if slot == "average":
            optimizer[key] = weights[name].clone()
        elif not parity:
            optimizer[key] = torch.zeros_like(optimizer[key])
    state.optimizer = optimizer
    return names
