"""Convolutions on a processor, with gradients of the kernel that keep it busy.

oneDNN makes the gradient of a kernel slower than its other work, the more so the smaller pictures
are (AMD EPYC, bfloat16: 83 GFLOP/s at 8 pixels, 192 at 16, against 230 forward). Two ways are
faster, each in its place:

* up to 8 pixels, one matrix product of the gradient and the unrolled picture;
* up to 32 pixels, for kernels of 3, the minimal filtering of Winograd, F(3x3, 2x2), after Lavin and
  Gray (Fast Algorithms for Convolutional Neural Networks, 2016): 16 products where the plain way
  has 36. Its tiles are rounded to the arithmetic's type, which brings 0.5 % of noise into a
  gradient in bfloat16, where the plain way has 0.2 %.

Tensors in and out, channels last; knows nothing of networks.
"""

from collections.abc import Callable
from typing import Any  # what autograd hands from one function to the other

import torch
from torch import Tensor
from torch.nn import functional as F

KernelGradient = Callable[[Tensor, Tensor, Tensor, int], Tensor]
"""Input, gradient of the output, kernel and stride -> gradient of the kernel."""

WIDEST_PRODUCT = 8
"""Pixels of the output up to which the matrix product is the faster way; measured."""
WIDEST_TILES = 32
"""The same of the tiles, whose making costs more the larger pictures are."""
FEWEST_CHANNELS = 128
"""Channels on the narrower side from which the tiles pay."""


def faster_gradient(x: Tensor, weight: Tensor, *, stride: int) -> KernelGradient | None:
    """The way that is faster than torch's own for such an input and kernel, if any is."""
    on_host = x.device.type == "cpu" and x.dtype == torch.bfloat16
    learns = torch.is_grad_enabled() and weight.requires_grad
    if not (on_host and learns):
        return None
    kernel, widest = weight.shape[-1], max(x.shape[-2:])
    if widest // stride <= WIDEST_PRODUCT and kernel % 2 == 1:
        return by_product
    is_even = x.shape[-2] % 2 == 0 and x.shape[-1] % 2 == 0
    is_wide = min(weight.shape[:2]) >= FEWEST_CHANNELS
    if kernel == 3 and stride == 1 and is_even and is_wide and widest <= WIDEST_TILES:
        return by_tiles
    return None


def host_conv(
    x: Tensor, weight: Tensor, bias: Tensor, *, stride: int, gradient: KernelGradient
) -> Tensor:
    """The convolution of `x` (b, c, h, w) by a kernel of odd size, zeros all around."""
    apply: Callable[[Tensor, Tensor, Tensor, int, KernelGradient], Tensor] = _HostConv.apply
    return apply(x, weight, bias, stride, gradient)


class _HostConv(torch.autograd.Function):
    """A convolution whose gradients are written out."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int, gradient: KernelGradient
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.gradient = stride, gradient
        return F.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None]:
        x, weight = ctx.saved_tensors
        by_x = _by_input(grad, x, weight, ctx.stride) if ctx.needs_input_grad[0] else None
        by_weight = ctx.gradient(x, grad, weight, ctx.stride)
        return by_x, by_weight, _rows(grad).sum(0), None, None


def by_product(x: Tensor, grad: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Gradient of the kernel as one matrix product."""
    kernel, (num_out, num_in) = weight.shape[-1], weight.shape[:2]
    product = torch.mm(_rows(grad).t(), _unrolled(x, kernel, stride))  # out (k k in)
    return product.view(num_out, kernel, kernel, num_in).permute(0, 3, 1, 2)


def by_tiles(x: Tensor, grad: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Gradient of a kernel of 3 from tiles of 4 x 4 inputs and 2 x 2 outputs.

    Raises:
        ValueError: a stride, or a picture with an odd side.
    """
    if stride != 1 or x.shape[-2] % 2 or x.shape[-1] % 2:
        raise ValueError(f"tiles need even sides and stride 1, got {tuple(x.shape)}, {stride}")
    num_out, num_in = weight.shape[:2]
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))  # b h w in
    size_hw = x.shape[-2] // 2, x.shape[-1] // 2
    inputs = torch.mm(_matrix(_OF_INPUT, x), _tiles(padded, 4, size_hw))
    outputs = torch.mm(_matrix(_OF_OUTPUT, x), _tiles(grad.permute(0, 2, 3, 1), 2, size_hw))
    products = torch.bmm(outputs.view(16, -1, num_out).transpose(1, 2), inputs.view(16, -1, num_in))
    kernel = torch.mm(_matrix(_OF_KERNEL, x), products.view(16, -1))  # (3 3) (out in)
    return kernel.view(3, 3, num_out, num_in).permute(2, 3, 0, 1)


def _twice(rows: list[list[float]]) -> Tensor:
    """The transform of both directions of a tile as one matrix."""
    one = torch.tensor(rows, dtype=torch.float64)
    return torch.kron(one, one)


_OF_INPUT = _twice(
    [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, 1.0, 0.0, -1.0]]
)
_OF_OUTPUT = _twice([[1.0, 0.0], [1.0, 1.0], [1.0, -1.0], [0.0, -1.0]])
_OF_KERNEL = _twice([[1.0, 0.5, 0.5, 0.0], [0.0, 0.5, -0.5, 0.0], [0.0, 0.5, 0.5, 1.0]])


def _matrix(transform: Tensor, like: Tensor) -> Tensor:
    """A transform of tiles in the arithmetic in use: its numbers are exact in all of them."""
    return transform.to(like)


def _tiles(x: Tensor, side: int, size_hw: tuple[int, int]) -> Tensor:
    """(b h w c) -> (side side, b h w c): tiles of that side, two pixels apart."""
    image, row, column, channel = x.stride()
    shape = (side, side, x.shape[0], *size_hw, x.shape[-1])
    tiles = x.as_strided(shape, (row, column, image, 2 * row, 2 * column, channel))
    return tiles.reshape(side * side, -1)


def _rows(grad: Tensor) -> Tensor:
    """(b, out, h, w) -> (b h w, out)."""
    return grad.permute(0, 2, 3, 1).reshape(-1, grad.shape[1])


def _by_input(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    margin = weight.shape[-1] // 2
    result: Tensor = torch.ops.aten.convolution_backward(
        grad,
        x,
        weight,
        None,
        [stride, stride],
        [margin, margin],
        [1, 1],
        False,
        [0, 0],
        1,
        [True, False, False],
    )[0]
    return result


def _unrolled(x: Tensor, kernel: int, stride: int) -> Tensor:
    """(b h w, k k c): under each output pixel the inputs it sees."""
    b, c, h, w = x.shape
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, *[kernel // 2] * 4))  # b h w c
    image, row, column, channel = padded.stride()
    seen = padded.as_strided(
        (b, -(-h // stride), -(-w // stride), kernel, kernel, c),
        (image, row * stride, column * stride, row, column, channel),
    )
    return seen.reshape(-1, kernel * kernel * c)
