"""XSeg: the net that paints which pixels of a face picture are the face.

Pictures in, logits and masks out, NCHW RGB float32 0..1; knows no training, no files. A U-Net with
a dense bottleneck; six levels, each half the size of the one before. Weight-compatible with
DeepFaceLab 2.0 at 256 pixels and width 32; smaller ones are of the same family. Written anew,
licence as this project. Source: reference "networks, losses, training", section 6; Ronneberger,
Fischer and Brox, "U-Net: convolutional networks for biomedical image segmentation", 2015; Singh and
Krishnan, "Filter response normalization layer", 2020; Zhang, "Making convolutional networks
shift-invariant again", 2019.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from understudy.errors import OptionError
from understudy.models.blocks import Conv2d, UpConv2d
from understudy.models.config import ModelConfig
from understudy.models.model import MODELS, Model

NETWORK = "XSeg"
"""What DFL calls the network inside of its files."""

SIDE_STEP = 64
"""Sides are multiples of it: six levels, each half the size of the one before."""

_CODE = 512
_EPSILON = 1e-6
_FAINT = 0.1
BLOCKS = (2, 2, 2, 3, 3, 3)  # of each level, on the way down and on the way up
_BLURS = ((1.0, 3.0, 3.0, 1.0), (1.0, 2.0, 1.0), *[(1.0, 1.0)] * 4)


class Painted(NamedTuple):
    """What the net says of each pixel: how sure it is, and the same as a mask of 0..1."""

    logits: Float[Tensor, "b 1 r r"]
    mask: Float[Tensor, "b 1 r r"]


class ResponseNorm(nn.Module):
    """Each channel divided by its root mean square over the picture, then scaled and shifted."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.eps = nn.Parameter(torch.full((1,), _EPSILON))

    def begin(self) -> None:
        """Scale 1, no shift, the smallest divisor."""
        with torch.no_grad():
            self.weight.fill_(1.0)
            self.bias.zero_()
            self.eps.fill_(_EPSILON)


class Threshold(nn.Module):
    """The lowest value a channel may take, learned."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tau = nn.Parameter(torch.zeros(width))


class ConvBlock(nn.Module):
    """3x3 convolution, norm, threshold; `sees_colors` if a picture goes in."""

    conv: nn.Module

    def __init__(self, num_in: int, num_out: int, *, sees_colors: bool = False) -> None:
        super().__init__()
        self.conv = self._convolution(num_in, num_out)
        if sees_colors and isinstance(self.conv, Conv2d):
            self.conv.colors = "in"
        self.frn = ResponseNorm(num_out)
        self.tlu = Threshold(num_out)

    def _convolution(self, num_in: int, num_out: int) -> nn.Module:
        return Conv2d(num_in, num_out, kernel=3)

    def forward(self, x: Tensor) -> Tensor:
        """(b, num_in, h, w) -> (b, num_out, h, w), or twice the size."""
        frn = self.frn
        return _norm_threshold(self.conv(x), frn.weight, frn.bias, frn.eps, self.tlu.tau)


class UpConvBlock(ConvBlock):
    """The same with twice the size."""

    def _convolution(self, num_in: int, num_out: int) -> nn.Module:
        return UpConv2d(num_in, num_out, stride=2)


class _NormThreshold(torch.autograd.Function):
    """Norm and threshold in two passes over memory; autograd would make eight.

    y = max(x r w + b, tau) with r = 1 / sqrt(mean(x^2) + |eps|), per sample and channel. What is
    kept for the way back is x and y. All sums are float32.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: Tensor, tau: Tensor
    ) -> Tensor:
        wide = torch.promote_types(x.dtype, torch.float32)
        power = torch.linalg.vector_norm(x, dim=(2, 3), dtype=wide).square_()
        power /= x.shape[2] * x.shape[3]
        root = torch.rsqrt(power + eps.to(wide).abs())
        scale = (root * weight.to(wide)).to(x.dtype)[:, :, None, None]
        y = torch.addcmul(bias.to(x.dtype)[None, :, None, None], x, scale)
        torch.maximum(y, tau.to(x.dtype)[None, :, None, None], out=y)
        ctx.save_for_backward(x, y, root, weight, eps, tau)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        x, y, root, weight, eps, tau = ctx.saved_tensors
        count, wide = x.shape[2] * x.shape[3], root.dtype
        passed = grad * (y > tau.to(y.dtype)[None, :, None, None])
        own = passed.sum(dim=(2, 3), dtype=wide)  # (b, c)
        everything = grad.sum(dim=(2, 3), dtype=wide)
        along = (passed * x).sum(dim=(2, 3), dtype=wide)
        # d root / d x = -root^3 x / count, d root / d eps = -root^3 sign(eps) / 2
        by_root = along * weight.to(wide)
        cube = root**3
        inner = (-by_root * cube / count).to(x.dtype)[:, :, None, None]
        outer = (root * weight.to(wide)).to(x.dtype)[:, :, None, None]
        by_x = passed.mul_(outer).addcmul_(x, inner)
        by_eps = (-0.5 * by_root * cube).sum() * torch.sign(eps.to(wide))
        return (
            by_x,
            (along * root).sum(0).to(weight.dtype),
            own.sum(0).to(weight.dtype),
            by_eps.to(eps.dtype).reshape(1),
            (everything - own).sum(0).to(tau.dtype),
        )


