"""The face mesh network with attention: a face's picture in, 478 points and a presence score out.

Float NCHW tensors of 192 px in, points in pixels of that input out; knows nothing of frames or of
the 68-point convention.
Papers: Kartynnik, Ablavatski, Grishchenko and Grundmann, "Real-time Facial Surface Geometry from
Monocular Video on Mobile GPUs", 2019; Grishchenko, Ablavatski, Kartynnik, Raveendran and Grundmann,
"Attention Mesh: High-fidelity Face Mesh Prediction in Real-time", 2020. Licence of the original
code and weights (MediaPipe): Apache-2.0.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from understudy.faces.blaze_blocks import (
    BlazeBlock,
    SameConv2d,
    interleaved,
    layers,
    pointwise,
    put_weights,
)
from understudy.tflite import Weights

INPUT_SIZE = 192
NUM_MESH_POINTS = 468
NUM_POINTS = 478
_FEATURE_STRIDE = 4
_PATCH = 16
_PATCH_MARGIN = 1.5

# Points each refining head gives anew, in the order it gives them: rings of the mesh.
LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409),
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415),
    *(76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 184, 74, 73, 72, 11, 302, 303, 304, 408),
    *(62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12, 268, 271, 272, 407),
)
RIGHT_EYE = (
    *(33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173),
    *(130, 25, 110, 24, 23, 22, 26, 112, 243, 247, 30, 29, 27, 28, 56, 190),
    *(226, 31, 228, 229, 230, 231, 232, 233, 244, 113, 225, 224, 223, 222, 221, 189),
    *(35, 124, 46, 53, 52, 65, 143, 111, 117, 118, 119, 120, 121, 128, 245),
    *(156, 70, 63, 105, 66, 107, 55, 193),
)
LEFT_EYE = (
    *(263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398),
    *(359, 255, 339, 254, 253, 252, 256, 341, 463, 467, 260, 259, 257, 258, 286, 414),
    *(446, 261, 448, 449, 450, 451, 452, 453, 464, 342, 445, 444, 443, 442, 441, 413),
    *(265, 353, 276, 283, 282, 295, 372, 340, 346, 347, 348, 349, 350, 357, 465),
    *(383, 300, 293, 334, 296, 336, 285, 417),
)
RIGHT_IRIS, LEFT_IRIS = tuple(range(468, 473)), tuple(range(473, 478))
# Ends of the line that is level in each part's patch.
_LEVEL = ((61, 291), (33, 133), (362, 263))


def _block(channels: int, out_channels: int, *, stride: int = 1) -> BlazeBlock:
    return BlazeBlock(channels, out_channels, activation=nn.PReLU(out_channels), stride=stride)


def _stage(channels: int, out_channels: int) -> list[BlazeBlock]:
    return [
        _block(channels, out_channels, stride=2),
        _block(out_channels, out_channels),
        _block(out_channels, out_channels),
    ]


def _refiner(num_points: int) -> nn.Sequential:
    """From shared features of a part's patch to points of it."""
    return nn.Sequential(
        _block(128, 128),
        _block(128, 128),
        _block(128, 128, stride=2),
        _block(128, 128),
        _block(128, 128),
        pointwise(128, 32),
        nn.PReLU(32),
        _block(32, 32),
        nn.Conv2d(32, 2 * num_points, 2, 2),
        nn.Flatten(),
    )


def _part_stem() -> nn.Sequential:
    return nn.Sequential(_block(32, 32), _block(32, 32), *_stage(32, 64), _block(64, 128, stride=2))


