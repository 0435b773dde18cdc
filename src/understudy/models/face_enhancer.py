"""The super-resolution network that DFL's users know as FaceEnhancer, for weights they bring.

Pictures in, finer ones of the same size out; four times as large inside. A U-net over patches of
192 pixels that overlap by half. No weights come with us: the file is DFL's own, of unknown licence,
and is read only from where a user put it. Source: reference "networks, losses, training".
"""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from understudy.models.blocks import Conv2d, leaky_relu

PATCH = 192
FACTOR = 4

_SLOPE = 0.1
_STRENGTHS = (0.2, 1.0)
_LEVELS = (64, 112, 192, 336, 512)
_DECODER = ((4, 512, 512), (3, 512, 512), (2, 512, 288), (1, 288, 160), (0, 160, 96))
_NUM_CENTRE = 4

Picture = Float32[np.ndarray, "h w 3"]


class FaceEnhancer(nn.Module):
    """RGB of -1..1 in, RGB of about -1..1 and four times the size out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv2d(3, _LEVELS[0], kernel=3, colors="in")
        self.dense1 = nn.Linear(1, _LEVELS[0], bias=False)
        self.dense2 = nn.Linear(1, _LEVELS[0], bias=False)
        before = _LEVELS[0]
        for level, width in enumerate(_LEVELS):
            self._pair(f"e{level}", before, width)
            before = width
        for number in range(_NUM_CENTRE):
            self.add_module(f"center_conv{number}", Conv2d(before, before, kernel=3))
        for level, num_in, width in _DECODER:
            self._pair(f"d{level}", num_in + _LEVELS[level], width)
        self._pair("dec2x", 96, 96)
        self._pair("dec4x", 96, 72)
        for name, num_in in (("out1x", 96), ("out2x", 96), ("out4x", 72)):
            self.add_module(f"{name}_conv0", Conv2d(num_in, num_in // 2, kernel=3))
            self.add_module(f"{name}_conv1", Conv2d(num_in // 2, 3, kernel=3, colors="out"))

    def _pair(self, name: str, num_in: int, width: int) -> None:
        self.add_module(f"{name}_conv0", Conv2d(num_in, width, kernel=3))
        self.add_module(f"{name}_conv1", Conv2d(width, width, kernel=3))

    def forward(self, picture: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h4 w4"]:
        """The picture four times as large; its sides must be multiples of 16."""
        first, second = (picture.new_full((1, 1), strength) for strength in _STRENGTHS)
        amount = (self.dense1(first) + self.dense2(second))[..., None, None]  # 1 64 1 1
        x = leaky_relu(self.conv1(picture) + amount, _SLOPE)
        skips = []
        for level in range(len(_LEVELS)):
            x = self._twice(f"e{level}", x)
            skips.append(x)
            x = F.avg_pool2d(x, 2)
        for number in range(_NUM_CENTRE):
            x = leaky_relu(self.get_submodule(f"center_conv{number}")(x), _SLOPE)
        for level, _, _ in _DECODER:
            x = self._twice(f"d{level}", torch.cat([doubled(x), skips[level]], dim=1))
        result = picture + self._detail("out1x", x)
        for name in ("2x", "4x"):
            x = doubled(self._twice(f"dec{name}", x))
            result = doubled(result) + self._detail(f"out{name}", x)
        return result

    def _twice(self, name: str, x: Tensor) -> Tensor:
        for number in range(2):
            x = leaky_relu(self.get_submodule(f"{name}_conv{number}")(x), _SLOPE)
        return x

    def _detail(self, name: str, x: Tensor) -> Tensor:
        x = leaky_relu(self.get_submodule(f"{name}_conv0")(x), _SLOPE)
        return torch.tanh(self.get_submodule(f"{name}_conv1")(x))


def doubled(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Twice the size: every second pixel as it is, the mean of two between, the last repeated."""
    right = torch.cat([x[..., 1:], x[..., -1:]], dim=3)
    wide = torch.stack([x, (x + right) / 2], dim=4).flatten(3)  # b c h w 2 -> b c h 2w
    below = torch.cat([wide[:, :, 1:], wide[:, :, -1:]], dim=2)
    return torch.stack([wide, (wide + below) / 2], dim=3).flatten(2, 3)  # b c h 2 w -> b c 2h w


@torch.inference_mode()
def enhance_picture(network: FaceEnhancer, picture: Picture, *, patch: int = PATCH) -> Picture:
    """`picture` (RGB 0..1) with the network's detail, in its own size.

    `patch` is the side of the squares it works on, a multiple of 16; it learned on those of 192.
    """
    height, width = picture.shape[:2]
    large = enlarge_picture(network, picture, patch=patch)
    # Exact means of blocks: what a narrower filter leaves of the finer detail would shimmer.
    small = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small, 0.0, 1.0), np.float32)


@torch.inference_mode()
def enlarge_picture(
    network: FaceEnhancer, picture: Picture, *, patch: int = PATCH, dfl_parity: bool = False
) -> Float32[np.ndarray, "h4 w4 3"]:
    """`picture` (RGB 0..1) four times as large; not clipped.

    With `dfl_parity` the network is shown 0..1 and answers in it, as DFL's merger uses it, though
    it learned on -1..1.
    """
    gain, offset = (1.0, 0.0) if dfl_parity else (2.0, -1.0)
    height, width = picture.shape[:2]
    padded = _padded(picture, patch)
    total = np.zeros((padded.shape[0] * FACTOR, padded.shape[1] * FACTOR, 3), np.float32)
    weights = np.zeros((*total.shape[:2], 1), np.float32)
    ramp = _ramp(patch * FACTOR)
    device = next(network.parameters()).device
    for top, left in _places(padded.shape[0], padded.shape[1], patch):
        part = padded[top : top + patch, left : left + patch] * np.float32(gain) + np.float32(
            offset
        )
        tensor = torch.from_numpy(np.ascontiguousarray(part.transpose(2, 0, 1)))[None]
        finer = network(tensor.to(device))[0].float().cpu().numpy().transpose(1, 2, 0)
        area = (
            slice(top * FACTOR, (top + patch) * FACTOR),
            slice(left * FACTOR, (left + patch) * FACTOR),
        )
        total[area] += finer * ramp
        weights[area] += ramp
    large = (total / weights)[: height * FACTOR, : width * FACTOR]
    return np.asarray((large - offset) / gain, np.float32)


def _padded(picture: Picture, patch: int) -> Float32[np.ndarray, "padded_h padded_w 3"]:
    """The picture, its rim going on where it is smaller than a patch: black would bleed in."""
    height, width = picture.shape[:2]
    rows, columns = max(patch - height, 0), max(patch - width, 0)
    return np.pad(picture, ((0, rows), (0, columns), (0, 0)), mode="edge")


def _places(height: int, width: int, patch: int) -> Iterator[tuple[int, int]]:
    """Top left corners of the patches: half a patch apart, the last ones flush with the rim."""
    step = patch // 2
    for top in sorted({*range(0, height - patch + 1, step), height - patch}):
        for left in sorted({*range(0, width - patch + 1, step), width - patch}):
            yield top, left


def _ramp(side: int) -> Float32[np.ndarray, "{side} {side} 1"]:
    """Weights that fall evenly from the middle to the rim, and are never 0."""
    half = np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1)).astype(np.float32)
    return (half[:, None] * half[None, :])[..., None] / np.float32((side / 2) ** 2)
