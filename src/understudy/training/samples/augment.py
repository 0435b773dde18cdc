"""Random flip, affine, warp and colour of training faces, composed into one sampling grid each.

Stored faces and a draw of random numbers in, what the network sees, its target and masks out,
batched and on the device the faces are on. Knows no bank, no network. Source: reference dfl-models
section 13; distributions are DFL's. Two of its quirks are restored by `parity` only: the warp's y
map as the transposed x map, and the half pixel by which its warped faces are shifted.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

WARP_SIZE_MIN = 64  # smaller faces are warped on a lattice of this size
_DIVISIONS_MAX = 8
_STRENGTH = 0.24  # of a cell, times the sum of two normals cut at 2.5 and divided by it
_CUT = 2.5


@dataclass(frozen=True, slots=True)
class Ranges:
    """How far random draws go. `scale_up` 0.15 means 1/1.15 to 1.15; `hsv_power` 0 is off."""

    scale_up: float = 0.15
    scale_down: float = 0.15
    rotation_deg: float = 10.0
    shift: float = 0.05
    flip: bool = False
    warp: bool = True
    hsv_power: float = 0.0
    parity: bool = False


@dataclass(frozen=True, slots=True)
class Draws:
    """Random numbers of one batch; grids are made of them where and as precisely as they are.

    `shift` is in parts of the side. `divisions` is 2, 4 or 8 cells a side; `nodes` are the grid's
    displacements in x and y, in cells, zero on the rim and beyond `divisions`; None means no warp.
    `hsv` is added to hue (degrees), saturation and value; None means none.
    """

    rotation_deg: Float[Tensor, " b"]
    scale: Float[Tensor, " b"]
    shift: Float[Tensor, "b 2"]
    flip: Bool[Tensor, " b"]
    divisions: Float[Tensor, " b"]
    nodes: Float[Tensor, "b 2 9 9"] | None
    hsv: Float[Tensor, "b 3"] | None
    parity: bool = False

    def to(self, device: torch.device) -> "Draws":
        """The same numbers on a device."""
        return replace(
            self,
            rotation_deg=self.rotation_deg.to(device),
            scale=self.scale.to(device),
            shift=self.shift.to(device),
            flip=self.flip.to(device),
            divisions=self.divisions.to(device),
            nodes=None if self.nodes is None else self.nodes.to(device),
            hsv=None if self.hsv is None else self.hsv.to(device),
        )


def draw(count: int, ranges: Ranges, *, generator: torch.Generator) -> Draws:
    """Random numbers for `count` faces, on the CPU; the generator alone decides them."""
    uniform = torch.rand(count, 6, generator=generator)
    low, high = 1 / (1 + ranges.scale_down), 1 + ranges.scale_up
    normals = _truncated_normals((count, 4, 9, 9), generator)
    amounts = torch.rand(count, 3, generator=generator)
    divisions = 2.0 ** (1 + torch.floor(uniform[:, 5] * 3))
    return Draws(
        rotation_deg=(uniform[:, 0] * 2 - 1) * ranges.rotation_deg,
        scale=low + uniform[:, 1] * (high - low),
        shift=(uniform[:, 2:4] * 2 - 1) * ranges.shift,
        flip=(uniform[:, 4] < 0.4) & ranges.flip,
        divisions=divisions,
        nodes=_lattice(normals, divisions, parity=ranges.parity) if ranges.warp else None,
        hsv=_hsv_shift(amounts, ranges.hsv_power) if ranges.hsv_power else None,
        parity=ranges.parity,
    )


def still(count: int) -> Draws:
    """Draws that leave faces as they are."""
    zeros = torch.zeros(count)
    return Draws(
        rotation_deg=zeros,
        scale=zeros + 1,
        shift=torch.zeros(count, 2),
        flip=zeros > 0,
        divisions=zeros + 2,
        nodes=None,
        hsv=None,
    )


def parity_nodes(
    normal_x: Float[Tensor, "n n"], normal_y: Float[Tensor, "n n"]
) -> Float[Tensor, "2 9 9"]:
    """Lattice displacements DFL makes of its two draws for the n x n inner nodes.

    Both draws end in both maps, because its y lattice is a transposed view of its x lattice.
    """
    inner = _STRENGTH * (normal_x + normal_y.T)
    nodes = torch.zeros(2, 9, 9, dtype=torch.float64)
    size = inner.shape[0] + 1
    nodes[0, 1:size, 1:size], nodes[1, 1:size, 1:size] = inner, inner.T
    return nodes


def target_grid(draws: Draws, resolution: int) -> Float[Tensor, "b r r 2"]:
    """Where each pixel of the target is read, in -1..1 over the stored face's area."""
    positions, size = _affine_positions(draws, resolution)
    return _normalized(positions, size)


