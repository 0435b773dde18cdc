"""What training minimises: structural dissimilarity, squares, and the masks that weigh them.

Tensors NCHW float32 0..1 in, one number per sample out. Knows nothing of networks or optimizers.
Blurs are products with a banded matrix per axis: on a processor that is many times faster than a
depthwise convolution, and the border costs nothing.
Source: reference "networks, losses, training", section 10; Wang et al., "Image quality assessment:
from error visibility to structural similarity", 2004.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


@lru_cache(maxsize=64)
def _band(size: int, kernel: int, sigma: float, *, padded: bool, device: torch.device) -> Tensor:
    """(size, out) float32: a row vector times it is the row blurred.

    `padded` keeps the size (zeros outside, centre at kernel // 2); otherwise only whole windows
    count (centre at (kernel - 1) / 2).
    """
    centre = kernel // 2 if padded else (kernel - 1) / 2
    weights = np.exp(-((np.arange(kernel) - centre) ** 2) / (2.0 * sigma**2))
    weights /= weights.sum()
    margin = kernel // 2 if padded else 0
    num_out = size + 2 * margin - kernel + 1
    band = np.zeros((size + 2 * margin, num_out))
    for i in range(num_out):
        band[i : i + kernel, i] = weights
    return torch.from_numpy(band[margin : margin + size].astype(np.float32)).to(device)


def _filter(x: Tensor, kernel: int, sigma: float, *, padded: bool) -> Tensor:
    rows = _band(x.shape[-2], kernel, sigma, padded=padded, device=x.device)
    columns = _band(x.shape[-1], kernel, sigma, padded=padded, device=x.device)
    return torch.matmul(rows.T, torch.matmul(x, columns))


def gaussian_blur(x: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
    """`x` blurred, zeros outside; the window is int(4 sigma) pixels, at least 3 and odd."""
    kernel = max(3, int(4 * sigma))
    return _filter(x, kernel + 1 - kernel % 2, sigma, padded=True)


def dssim(
    a: Float[Tensor, "b c h w"], b: Float[Tensor, "b c h w"], *, window: int
) -> Float[Tensor, "b c"]:
    """Structural dissimilarity (1 - SSIM) / 2 per channel, of whole Gaussian windows only."""
    kernel = max(1, window)
    # both means and both second moments in one pass through the matrices
    mean_a, mean_b, cross, power = _filter(
        torch.stack([a, b, a * b, a * a + b * b]), kernel, 1.5, padded=False
    )
    mean_cross, mean_power = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_cross + c1) / (mean_power + c1)
    contrast = (2 * (cross - mean_cross) + c2) / (power - mean_power + c2)
    dissimilarity: Tensor = (1 - (luminance * contrast).mean(dim=(2, 3))) / 2
    return dissimilarity


def dssim_windows(resolution: int) -> tuple[int, ...]:
    """Windows of the dssim terms at this resolution; they share a weight of ten."""
    if resolution < 256:
        return (int(resolution / 11.6),)
    return int(resolution / 11.6), int(resolution / 23.2)


def soft_mask(mask: Float[Tensor, "b 1 r r"]) -> Float[Tensor, "b 1 r r"]:
    """The mask with its edge blurred inwards: half coverage and more count in full.

    No mask stays above zero outside the blur's reach; SAEHD weighs its losses with it.
    """
    return gaussian_blur(mask, max(1, mask.shape[-1] // 32)).clamp(0, 0.5) * 2


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
    face: Float[Tensor, "b 3 r r"], mask: Float[Tensor, "b 1 r r"], target: Target
) -> Float[Tensor, " b"]:
    """Distance of a painted face and mask from their target, per sample."""
    wanted, painted = target.face, face
    if target.weight is not None:
        wanted, painted = wanted * target.weight, painted * target.weight
    windows = dssim_windows(face.shape[-1])
    loss = 10 * (wanted - painted).square().mean(dim=(1, 2, 3))
    for window in windows:
        loss = loss + 10 / len(windows) * dssim(wanted, painted, window=window).mean(dim=1)
    loss = loss + 10 * (target.mask - mask).square().mean(dim=(1, 2, 3))
    if target.eyes_mouth is not None:
        apart = (target.face * target.eyes_mouth - face * target.eyes_mouth).abs()
        loss = loss + 300 * apart.mean(dim=(1, 2, 3))
    return loss
