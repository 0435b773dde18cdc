"""Gradients of convolutions on a processor: those that torch makes itself."""

import pytest
import torch
from torch.nn import functional as F

from understudy.models.blocks import Conv2d
from understudy.models.host_conv import by_product, by_tiles, faster_gradient, host_conv


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
    made, ours = _gradients(
        lambda *a: host_conv(*a, stride=stride, gradient=by_product), x, weight, bias
    )
    wanted, theirs = _gradients(
        lambda *a: F.conv2d(*a, stride=stride, padding=kernel // 2), x, weight, bias
    )
    torch.testing.assert_close(made, wanted)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other)


def test_a_picture_that_needs_no_gradient_gets_none() -> None:
    weight = torch.randn(2, 3, 3, 3, requires_grad=True)
    x = torch.randn(1, 3, 4, 4)
    made = host_conv(x, weight, torch.zeros(2), stride=1, gradient=by_product)
    made.sum().backward()
    assert weight.grad is not None


def test_tiles_give_the_gradient_of_torch() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 7, 10, 12, generator=generator, dtype=torch.float64)
    weight = torch.randn(5, 7, 3, 3, generator=generator, dtype=torch.float64)
    bias = torch.randn(5, generator=generator, dtype=torch.float64)
    made, ours = _gradients(lambda *a: host_conv(*a, stride=1, gradient=by_tiles), x, weight, bias)
    wanted, theirs = _gradients(lambda *a: F.conv2d(*a, padding=1), x, weight, bias)
    torch.testing.assert_close(made, wanted)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other)


def test_tiles_in_bfloat16_stay_near() -> None:
    generator = torch.Generator().manual_seed(2)
    x, grad = (torch.randn(2, 128, 16, 16, generator=generator) for _ in range(2))
    weight = torch.zeros(128, 128, 3, 3)
    wanted = torch.nn.grad.conv2d_weight(x, weight.shape, grad, padding=1)
    made = by_tiles(x.bfloat16(), grad.bfloat16(), weight, 1)
    assert float((made.float() - wanted).norm() / wanted.norm()) < 0.008


def test_tiles_refuse_what_they_cannot_cover() -> None:
    with pytest.raises(ValueError, match="even sides"):
        by_tiles(torch.zeros(1, 2, 5, 6), torch.zeros(1, 2, 5, 6), torch.zeros(2, 2, 3, 3), 1)


def test_each_way_is_taken_where_it_pays() -> None:
    weight = torch.zeros(128, 128, 3, 3, dtype=torch.bfloat16, requires_grad=True)
    x = torch.zeros(1, 128, 8, 8, dtype=torch.bfloat16)
    twice = x.repeat(1, 1, 2, 2)
    assert faster_gradient(x, weight, stride=1) is by_product
    assert faster_gradient(twice, weight, stride=2) is by_product
    assert faster_gradient(twice, weight, stride=1) is by_tiles
    assert faster_gradient(twice[..., 1:], weight, stride=1) is None
    assert faster_gradient(x.repeat(1, 1, 8, 8), weight, stride=1) is None
    assert faster_gradient(twice, weight[:64], stride=1) is None
    assert faster_gradient(x.float(), weight, stride=1) is None
    assert faster_gradient(x, weight[..., :2, :2], stride=1) is None
    assert faster_gradient(x, weight.detach(), stride=1) is None
    with torch.no_grad():
        assert faster_gradient(x, weight, stride=1) is None


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