def warped_grid(draws: Draws, resolution: int) -> Float[Tensor, "b r r 2"]:
    """Where each pixel of the network's input is read, in -1..1 over the stored face's area."""
    positions, size = _affine_positions(draws, resolution)
    if draws.nodes is not None:
        positions = warp_positions(draws, positions.clamp(0, size - 1), size)
    return _normalized(positions, size)


def shifted_grid(
    grid: Float[Tensor, "b r r 2"], shifts: Float[Tensor, "b 2 n n"]
) -> Float[Tensor, "b r r 2"]:
    """`grid` moved by a lattice of shifts over the whole square, all in -1..1."""
    moved = F.grid_sample(shifts, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return grid + moved.permute(0, 2, 3, 1)


def warp_positions(
    draws: Draws, positions: Float[Tensor, "b h w 2"], size: int
) -> Float[Tensor, "b h w 2"]:
    """Pixel positions (x, y) moved by the warp's lattice, laid over a picture of `size` pixels."""
    if draws.nodes is None:
        return positions
    cell = (size / draws.divisions).view(-1, 1, 1, 1)
    in_lattice = (positions + 0.5) / cell * (2 / _DIVISIONS_MAX) - 1
    moved = F.grid_sample(
        draws.nodes, in_lattice, mode="bilinear", padding_mode="border", align_corners=True
    )
    offset = 0.5 if draws.parity else 0.0
    return positions + moved.permute(0, 2, 3, 1) * cell + offset


def affine_matrices(draws: Draws, size: int) -> Float[Tensor, "b 2 3"]:
    """Maps from the stored face to the target before the flip, in pixels of `size`."""
    angle = draws.rotation_deg * (math.pi / 180)
    cosine, sine = torch.cos(angle) * draws.scale, torch.sin(angle) * draws.scale
    centre = float(size // 2)
    shift_x = (1 - cosine) * centre - sine * centre + draws.shift[:, 0] * size
    shift_y = sine * centre + (1 - cosine) * centre + draws.shift[:, 1] * size
    rows = [torch.stack([cosine, sine, shift_x], 1), torch.stack([-sine, cosine, shift_y], 1)]
    return torch.stack(rows, 1)


def read(
    faces: Float[Tensor, "b c s s"],
    grid: Float[Tensor, "b r r 2"],
    *,
    mode: str = "bilinear",
    border: str = "border",
) -> Float[Tensor, "b c r r"]:
    """Faces read at a grid. `border` "border" repeats the rim, "zeros" is black outside."""
    if faces.device.type == "mps":
        if mode != "bilinear":  # it has no other
            return read(faces.cpu(), grid.cpu(), mode=mode, border=border).to(faces.device)
        if border == "border":
            grid, border = onto_rim(grid, faces.shape[-1]), "zeros"
    return F.grid_sample(faces, grid, mode=mode, padding_mode=border, align_corners=False)


def onto_rim(grid: Float[Tensor, "b r r 2"], size: int) -> Float[Tensor, "b r r 2"]:
    """The grid with what lies outside moved onto the centres of the rim's pixels."""
    return grid.clamp(1 / size - 1, 1 - 1 / size)


def shift_hsv(
    faces: Float[Tensor, "b 3 h w"], amounts: Float[Tensor, "b 3"]
) -> Float[Tensor, "b 3 h w"]:
    """RGB faces with hue turned by degrees and saturation and value raised, each clipped."""
    hue, saturation, value = _to_hsv(faces)
    turn, more_saturation, more_value = (amounts[:, k].view(-1, 1, 1) for k in range(3))
    hue = torch.remainder(hue + turn / 60, 6.0)
    saturation = (saturation + more_saturation).clamp(0, 1)
    value = (value + more_value).clamp(0, 1)
    offsets = torch.tensor([5.0, 3.0, 1.0], device=faces.device, dtype=faces.dtype)
    k = torch.remainder(offsets.view(1, 3, 1, 1) + hue[:, None], 6.0)
    fade = torch.minimum(k, 4 - k).clamp(0, 1)
    return value[:, None] * (1 - saturation[:, None] * fade)


def _to_hsv(faces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in 0..6 (red 0, green 2, blue 4), saturation and value in 0..1; each (b, h, w)."""
    red, green, blue = faces.unbind(1)
    value, low = faces.amax(1), faces.amin(1)
    spread = value - low
    safe = torch.where(spread > 0, spread, torch.ones_like(spread))
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = torch.where(spread > 0, hue, torch.zeros_like(hue))
    bright = torch.where(value > 0, value, torch.ones_like(value))
    return hue, spread / bright, value


def _affine_positions(draws: Draws, resolution: int) -> tuple[Tensor, int]:
    """Positions (b, r, r, 2) each target pixel comes from, and the side they are pixels of."""
    size = max(resolution, WARP_SIZE_MIN)
    line = torch.arange(resolution, dtype=draws.scale.dtype, device=draws.scale.device)
    line = (line + 0.5) * (size / resolution) - 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    x = torch.where(draws.flip.view(-1, 1, 1), size - 1 - x, x)
    y = y.expand_as(x)
    matrices = affine_matrices(draws, size)
    # A turn and a scale: the inverse is the transpose over the squared scale.
    inverse = matrices[:, :, :2].transpose(1, 2) / draws.scale.square().view(-1, 1, 1)
    offset = matrices[:, :, 2].view(-1, 1, 1, 2)
    points = torch.stack([x, y], -1) - offset
    return torch.einsum("bij,bhwj->bhwi", inverse, points), size


def _normalized(positions: Tensor, size: int) -> Tensor:
    return ((positions + 0.5) * (2 / size) - 1).float()


def _truncated_normals(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Normals cut at 2.5 and divided by it; by the inverse distribution, so no draw is redone."""
    tail = 0.5 * math.erfc(_CUT / math.sqrt(2))
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
    normals: Tensor = torch.special.ndtri(tail + uniform * (1 - 2 * tail))
    return (normals / _CUT).float()


def _lattice(normals: Tensor, divisions: Tensor, *, parity: bool) -> Tensor:
    """Displacements (b, 2, 9, 9) of inner nodes, zero elsewhere.

    Sums of two draws in both cases, so that x and y have DFL's strength without its symmetry.
    """
    if parity:
        along_x = normals[:, 0] + normals[:, 1].transpose(1, 2)
        both = torch.stack([along_x, along_x.transpose(1, 2)], 1)
    else:
        both = normals[:, :2] + normals[:, 2:]
    index = torch.arange(9)
    inner = (index > 0) & (index < divisions.view(-1, 1))
    return both * _STRENGTH * (inner[:, None, :, None] & inner[:, None, None, :])


def _hsv_shift(uniform: Tensor, power: float) -> Tensor:
    """Whole degrees of hue within 180 times the power, saturation and value within half of it."""
    reach = max(1, int(180 * power))
    hue = torch.floor(uniform[:, :1] * (2 * reach + 1)) - reach
    return torch.cat([hue, (uniform[:, 1:] - 0.5) * power], 1)
