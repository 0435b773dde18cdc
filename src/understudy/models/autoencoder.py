"""The parts of DFL's df and liae autoencoders: encoder, inter, decoder.

Faces in, codes between, faces and masks out; the wiring is `saehd.py`'s. Weight-compatible with
DeepFaceLab 2.0 (Perov et al., "DeepFaceLab: integrated, flexible and extensible face-swapping
framework", 2020); written anew from its documented layout, licence as this project.
Source: reference "networks, losses, training", section 2.
"""

from collections.abc import Set as AbstractSet

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from understudy.models.blocks import (
    Activation,
    Conv2d,
    Down,
    Residual,
    Up,
    cosine_unit,
    depth_to_space,
    leaky_relu,
    pixel_norm,
)


def activation_for(letters: AbstractSet[str]) -> Activation:
    """Activation an architecture with these letters uses."""
    return cosine_unit if "c" in letters else leaky_relu


class Encoder(nn.Module):
    """A face to a flat code of `num_out` numbers."""

    def __init__(self, *, resolution: int, width: int, letters: AbstractSet[str]) -> None:
        super().__init__()
        act = activation_for(letters)
        self.normalise = "u" in letters
        stages = _deep_stages(width, act) if "t" in letters else _shallow_stages(width, act)
        self.stages = list(stages)
        for name, stage in stages.items():
            self.add_module(name, stage)
        side = resolution // (32 if "t" in letters else 16)
        self.num_out = 8 * width * side * side

    def forward(self, face: Float[Tensor, "b 3 r r"]) -> Float[Tensor, "b n"]:
        """Code of each face, channel-major."""
        x = face
        for stage in self.stages:
            x = getattr(self, stage)(x)
        code = x.flatten(1)  # b (c h w)
        return pixel_norm(code) if self.normalise else code


def _shallow_stages(width: int, act: Activation) -> dict[str, nn.Module]:
    widths = (3, width, 2 * width, 4 * width, 8 * width)
    downs = nn.Sequential()
    for i in range(4):
        downs.add_module(f"downs_{i}", Down(widths[i], widths[i + 1], activation=act))
    return {"down1": downs}


def _deep_stages(width: int, act: Activation) -> dict[str, nn.Module]:
    return {
        "down1": Down(3, width, activation=act),
        "res1": Residual(width, activation=act),
        "down2": Down(width, 2 * width, activation=act),
        "down3": Down(2 * width, 4 * width, activation=act),
        "down4": Down(4 * width, 8 * width, activation=act),
        "down5": Down(8 * width, 8 * width, activation=act),
        "res5": Residual(8 * width, activation=act),
    }


class Inter(nn.Module):
    """A flat code through the bottleneck to a small map of `num_out` channels."""

    def __init__(
        self, *, num_in: int, width: int, num_out: int, resolution: int, letters: AbstractSet[str]
    ) -> None:
        super().__init__()
        self.side = resolution // (32 if "d" in letters else 16)
        self.num_out = num_out
        self.dense1 = nn.Linear(num_in, width)
        self.dense2 = nn.Linear(width, self.side * self.side * num_out)
        self.upscale1 = (
            None if "t" in letters else Up(num_out, num_out, activation=activation_for(letters))
        )

    def forward(self, code: Float[Tensor, "b n"]) -> Float[Tensor, "b c s s"]:
        """Map of each code."""
        flat = self.dense2(self.dense1(code))
        x: Tensor = flat.view(-1, self.num_out, self.side, self.side)  # b (c h w) -> b c h w
        if self.upscale1 is not None:
            x = self.upscale1(x)
        return x


class Decoder(nn.Module):
    """A small map to a face and its mask."""

    def __init__(
        self, *, num_in: int, width: int, mask_width: int, letters: AbstractSet[str]
    ) -> None:
        super().__init__()
        act = activation_for(letters)
        self.doubled = "d" in letters
        factors = (8, 8, 4, 2) if "t" in letters else (8, 4, 2)
        self.num_stages = len(factors)
        self.num_mask_stages = len(factors) + self.doubled
        before, before_mask = num_in, num_in
        for i, factor in enumerate(factors):
            self.add_module(f"upscale{i}", Up(before, factor * width, activation=act))
            self.add_module(f"res{i}", Residual(factor * width, activation=act))
            self.add_module(f"upscalem{i}", Up(before_mask, factor * mask_width, activation=act))
            before, before_mask = factor * width, factor * mask_width
        if self.doubled:
            last = f"upscalem{len(factors)}"
            self.add_module(last, Up(before_mask, mask_width, activation=act))
            before_mask = mask_width
        self.out_conv = Conv2d(before, 3, kernel=1, colors="out")
        if self.doubled:
            self.out_conv1 = Conv2d(before, 3, kernel=3, colors="out")
            self.out_conv2 = Conv2d(before, 3, kernel=3, colors="out")
            self.out_conv3 = Conv2d(before, 3, kernel=3, colors="out")
        self.out_convm = Conv2d(before_mask, 1, kernel=1)

    def forward(
        self, code: Float[Tensor, "b c s s"]
    ) -> tuple[Float[Tensor, "b 3 r r"], Float[Tensor, "b 1 r r"]]:
        """Face and mask of each code, float32 in 0..1."""
        x = code
        for i in range(self.num_stages):
            x = getattr(self, f"upscale{i}")(x)
            x = getattr(self, f"res{i}")(x)
        return torch.sigmoid(self._paint(x)), torch.sigmoid(self.mask_logits(code))

    def mask_logits(self, code: Float[Tensor, "b c s s"]) -> Float[Tensor, "b 1 r r"]:
        """Mask of each code before the sigmoid, float32."""
        m = code
        for i in range(self.num_mask_stages):
            m = getattr(self, f"upscalem{i}")(m)
        logits: Tensor = self.out_convm(m)
        return logits.float()

    def _paint(self, x: Tensor) -> Tensor:
        if not self.doubled:
            plain: Tensor = self.out_conv(x)
            return plain.float()
        # The four heads fill the four pixels of each 2x2 cell; as one convolution the map is read
        # once. The first head is 1x1: the centre of a 3x3 kernel of zeros.
        heads = (self.out_conv, self.out_conv1, self.out_conv2, self.out_conv3)
        kernels = [F.pad(self.out_conv.weight, (1, 1, 1, 1)), *(head.weight for head in heads[1:])]
        biases = [head.bias for head in heads if head.bias is not None]
        cells = F.conv2d(x, torch.cat(kernels), torch.cat(biases), padding=1)
        return depth_to_space(cells.float().contiguous())
