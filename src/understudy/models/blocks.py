"""Building blocks of the face networks: convolutions, activations, pixel shuffle, initialisation.

Tensors in and out, NCHW, any float type; knows nothing of whole networks or of DFL's files.
Parameter names are those of DFL's weight files. The channel order of `depth_to_space` is also
DFL's: it keeps runs of channels together, which is both compatible and fast in channels_last.
Source: reference "networks, losses, training", sections 1 and 9.
"""

import math
from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from understudy.models.host_conv import faster_gradient, host_conv

Activation = Callable[[Tensor, float], Tensor]


@runtime_checkable
class Beginning(Protocol):
    """A part whose parameters do not all begin at zero."""

    def begin(self) -> None:
        """Set the values it begins with."""


class Conv2d(nn.Conv2d):
    """Convolution that keeps the size (or divides it by `stride`), zeros all around.

    `colors` names the side whose channels are colours, in runs of three: DFL's files hold them in
    BGR order.
    """

    def __init__(
        self,
        num_in: int,
        num_out: int,
        *,
        kernel: int,
        stride: int = 1,
        colors: Literal["in", "out"] | None = None,
    ) -> None:
        super().__init__(num_in, num_out, kernel, stride=stride, padding=kernel // 2)
        self.colors = colors

    def forward(self, x: Tensor) -> Tensor:
        """(b, num_in, h, w) -> (b, num_out, h / stride, w / stride)."""
        gradient = faster_gradient(x, self.weight, stride=self.stride[0])
        if self.bias is not None and gradient is not None:
            return host_conv(x, self.weight, self.bias, stride=self.stride[0], gradient=gradient)
        return super().forward(x)


def leaky_relu(x: Tensor, slope: float) -> Tensor:
    """Leaky ReLU of `x`, in place: saves a pass over memory."""
    return F.leaky_relu(x, slope, inplace=True)


def cosine_unit(x: Tensor, slope: float) -> Tensor:
    """Product of `x` and its cosine: the activation of the letter c, which has no slope."""
    return x * torch.cos(x)


def depth_to_space(x: Float[Tensor, "b c4 h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Twice the size, a quarter of the channels: channel (2i + j)C + c goes to pixel (i, j)."""
    b, c4, h, w = x.shape
    c = c4 // 4
    if c4 > 1 and x.is_contiguous(memory_format=torch.channels_last):
        # b h w (i j c) -> b h i w j c: whole runs of channels move, and stay channels_last
        nhwc = x.permute(0, 2, 3, 1).view(b, h, w, 2, 2, c).permute(0, 1, 3, 2, 4, 5)
        return nhwc.reshape(b, 2 * h, 2 * w, c).permute(0, 3, 1, 2)
    # b (i j c) h w -> b c h i w j
    return x.reshape(b, 2, 2, c, h, w).permute(0, 3, 4, 1, 5, 2).reshape(b, c, 2 * h, 2 * w)


def pixel_norm(x: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """`x` scaled to a mean square of one per sample; computed in float32."""
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + 1e-6)).to(x.dtype)


class UpConv2d(nn.ConvTranspose2d):
    """3x3 convolution that multiplies the size by `stride`."""

    def __init__(self, num_in: int, num_out: int, *, stride: int) -> None:
        super().__init__(num_in, num_out, 3, stride=stride, padding=1 if stride == 1 else 0)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # no output_size
        """(b, num_in, h, w) -> (b, num_out, stride h, stride w)."""
        made = super().forward(x)
        if self.stride[0] == 1:
            return made
        # the last row and column go, as they do in TensorFlow
        return made[..., : self.stride[0] * x.shape[-2], : self.stride[1] * x.shape[-1]]


class Down(nn.Module):
    """Half the size."""

    def __init__(self, num_in: int, num_out: int, *, activation: Activation) -> None:
        super().__init__()
        self.conv1 = Conv2d(
            num_in, num_out, kernel=5, stride=2, colors="in" if num_in == 3 else None
        )
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(b, num_in, h, w) -> (b, num_out, h/2, w/2)."""
        return self.activation(self.conv1(x), 0.1)


class Up(nn.Module):
    """Twice the size."""

    def __init__(self, num_in: int, num_out: int, *, activation: Activation) -> None:
        super().__init__()
        self.conv1 = Conv2d(num_in, 4 * num_out, kernel=3)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(b, num_in, h, w) -> (b, num_out, 2h, 2w)."""
        return depth_to_space(self.activation(self.conv1(x), 0.1))


class Residual(nn.Module):
    """Two convolutions added to what goes in."""

    def __init__(self, width: int, *, activation: Activation) -> None:
        super().__init__()
        self.conv1 = Conv2d(width, width, kernel=3)
        self.conv2 = Conv2d(width, width, kernel=3)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(b, width, h, w) -> the same."""
        inner = self.conv2(self.activation(self.conv1(x), 0.2))
        return self.activation(inner.add_(x), 0.2)


def initialise(module: nn.Module, *, seed: int) -> None:
    """Draws every kernel of `module` Glorot-uniform from `seed` and sets every bias to zero.

    A part with a `begin` of its own sets what that names itself.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.
    """
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        with torch.no_grad():
            if parameter.dim() == 1:
                parameter.zero_()
                continue
            # (out, in, k, k) or (out, in): both fans carry the kernel's area
            area = parameter[0, 0].numel()
            limit = math.sqrt(6.0 / (area * (parameter.shape[0] + parameter.shape[1])))
            draw = torch.empty(parameter.shape).uniform_(-limit, limit, generator=generator)
            parameter.copy_(draw)
    for part in module.modules():
        if isinstance(part, Beginning):
            part.begin()
