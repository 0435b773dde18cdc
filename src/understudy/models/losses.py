"""What training minimises: structural dissimilarity, squares, and the masks that weigh them.

Tensors NCHW float32 0..1 in, one number per sample out. Knows nothing of networks or optimizers.
Blurs run along one axis at a time: on a processor as sums of shifted pictures, elsewhere as
products with a banded matrix. Either is many times faster than a depthwise convolution.
Source: reference "networks, losses, training", section 10; Wang et al., "Image quality assessment:
from error visibility to structural similarity", 2004.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


@lru_cache(maxsize=64)
def _window(kernel: int, sigma: float, centre: float) -> tuple[float, ...]:
    weights = np.exp(-((np.arange(kernel) - centre) ** 2) / (2.0 * sigma**2))
    return tuple(float(weight) for weight in weights / weights.sum())


@lru_cache(maxsize=64)
def _band(size: int, window: tuple[float, ...], device: torch.device) -> Tensor:
    """(size, size - kernel + 1): a row vector times it is the row filtered by `window`."""
    num_out = size - len(window) + 1
    band = np.zeros((size, num_out), np.float32)
    for i in range(num_out):
        band[i : i + len(window), i] = window
    return torch.from_numpy(band).to(device)


def _gather(x: Tensor, window: tuple[float, ...]) -> Tensor:
    """`x` (..., h, w) filtered along both axes, whole windows only."""
    if x.device.type != "cpu":
        rows, columns = (_band(size, window, x.device) for size in x.shape[-2:])
        return torch.matmul(rows.T, torch.matmul(x, columns))
    for dim in (-2, -1):
        count = x.shape[dim] - len(window) + 1
        total = x.narrow(dim, 0, count) * window[0]
        for i, weight in enumerate(window[1:], 1):
            total.add_(x.narrow(dim, i, count), alpha=weight)
        x = total
    return x


def _scatter(x: Tensor, window: tuple[float, ...]) -> Tensor:
    """The adjoint of `_gather`: back to the larger size."""
    if x.device.type != "cpu":
        rows, columns = (_band(size + len(window) - 1, window, x.device) for size in x.shape[-2:])
        return torch.matmul(rows, torch.matmul(x, columns.T))
    for dim in (-1, -2):
        shape = list(x.shape)
        count = shape[dim]
        shape[dim] += len(window) - 1
        total = x.new_zeros(shape)
        for i, weight in enumerate(window):
            total.narrow(dim, i, count).add_(x, alpha=weight)
        x = total
    return x


def gaussian_blur(x: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
    """`x` blurred, zeros outside; the window is int(4 sigma) pixels, at least 3 and odd."""
    kernel = max(3, int(4 * sigma))
    kernel += 1 - kernel % 2
    return _gather(F.pad(x, [kernel // 2] * 4), _window(kernel, sigma, float(kernel // 2)))


class _Dssim(torch.autograd.Function):
    """Dissimilarity of two pictures; its gradient, with respect to the second, written out.

    All four moments go through the filter together, and the three that carry a gradient come back
    together: autograd would make three times the passes over memory.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, kernel: int) -> Tensor:
        window = _window(kernel, 1.5, (kernel - 1) / 2)
        mean_a, mean_b, cross, power = _gather(
            torch.stack([a, b, a * b, (a * a).addcmul_(b, b)]), window
        )
        mean_cross = mean_a * mean_b
        mean_power = (mean_a * mean_a).addcmul_(mean_b, mean_b)
        c1, c2 = 0.01**2, 0.03**2
        # SSIM = (top1 top2) / (low1 low2): luminance, then contrast and structure
        top1 = 2 * mean_cross + c1
        top2 = 2 * cross.sub_(mean_cross) + c2
        low1, low2 = mean_power + c1, power.sub_(mean_power).add_(c2)
        scale = 2 / (low1 * low2)
        ssim = top1 * top2 * scale / 2
        if ctx.needs_input_grad[1]:
            by_power = -ssim / low2
            by_mean = mean_a * (top2 - top1) * scale - 2 * mean_b * (by_power + ssim / low1)
            slopes = torch.stack([by_mean, top1 * scale, by_power])
            ctx.save_for_backward(a, b, slopes)
            ctx.window = window
        dissimilarity: Tensor = (1 - ssim.mean(dim=(2, 3))) / 2
        return dissimilarity

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, None]:
        a, b, slopes = ctx.saved_tensors
        per_window = -grad / (2 * slopes[0, 0, 0].numel())
        by_mean, by_cross, by_power = _scatter(slopes * per_window[..., None, None], ctx.window)
        return None, by_mean.addcmul_(by_cross, a).addcmul_(by_power, b, value=2), None


