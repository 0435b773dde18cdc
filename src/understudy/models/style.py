"""Losses beside reconstruction: style of the swap, noise, what lies outside, real against made.

Tensors NCHW float32 in, one number per sample out; no networks. Source: reference "networks,
losses, training", section 10; the style term matches mean and spread as in Huang and Belongie,
"Arbitrary style transfer in real-time with adaptive instance normalization", 2017.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from understudy.models.losses import dssim, dssim_windows, gaussian_blur

PerSample = Float[Tensor, " b"]


def style_loss(
    made: Float[Tensor, "b c h w"], wanted: Float[Tensor, "b c h w"], *, blur: int, weight: float
) -> PerSample:
    """Distance of mean and spread per channel, of pictures blurred by `blur` pixels (0: as is)."""
    if blur:
        made, wanted = (gaussian_blur(picture, float(blur)) for picture in (made, wanted))
    apart: Tensor = torch.zeros(len(made), device=made.device)
    for one, other in zip(_moments(made), _moments(wanted), strict=True):
        apart = apart + (one - other).square().sum(dim=1)
    return apart * (weight / made.shape[1])


def _moments(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread (b, c) of each channel."""
    mean = picture.mean(dim=(2, 3))
    variance = (picture - mean[..., None, None]).square().mean(dim=(2, 3))
    return mean, torch.sqrt(variance + 1e-5)


def face_style_loss(
    swap: Float[Tensor, "b 3 r r"], dst: Float[Tensor, "b 3 r r"], *, power: float
) -> PerSample:
    """Colours of the swap against those of the painted dst face, each inside its mask."""
    return style_loss(swap, dst, blur=swap.shape[-1] // 8, weight=100 * power)


def background_style_loss(
    swap: Float[Tensor, "b 3 r r"],
    dst: Float[Tensor, "b 3 r r"],
    *,
    outside: Float[Tensor, "b 1 r r"],
    power: float,
) -> PerSample:
    """Structure and colours of the swap against the dst, where `outside` says."""
    made, wanted = swap * outside, dst * outside
    window = dssim_windows(swap.shape[-1])[0]
    apart = dssim(wanted, made, window=window).mean(dim=1)
    return power / 10 * (apart + (wanted - made).square().mean(dim=(1, 2, 3)))


def total_variation(picture: Float[Tensor, "b c h w"], *, parity: bool = False) -> PerSample:
    """Sum of squared steps along columns and rows.

    With `parity` along channels and columns: the predecessor's axes on a GPU.
    """
    axes = (1, 2) if parity else (2, 3)
    steps = [torch.diff(picture, dim=axis).square().sum(dim=(1, 2, 3)) for axis in axes]
    return steps[0] + steps[1]


def outside_loss(
    face: Float[Tensor, "b 3 r r"],
    wanted: Float[Tensor, "b 3 r r"],
    *,
    inside: Float[Tensor, "b 1 r r"],
) -> PerSample:
    """Mean square of what differs where `inside` is not 1."""
    return ((face - wanted) * (1 - inside)).square().mean(dim=(1, 2, 3))


def looks_real(logits: Sequence[Float[Tensor, "b 1 _ _"]]) -> PerSample:
    """Sum over the outputs of a discriminator: how far each is from certain of a real picture."""
    return torch.stack([F.softplus(-one).mean(dim=(1, 2, 3)) for one in logits]).sum(dim=0)


def looks_made(logits: Sequence[Float[Tensor, "b 1 _ _"]]) -> PerSample:
    """The same for a made picture."""
    return torch.stack([F.softplus(one).mean(dim=(1, 2, 3)) for one in logits]).sum(dim=0)
