"""Weights of a network to and from the arrays DFL's files hold.

A module and a dict of numpy arrays in, a module or a dict out; no files. Keys are DFL's
("down1/downs_0/conv1/weight:0"); kernels are HWIO there and OIHW here, colours BGR there and RGB
here. Source: reference "DFL formats", section 7.1, and "networks, losses, training", section 1.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from understudy.errors import StateError
from understudy.models.blocks import Conv2d

Array = Float32[np.ndarray, "..."]
_TOLD_MAX = 5


class Misfit(NamedTuple):
    """One tensor that can't be taken over."""

    key: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.key}: expected {self.expected}, found {self.found}"


def load_network(module: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Gives every parameter of `module` its value from `arrays`; keys it does not know are left.

    Raises:
        StateError: an array is missing or does not fit; nothing has been changed then.
    """
    tensors = from_dfl(module, arrays)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(tensors[name])


def dump_network(module: nn.Module) -> dict[str, Array]:
    """Every parameter of `module` under DFL's key and in DFL's layout, as float32 copies."""
    return to_dfl(module, dict(module.named_parameters()))


def from_dfl(
    module: nn.Module, arrays: Mapping[str, np.ndarray], *, key: str = "{}:0"
) -> dict[str, Tensor]:
    """Tensors under the names of `module`'s parameters, from DFL's arrays.

    `key` makes the array's name from a parameter's path: "{}:0" for weights,
    "ms_encoder/{}_0:0" for an optimizer's slot.

    Raises:
        StateError: an array is missing or does not fit.
    """
    wrong = misfits(module, arrays, key=key)
    if wrong:
        raise StateError(
            f"weights of {len(wrong)} tensors" if len(wrong) > 1 else "weights",
            expected="arrays that fit the network",
            found="; ".join(str(one) for one in wrong[:_TOLD_MAX]),
            remedy="Check that the file belongs to this model and its options.",
        )
    tensors = {}
    for name, parameter in module.named_parameters():
        owner = _owner(module, name)
        wanted = tuple(_arrange(parameter, owner, to_dfl=True).shape)
        array = np.array(arrays[key.format(_path(name))], dtype=np.float32)
        tensor = torch.from_numpy(array.reshape(wanted))
        tensors[name] = _arrange(tensor, owner, to_dfl=False).contiguous()
    return tensors


def misfits(
    module: nn.Module, arrays: Mapping[str, np.ndarray], *, key: str = "{}:0"
) -> list[Misfit]:
    """Every parameter of `module` that `arrays` hold no value for; `key` as in `from_dfl`."""
    wrong = []
    for name, parameter in module.named_parameters():
        at = key.format(_path(name))
        shape = tuple(_arrange(parameter, _owner(module, name), to_dfl=True).shape)
        array = arrays.get(at)
        # DFL itself asks for nothing but the number of elements
        if array is None or array.size != parameter.numel():
            found = "none" if array is None else f"shape {array.shape}"
            wrong.append(Misfit(at, f"shape {shape}", found))
        elif not np.isfinite(array).all():
            wrong.append(Misfit(at, "finite numbers", "some that are not"))
    return wrong


def to_dfl(
    module: nn.Module, tensors: Mapping[str, Tensor], *, key: str = "{}:0"
) -> dict[str, Array]:
    """DFL's arrays of `tensors`, which are named and shaped as `module`'s parameters."""
    return {
        key.format(_path(name)): _arrange(
            tensor.detach().float().cpu(), _owner(module, name), to_dfl=True
        )
        .contiguous()
        .numpy()
        .copy()
        for name, tensor in tensors.items()
    }


def _path(name: str) -> str:
    return name.replace(".", "/")


def _owner(module: nn.Module, name: str) -> nn.Module:
    return module.get_submodule(name.rpartition(".")[0])


def _arrange(tensor: Tensor, owner: nn.Module, *, to_dfl: bool) -> Tensor:
    """`tensor` in the other layout. Shapes: OIHW <-> HWIO, (out, in) <-> (in, out)."""
    colors = owner.colors if isinstance(owner, Conv2d) else None
    if tensor.dim() == 4:
        if not to_dfl:
            tensor = tensor.permute(3, 2, 0, 1)
        if colors is not None:
            tensor = tensor.flip(0 if colors == "out" else 1)
        return tensor.permute(2, 3, 1, 0) if to_dfl else tensor
    if tensor.dim() == 2:
        return tensor.T
    return tensor.flip(0) if colors == "out" else tensor
