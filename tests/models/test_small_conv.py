"""Gradients of convolutions of small pictures: those that torch makes itself."""

import pytest
import torch
from torch.nn import functional as F

from understudy.models.blocks import Conv2d
from understudy.models.small_conv import is_small, small_conv


def _gradients(function, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor):
    given = [t.clone().requires_grad_() for t in (x, weight, bias)]
    made = function(*given)
    wave = torch.linspace(-1, 1, made.numel()).view(made.shape).to(made.dtype)
    return made, torch.autograd.grad(made, given, wave)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_gradients_are_those_of_torch(kernel: int, stride: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, 8, 6, generator=generator, dtype=torch.float64)
    weight = torch.randn(5, 4, kernel, kernel, generator=generator, dtype=torch.float64)
    bias = torch.randn(5, generator=generator, dtype=torch.float64)
    made, ours = _gradients(lambda *a: small_conv(*a, stride=stride), x, weight, bias)
    wanted, theirs = _gradients(
        lambda *a: F.conv2d(*a, stride=stride, padding=kernel // 2), x, weight, bias
    )
    torch.testing.assert_close(made, wanted)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other)


def test_a_picture_that_needs_no_gradient_gets_none() -> None:
    weight = torch.randn(2, 3, 3, 3, requires_grad=True)
    made = small_conv(torch.randn(1, 3, 4, 4), weight, torch.zeros(2), stride=1)
    made.sum().backward()
    assert weight.grad is not None


def test_only_small_ones_in_bfloat16_that_learn_go_this_way() -> None:
    weight = torch.zeros(2, 3, 3, 3, dtype=torch.bfloat16, requires_grad=True)
    x = torch.zeros(1, 3, 8, 8, dtype=torch.bfloat16)
    assert is_small(x, weight, stride=1)
    assert is_small(x.repeat(1, 1, 2, 2), weight, stride=2)
    assert not is_small(x.repeat(1, 1, 2, 2), weight, stride=1)
    assert not is_small(x.float(), weight, stride=1)
    assert not is_small(x, weight[..., :2, :2], stride=1)
    assert not is_small(x, weight.detach(), stride=1)
    with torch.no_grad():
        assert not is_small(x, weight, stride=1)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [7, 8])
def test_the_block_gives_the_same_either_way(kernel: int, stride: int, size: int) -> None:
    conv = Conv2d(16, 24, kernel=kernel, stride=stride).to(torch.bfloat16)
    x = (
        torch.randn(2, 16, size, size)
        .to(torch.bfloat16)
        .contiguous(memory_format=torch.channels_last)
    )
    small = torch.autograd.grad(conv(x).float().square().sum(), list(conv.parameters()))
    wide = conv.float()
    plain = torch.autograd.grad(wide(x.float()).square().sum(), list(wide.parameters()))
    for own, other in zip(small, plain, strict=True):
        # bfloat16 has eight bits, and what is squared was rounded to them
        scale = float(other.abs().max())
        torch.testing.assert_close(own.float(), other, atol=0.03 * scale, rtol=0)