_norm_threshold: Callable[..., Tensor] = _NormThreshold.apply


class BlurPool(nn.Module):
    """Half the size, each pixel a binomial mean of its neighbours; zeros outside."""

    def __init__(self, weights: tuple[float, ...]) -> None:
        super().__init__()
        self.weights = tuple(weight / sum(weights) for weight in weights)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h/2, w/2)."""
        if len(self.weights) == 2:
            return F.avg_pool2d(x, 2)
        before, after = (len(self.weights) - 1) // 2, len(self.weights) // 2
        line = x.new_tensor(self.weights)
        kernel = torch.outer(line, line).expand(x.shape[1], 1, len(line), len(line))
        padded = F.pad(x, (before, after, before, after))
        return F.conv2d(padded, kernel, stride=2, groups=x.shape[1])


class XSegNet(nn.Module):
    """The network. Parameter names are those of DFL's weight file."""

    def __init__(self, *, side: int, width: int) -> None:
        super().__init__()
        self.bottom = side // SIDE_STEP
        self.code_width = 8 * width
        widths = [width * k for k in (1, 2, 4, 8, 8, 8)]
        num_in = 3
        for level, (num_out, count) in enumerate(zip(widths, BLOCKS, strict=True)):
            for place in range(1, count + 1):
                first = level == 0 and place == 1
                block = ConvBlock(num_in, num_out, sees_colors=first)
                self.add_module(f"conv{level}{place}", block)
                num_in = num_out
            self.add_module(f"bp{level}", BlurPool(_BLURS[level]))
        flat = self.code_width * self.bottom**2
        self.dense1 = nn.Linear(flat, _CODE)
        self.dense2 = nn.Linear(_CODE, flat)
        for level in reversed(range(len(widths))):
            up = min(4 * width, widths[level])
            self.add_module(f"up{level}", UpConvBlock(num_in, up))
            num_in = up + widths[level]
            for place in range(BLOCKS[level], 0, -1):
                self.add_module(f"uconv{level}{place}", ConvBlock(num_in, widths[level]))
                num_in = widths[level]
        self.out_conv = Conv2d(width, 1, kernel=3)

    def forward(self, faces: Float[Tensor, "b 3 r r"], *, skips: bool = True) -> Painted:
        """Logits and mask of each picture; without `skips` all goes through the bottleneck."""
        x, kept = faces, []
        for level, count in enumerate(BLOCKS):
            for place in range(1, count + 1):
                x = getattr(self, f"conv{level}{place}")(x)
            kept.append(x)
            x = getattr(self, f"bp{level}")(x)
        # b c h w -> b (c h w) -> b c h w
        code = self.dense2(self.dense1(x.flatten(1)))
        x = code.view(-1, self.code_width, self.bottom, self.bottom)
        if kept[0].is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)
        for level in reversed(range(len(kept))):
            x = getattr(self, f"up{level}")(x)
            skip = kept.pop()
            x = torch.cat([x, skip if skips else torch.zeros_like(skip)], dim=1)
            for place in range(BLOCKS[level], 0, -1):
                x = getattr(self, f"uconv{level}{place}")(x)
        logits = self.out_conv(x).float()
        return Painted(logits, torch.sigmoid(logits))


class MaskModel(Model):
    """The one network of a mask model, under DFL's name."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.XSeg = XSegNet(side=config.resolution, width=config.base_dims)

    def forward(self, faces: Float[Tensor, "b 3 r r"], *, skips: bool = True) -> Painted:
        """Logits and mask of each picture."""
        painted: Painted = self.XSeg(faces, skips=skips)
        return painted

    def paint(self, faces: Float[Tensor, "b 3 r r"]) -> Float[Tensor, "b 1 r r"]:
        """Masks to use: 0..1, what is fainter than a tenth is nothing."""
        mask = self(faces).mask
        return torch.where(mask < _FAINT, torch.zeros_like(mask), mask)


def as_mask_model(model: Model) -> MaskModel:
    """`model`, which is one of masks.

    Raises:
        OptionError: it swaps faces.
    """
    if isinstance(model, MaskModel):
        return model
    raise OptionError(
        "model",
        expected="a model that paints masks",
        found=f"one of kind {model.config.kind}, which swaps faces",
        remedy="Give the name of a model made by: understudy mask train",
    )


@MODELS.register("XSeg")
def xseg(config: ModelConfig) -> MaskModel:
    """The net at the config's side and width."""
    return MaskModel(config)
