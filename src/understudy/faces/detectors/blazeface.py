"""The BlazeFace networks: pictures in, boxes with six points and a score for each anchor out.

Float NCHW tensors of a fixed size in, raw candidates in units of that size out; knows nothing of
frames, tiles or suppression.
Paper: Bazarevsky, Kartynnik, Vakunov, Raveendran and Grundmann, "BlazeFace: Sub-millisecond Neural
Face Detection on Mobile GPUs", 2019.
Licence of the original code and weights (MediaPipe): Apache-2.0.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from understudy.faces.blaze_blocks import (
    BlazeBlock,
    SameConv2d,
    layers,
    pointwise,
    put_weights,
)
from understudy.tflite import Weights

_SCORE_LIMIT = 100.0
CELL_PX = 4


class _Bottleneck(nn.Sequential):
    """Two separable convolutions through few channels, the second with no activation yet."""

    def __init__(self, channels: int, middle: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__(
            symmetric(channels, stride),
            pointwise(channels, middle),
            nn.ReLU(inplace=True),
            symmetric(middle),
            pointwise(middle, out_channels),
        )


class _Residual(nn.Module):
    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.body = _Bottleneck(channels, middle, channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        refined: Tensor = self.body(x)
        # In place: at the largest size a new tensor costs more than the sum.
        return refined.add_(x).relu_()


def symmetric(channels: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution of each channel by itself, padded alike on all sides."""
    return nn.Conv2d(channels, channels, 3, stride, 1, groups=channels)


def _stage(channels: int, middle: int, out_channels: int, *, blocks: int) -> nn.Sequential:
    """Halve the picture, then refine."""
    return nn.Sequential(
        _Bottleneck(channels, middle, out_channels, stride=2),
        nn.ReLU(inplace=True),
        *(_Residual(out_channels, middle) for _ in range(blocks)),
    )


def _lateral(channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(pointwise(channels, out_channels), nn.ReLU(inplace=True))


class _Head(nn.Module):
    """Values on a grid of cells four pixels wide, made on one half as fine and unfolded."""

    def __init__(self, channels: int, values: int) -> None:
        super().__init__()
        self.pointwise = pointwise(channels, 4 * values)
        self.depthwise = symmetric(4 * values, 2)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n v"]:
        cells: Tensor = self.depthwise(self.pointwise(x))  # b, 4 v, 24, 24
        batch, four, height, width = cells.shape
        # Which of the four comes before which value, as the original stores it.
        grid = cells.view(batch, 2, 2, four // 4, height, width).permute(0, 4, 1, 5, 2, 3)
        return grid.reshape(batch, 4 * height * width, four // 4)


class FullRangeNet(nn.Module):
    """Detector for faces up to five metres away, one anchor in each cell of four by four pixels.

    Made for 192 x 192 px; takes any multiple of 32, finding faces of the same size in pixels.
    """

    size = 192

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(inplace=True), _Residual(32, 8), _Residual(32, 8)
        )
        self.down4 = _stage(32, 16, 64, blocks=2)
        self.lateral4 = _lateral(64, 48)
        self.down8 = _stage(64, 32, 128, blocks=2)
        self.lateral8 = _lateral(128, 64)
        self.down16 = _stage(128, 48, 192, blocks=2)
        self.lateral16 = _lateral(192, 96)
        self.down32 = _stage(192, 96, 384, blocks=3)
        self.lateral32 = _lateral(384, 96)
        self.up16 = nn.Sequential(_Residual(96, 48), _Residual(96, 48), _lateral(96, 64))
        self.up8 = nn.Sequential(_Residual(64, 32), _Residual(64, 32), _lateral(64, 48))
        self.up4 = _Residual(48, 24)
        self.score = _Head(48, 1)
        self.box = _Head(48, 16)

    def forward(
        self, x: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n 16"]]:
        """Score logits and values in pixels (box centre, size, six points), by rows of anchors.

        Centre and points count from the middle of the anchor's cell. `x` is RGB in -1..1.
        """
        x4 = self.down4(self.stem(x))
        x8 = self.down8(x4)
        x16 = self.down16(x8)
        x32 = self.down32(x16)
        y16 = self.up16(self.lateral16(x16) + _double(self.lateral32(x32)))
        y8 = self.up8(self.lateral8(x8) + _double(y16))
        y4 = self.up4(self.lateral4(x4) + _double(y8))
        return self.score(y4).squeeze(-1), self.box(y4)


def _double(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


_SHORT_RANGE_WIDTHS = (24, 24, 28, 32, 36, 42, 48, 56, 64, 72, 80, 88)
_SHORT_RANGE_HALVINGS = (3, 6)


class ShortRangeNet(nn.Module):
    """Detector for faces within two metres: 128 px, 2 anchors on 16 x 16 and 6 on 8 x 8 cells."""

    size = 128

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(SameConv2d(3, 24, kernel=5, stride=2), nn.ReLU(inplace=True))
        self.body = nn.Sequential(
            *(
                BlazeBlock(
                    before,
                    after,
                    activation=nn.ReLU(inplace=True),
                    stride=2 if number in _SHORT_RANGE_HALVINGS else 1,
                )
                for number, (before, after) in enumerate(pairwise(_SHORT_RANGE_WIDTHS), 1)
            )
        )
        self.deep = nn.Sequential(
            BlazeBlock(88, 96, activation=nn.ReLU(inplace=True), stride=2),
            *(BlazeBlock(96, 96, activation=nn.ReLU(inplace=True)) for _ in range(4)),
        )
        self.score16, self.score8 = pointwise(88, 2), pointwise(96, 6)
        self.box16, self.box8 = pointwise(88, 32), pointwise(96, 96)

    def forward(
        self, x: Float[Tensor, "b 3 128 128"]
    ) -> tuple[Float[Tensor, "b 896"], Float[Tensor, "b 896 16"]]:
        """Score logits and raw values (box centre, size, six points) for each anchor.

        `x` is RGB in -1..1.
        """
        fine = self.body(self.stem(x))
        coarse = self.deep(fine)
        scores = [_per_anchor(self.score16(fine), 1), _per_anchor(self.score8(coarse), 1)]
        boxes = [_per_anchor(self.box16(fine), 16), _per_anchor(self.box8(coarse), 16)]
        return torch.cat(scores, 1).squeeze(-1), torch.cat(boxes, 1)


def _per_anchor(x: Float[Tensor, "b c h w"], values: int) -> Float[Tensor, "b n v"]:
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, values)


def build_full_range(arrays: Weights) -> FullRangeNet:
    """The full-range network with its weights, ready to run."""
    net = FullRangeNet()
    put_weights(layers(net), arrays)
    return net.eval().requires_grad_(False)


def build_short_range(arrays: Weights) -> ShortRangeNet:
    """The short-range network with its weights, ready to run."""
    net = ShortRangeNet()
    put_weights(layers(net), arrays)
    return net.eval().requires_grad_(False)


def probabilities(logits: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """Scores 0..1."""
    return torch.sigmoid(logits.clamp(-_SCORE_LIMIT, _SCORE_LIMIT))