class AttentionMeshNet(nn.Module):
    """Mesh from the whole picture, then lips and eyes once more from sharper features of theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            SameConv2d(3, 16, kernel=3, stride=2),
            nn.PReLU(16),
            _block(16, 16),
            _block(16, 16),
            _block(16, 32, stride=2),
        )
        self.trunk = nn.Sequential(
            _block(32, 32),
            _block(32, 32),
            *_stage(32, 64),
            *_stage(64, 128),
            *_stage(128, 128),
            *_stage(128, 128),
            pointwise(128, 32),
            nn.PReLU(32),
            _block(32, 32),
        )
        self.mesh = nn.Conv2d(32, 3 * NUM_MESH_POINTS, 3, 3)
        self.parts = nn.ModuleList(_part_stem() for _ in range(3))
        self.lips = _refiner(len(LIPS))
        self.right_eye, self.right_iris = _refiner(len(RIGHT_EYE)), _refiner(5)
        self.left_eye, self.left_iris = _refiner(len(LEFT_EYE)), _refiner(5)
        self.presence = nn.Conv2d(32, 1, 3, 3)
        for number, part in enumerate((LIPS, RIGHT_EYE, LEFT_EYE)):
            self.register_buffer(f"part_{number}", torch.tensor(part), persistent=False)

    def forward(
        self, x: Float[Tensor, "b 3 192 192"], *, irises: bool = True
    ) -> tuple[Float[Tensor, "b 468 2"], Float[Tensor, "b n 2"], Float[Tensor, " b"]]:
        """Mesh before refinement, mesh after it, and the logit that a face is there.

        With `irises` the refined mesh has 478 points, else 468, for two thirds of the work. Points
        are pixels of the input, 0, 0 the corner of the first; `x` is RGB in 0..1.
        """
        batch = x.shape[0]
        features = self.stem(x)  # b, 32, 48, 48
        mesh, presence = self._whole(features)
        num_more = NUM_POINTS - NUM_MESH_POINTS if irises else 0
        points = torch.cat([mesh, mesh.new_empty(batch, num_more, 2)], 1)
        refiners = (
            (self.lips,),
            (self.right_eye, self.right_iris),
            (self.left_eye, self.left_iris),
        )
        of_irises = ((), RIGHT_IRIS, LEFT_IRIS)
        for number, (stem, heads) in enumerate(zip(self.parts, refiners, strict=True)):
            index: Int[Tensor, " n"] = getattr(self, f"part_{number}")
            patch_to_input = _patch_matrix(mesh, index, _LEVEL[number])
            shared = stem(_sample_patch(features, patch_to_input))
            points[:, index] = _unwarp(heads[0](shared), patch_to_input)
            if irises and of_irises[number]:
                points[:, list(of_irises[number])] = _unwarp(heads[1](shared), patch_to_input)
        return mesh, points, presence

    def whole(
        self, x: Float[Tensor, "b 3 192 192"]
    ) -> tuple[Float[Tensor, "b 468 2"], Float[Tensor, " b"]]:
        """The mesh before refinement, and the logit that a face is there: half the work."""
        return self._whole(self.stem(x))

    def _whole(
        self, features: Float[Tensor, "b 32 48 48"]
    ) -> tuple[Float[Tensor, "b 468 2"], Float[Tensor, " b"]]:
        deep = self.trunk(features)  # b, 32, 3, 3
        mesh = self.mesh(deep).view(-1, NUM_MESH_POINTS, 3)[..., :2]
        return mesh, self.presence(deep).view(-1)

    def in_order(self) -> Iterator[nn.Module]:
        """Layers in the order the original runs them; its parts run side by side."""
        yield from layers(self.stem)
        yield from layers(self.trunk)
        yield self.mesh
        yield from interleaved(self.parts)
        yield from interleaved(
            (self.lips, self.right_eye, self.right_iris, self.left_eye, self.left_iris)
        )
        yield self.presence


def _patch_matrix(
    mesh: Float[Tensor, "b 468 2"], index: Int[Tensor, " n"], level: tuple[int, int]
) -> Float[Tensor, "b 2 3"]:
    """Map from a patch, in units of its side, to input pixels.

    It is the box around the part's points, turned so that the part is level, with a margin.
    """
    across = mesh[:, level[1]] - mesh[:, level[0]]
    angle = torch.atan2(across[:, 1], across[:, 0])
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)  # b, 2, 2
    upright = mesh[:, index] @ turn
    low, high = upright.amin(1), upright.amax(1)
    axes = turn * ((high - low) * _PATCH_MARGIN)[:, None, :]
    centre = (turn @ ((low + high) / 2)[..., None])[..., 0]
    return torch.cat([axes, (centre - axes.sum(2) / 2)[..., None]], 2)


def _sample_patch(
    features: Float[Tensor, "b c h w"], patch_to_input: Float[Tensor, "b 2 3"]
) -> Float[Tensor, "b c 16 16"]:
    """The part's features, bilinear; zero wherever the centre of a cell leaves the map."""
    side = (torch.arange(_PATCH, device=features.device) + 0.5) / _PATCH
    y, x = torch.meshgrid(side, side, indexing="ij")
    grid = torch.stack([x, y, torch.ones_like(x)], -1).view(1, -1, 3)
    place = grid @ patch_to_input.transpose(1, 2) / _FEATURE_STRIDE - 0.5  # b, 256, 2 in cells
    size = features.shape[-1]
    inside = ((place >= 0) & (place <= size - 1)).all(-1)
    normal = (place + 0.5) * (2 / size) - 1
    normal = normal.view(-1, _PATCH, _PATCH, 2).to(features.dtype)
    patch = functional.grid_sample(
        features, normal, mode="bilinear", padding_mode="border", align_corners=False
    )
    return patch * inside.view(-1, 1, _PATCH, _PATCH)


def _unwarp(
    raw: Float[Tensor, "b m"], patch_to_input: Float[Tensor, "b 2 3"]
) -> Float[Tensor, "b n 2"]:
    """Points a head gives (in input pixels of a patch of 16 cells) as pixels of the input."""
    unit = raw.float().view(raw.shape[0], -1, 2) / (_PATCH * _FEATURE_STRIDE)
    return unit @ patch_to_input[..., :2].transpose(1, 2) + patch_to_input[:, None, :, 2]


def build_attention_mesh(arrays: Weights) -> AttentionMeshNet:
    """The network with its weights, ready to run."""
    net = AttentionMeshNet()
    put_weights(net.in_order(), arrays)
    return net.eval().requires_grad_(False)
