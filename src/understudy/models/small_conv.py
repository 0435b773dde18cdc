"""Convolutions of small pictures on a processor, with gradients that keep it busy.

Where pictures are few pixels wide and channels are many, oneDNN makes the gradient of a kernel at
half the speed of its other work (AMD EPYC, bfloat16: 83 against 185 GFLOP/s). As one matrix product
of the gradient and the unrolled picture it runs at full speed; from 16 pixels on it would be the
slower way. Tensors in and out, bfloat16, channels last; knows nothing of networks.
"""

from collections.abc import Callable
from typing import Any  # what autograd hands from one function to the other

import torch
from torch import Tensor
from torch.nn import functional as F

WIDEST = 8
"""Pixels of the output up to which the product is the faster way; measured."""


def is_small(x: Tensor, weight: Tensor, *, stride: int) -> bool:
    """Whether this way is for such an input and kernel."""
    on_host = x.device.type == "cpu" and x.dtype == torch.bfloat16
    learns = torch.is_grad_enabled() and weight.requires_grad
    is_odd = weight.shape[-1] % 2 == 1  # others make pictures of another size
    return on_host and learns and is_odd and max(x.shape[-2:]) // stride <= WIDEST


def small_conv(x: Tensor, weight: Tensor, bias: Tensor, *, stride: int) -> Tensor:
    """The convolution of `x` (b, c, h, w) by a kernel of odd size, zeros all around."""
    apply: Callable[[Tensor, Tensor, Tensor, int], Tensor] = _SmallConv.apply
    return apply(x, weight, bias, stride)


class _SmallConv(torch.autograd.Function):
    """A convolution whose gradients are written out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        by_x = _by_input(grad, x, weight, ctx.stride) if ctx.needs_input_grad[0] else None
        kernel, (num_out, num_in) = weight.shape[-1], weight.shape[:2]
        rows = grad.permute(0, 2, 3, 1).reshape(-1, num_out)  # (b h w) out
        product = torch.mm(rows.t(), _unrolled(x, kernel, ctx.stride))  # out (k k in)
        by_weight = product.view(num_out, kernel, kernel, num_in).permute(0, 3, 1, 2)
        return by_x, by_weight, rows.sum(0), None


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
