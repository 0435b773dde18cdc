"""Building blocks the small face networks share, and the way their weights are put in.

Tensors NCHW float in and out; arrays named by order of execution in. Knows nothing of pictures or
files.
Source: Bazarevsky, Kartynnik, Vakunov, Raveendran and Grundmann, "BlazeFace: Sub-millisecond Neural
Face Detection on Mobile GPUs", 2019.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from understudy.tflite import Weights

_KINDS = ("conv", "depthwise", "prelu")


class SameConv2d(nn.Conv2d):
    """Convolution whose output is the input's size over the stride, rounded up.

    The padding that does not divide evenly goes below and to the right, unlike torch's.
    """

    def __init__(
        self, channels: int, out_channels: int, *, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(channels, out_channels, kernel, stride, groups=groups)
        total = kernel - stride if stride > 1 else kernel - 1
        self._before, self._after = total // 2, total - total // 2

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        if self._before == self._after:
            return functional.conv2d(
                x, self.weight, self.bias, self.stride, self._before, 1, self.groups
            )
        padded = functional.pad(x, (self._before, self._after, self._before, self._after))
        return functional.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)


def depthwise(channels: int, *, stride: int = 1) -> SameConv2d:
    """A 3x3 convolution of each channel by itself."""
    return SameConv2d(channels, channels, kernel=3, stride=stride, groups=channels)


def pointwise(channels: int, out_channels: int) -> nn.Conv2d:
    """A 1x1 convolution."""
    return nn.Conv2d(channels, out_channels, 1)


class BlazeBlock(nn.Module):
    """Depthwise and pointwise convolution beside a shortcut.

    The shortcut is pooled, and given new, empty channels, where the shape changes.
    """

    def __init__(
        self, channels: int, out_channels: int, *, activation: nn.Module, stride: int = 1
    ) -> None:
        super().__init__()
        self.depthwise = depthwise(channels, stride=stride)
        self.pointwise = pointwise(channels, out_channels)
        self.activation = activation
        self._stride, self._extra = stride, out_channels - channels

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        shortcut = functional.max_pool2d(x, 2) if self._stride == 2 else x
        if self._extra:
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, self._extra))
        refined: Tensor = self.pointwise(self.depthwise(x))
        mixed: Tensor = self.activation(refined.add_(shortcut))
        return mixed


def layers(module: nn.Module) -> Iterator[nn.Module]:
    """Modules with weights, in the order they were written."""
    return (m for m in module.modules() if isinstance(m, nn.Conv2d | nn.PReLU))


def interleaved(modules: Iterable[nn.Module]) -> Iterator[nn.Module]:
    """Layers of networks of one shape that run side by side: the first of each, then the second."""
    for together in zip(*(list(layers(m)) for m in modules), strict=True):
        yield from together


def put_weights(ordered: Iterable[nn.Module], arrays: Weights) -> None:
    """Fill the layers, given in order of execution, with the arrays numbered in that order.

    Raises:
        ValueError: an array has another shape or is left over; the code and the table differ.
    """
    counts = dict.fromkeys(_KINDS, 0)
    used: set[str] = set()
    for layer in ordered:
        kind = _kind(layer)
        number = counts[kind]
        counts[kind] += 1
        for name, parameter in layer.named_parameters(recurse=False):
            key = f"{kind}_{number:02d}.{name}"
            array = arrays[key]
            if array.shape != tuple(parameter.shape):
                raise ValueError(f"{key} is {array.shape}, the layer takes {parameter.shape}")
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(np.array(array)))
            used.add(key)
    if used != set(arrays):
        raise ValueError(f"left over: {sorted(set(arrays) - used)}")


def _kind(layer: nn.Module) -> str:
    if isinstance(layer, nn.PReLU):
        return "prelu"
    return "depthwise" if isinstance(layer, nn.Conv2d) and layer.groups > 1 else "conv"