def dssim(
    a: Float[Tensor, "b c h w"], b: Float[Tensor, "b c h w"], *, window: int
) -> Float[Tensor, "b c"]:
    """Structural dissimilarity (1 - SSIM) / 2 per channel, of whole Gaussian windows only.

    Differentiable with respect to `b` alone: `a` is the target.
    """
    if a.requires_grad:
        raise ValueError("dssim gives no gradient to its first argument, the target")
    apply: Callable[[Tensor, Tensor, int], Tensor] = _Dssim.apply
    dissimilarity = apply(a, b, max(1, window))
    return dissimilarity


def dssim_windows(resolution: int, *, both: bool = False) -> tuple[int, ...]:
    """Windows of the dssim terms at this resolution; they share a weight of ten.

    Small faces have one, unless `both` are asked for.
    """
    if resolution < 256 and not both:
        return (int(resolution / 11.6),)
    return int(resolution / 11.6), int(resolution / 23.2)


def soft_mask(mask: Float[Tensor, "b 1 r r"]) -> Float[Tensor, "b 1 r r"]:
    """The mask with its edge blurred inwards: half coverage and more count in full.

    No mask stays above zero outside the blur's reach; SAEHD weighs its losses with it.
    """
    return gaussian_blur(mask, float(max(1, mask.shape[-1] // 32))).clamp(0, 0.5) * 2


def smooth_outside(
    target: Float[Tensor, "b 3 r r"], mask: Float[Tensor, "b 1 r r"]
) -> Float[Tensor, "b 3 r r"]:
    """`target` with what lies outside the mask replaced by its own blur (blur_out_mask)."""
    sigma = target.shape[-1] / 128
    outside = 1 - mask
    blurred = gaussian_blur(target * outside, sigma)
    weight = 1 - gaussian_blur(mask, sigma)
    weight = torch.where(weight == 0, torch.ones_like(weight), weight)
    return target * mask + blurred / weight * outside


class Target(NamedTuple):
    """What one or both sides should come out as; made once per batch, without gradients.

    `weight` multiplies faces before they are compared; None compares them whole.
    """

    face: Float[Tensor, "b 3 r r"]
    mask: Float[Tensor, "b 1 r r"]
    weight: Float[Tensor, "b 1 r r"] | None
    eyes_mouth: Float[Tensor, "b 1 r r"] | None


def reconstruction_loss(
    face: Float[Tensor, "b 3 r r"],
    mask: Float[Tensor, "b 1 r r"],
    target: Target,
    *,
    windows: Sequence[int] | None = None,
) -> Float[Tensor, " b"]:
    """Distance of a painted face and mask from their target, per sample.

    `windows` are those of the dssim terms; None takes those of the face's size.
    """
    wanted, painted = target.face, face
    if target.weight is not None:
        wanted, painted = wanted * target.weight, painted * target.weight
    windows = windows or dssim_windows(face.shape[-1])
    loss = 10 * (wanted - painted).square().mean(dim=(1, 2, 3))
    for window in windows:
        loss = loss + 10 / len(windows) * dssim(wanted, painted, window=window).mean(dim=1)
    loss = loss + 10 * (target.mask - mask).square().mean(dim=(1, 2, 3))
    if target.eyes_mouth is not None:
        apart = (target.face * target.eyes_mouth - face * target.eyes_mouth).abs()
        loss = loss + 300 * apart.mean(dim=(1, 2, 3))
    return loss
