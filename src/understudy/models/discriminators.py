"""Networks that tell made from real: the patch discriminator of pictures, and that of codes.

Faces or codes in, logits out (positive = real); knows no training. Weight-compatible with
DeepFaceLab 2.0 ("GAN" and "true face"); written anew, licence as this project.
Source: reference "networks, losses, training", section 7; Schönfeld, Schiele and Khoreva, "A U-Net
based discriminator for generative adversarial networks", 2020; Isola et al., "Image-to-image
translation with conditional adversarial networks", 2017.
"""

from functools import lru_cache
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from understudy.models.blocks import Conv2d, UpConv2d

_LAYERS_MAX = 9
_WIDTH_MAX = 512

Strides = tuple[int, ...]


def patch_strides(patch_size: int) -> Strides:
    """Strides of the 3x3 convolutions that see the patch nearest to `patch_size` pixels."""
    fields = _strides_by_field()
    return fields[min(sorted(fields), key=lambda field: abs(field - patch_size))]


@lru_cache(maxsize=1)
def _strides_by_field() -> dict[int, Strides]:
    """Strides that give each receptive field: the fewest layers, then the largest strides."""
    found: dict[int, Strides] = {}
    for count in range(1, _LAYERS_MAX + 1):
        # bit i of a number that falls from all ones says whether layer i + 1 halves the size
        for bits in product((2, 1), repeat=count - 1):
            strides = (2, *reversed(bits))
            field = _receptive_field(strides)
            best = found.get(field)
            if best is None or (len(best) == count and sum(strides) > sum(best)):
                found[field] = strides
    return found


def _receptive_field(strides: Strides) -> int:
    field, step = 3, 1
    for stride in strides[:-1]:
        step *= stride
        field += 2 * step
    return field


class PatchDiscriminator(nn.Module):
    """A U-Net that judges patches of a face, coarsely at its bottom and per pixel at its top."""

    def __init__(self, *, patch_size: int, width: int) -> None:
        super().__init__()
        strides = patch_strides(patch_size)
        self.depth = len(strides)
        widths = [width, *(min(width * 2 ** (i + 1), _WIDTH_MAX) for i in range(self.depth))]
        for i, stride in enumerate(strides):
            conv = Conv2d(widths[i], widths[i + 1], kernel=3, stride=stride)
            self.add_module(f"convs_{i}", conv)
        for place, i in enumerate(reversed(range(self.depth))):  # upconvs_0 is the deepest
            num_in = widths[i + 1] * (1 if place == 0 else 2)
            self.add_module(f"upconvs_{place}", UpConv2d(num_in, widths[i], stride=strides[i]))
        self.in_conv = Conv2d(3, width, kernel=1, colors="in")
        self.out_conv = Conv2d(2 * width, 1, kernel=1)
        self.center_out = Conv2d(widths[-1], 1, kernel=1)
        self.center_conv = Conv2d(widths[-1], widths[-1], kernel=1)

    def forward(
        self, face: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b 1 y x"], Float[Tensor, "b 1 h w"]]:
        """Logits at the bottom and at full size. Sides must be divisible by the strides."""
        x = F.leaky_relu(self.in_conv(face), 0.2)
        skips = []
        for i in range(self.depth):
            skips.append(x)
            x = F.leaky_relu(getattr(self, f"convs_{i}")(x), 0.2)
        center: Tensor = self.center_out(x)
        x = F.leaky_relu(self.center_conv(x), 0.2)
        for i in range(self.depth):
            x = F.leaky_relu(getattr(self, f"upconvs_{i}")(x), 0.2)
            skip = skips.pop()
            x = torch.cat([skip, x[..., : skip.shape[-2], : skip.shape[-1]]], dim=1)
        full: Tensor = self.out_conv(x)
        return center.float(), full.float()


class CodeDiscriminator(nn.Module):
    """Judges whether a code was made of a dst face."""

    def __init__(self, *, num_in: int, side: int) -> None:
        super().__init__()
        self.depth = 1 + side // 8
        before = num_in
        for i in range(self.depth):
            after = 256 * min(2**i, 8)
            kernel = 4 if i == 0 else 3
            self.add_module(f"convs_{i}", Conv2d(before, after, kernel=kernel, stride=2))
            before = after
        self.out_conv = Conv2d(before, 1, kernel=1)

    def forward(self, code: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b 1 y x"]]:
        """Logits of parts of the code."""
        x = code
        for i in range(self.depth):
            x = F.leaky_relu(getattr(self, f"convs_{i}")(x), 0.1)
        logits: Tensor = self.out_conv(x)
        return (logits.float(),)
