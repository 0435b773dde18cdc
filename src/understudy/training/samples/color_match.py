"""Colours of src faces moved to those of dst faces, a batch at a time on the faces' device.

Two batches of pictures and a generator for each in, one batch out. The methods are those of
`imaging.color`, without masks, written for tensors: what takes a picture at a time there would hold
up training. Sources are named there; constants of reference "pipeline", section 18.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from understudy.registry import Registry

Faces = Float[Tensor, "b 3 h w"]
Generators = Sequence[torch.Generator]
ColorMatch = Callable[[Faces, Faces, Generators], Faces]

COLOR_MATCHES: Registry[ColorMatch] = Registry("colour transfer of training")
"""Each gives src faces the colours of as many dst faces; what is random about a face comes from its
own generator, on the CPU, so that it does not depend on the faces beside it."""

_RIDGE = 1e-5
_SMALLEST = 2.220446049250313e-16
_IDT_ROUNDS, _IDT_BINS = 20, 256
_SOT_STEPS, _SOT_BATCH = 10, 5
_SOT_SIGMA = 24.0  # the original's 16 pixels of the network's picture, which a bank holds 1.5 times
_SOT_STRIDE = 3
_IDT_STRIDE = 4
_D65 = (0.950456, 1.0, 1.088754)
_RGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)


@COLOR_MATCHES.register("none")
def keep(src: Faces, dst: Faces, generators: Generators) -> Faces:
    """`src` as it is."""
    return src


@COLOR_MATCHES.register("rct")
def match_lab(src: Faces, dst: Faces, generators: Generators) -> Faces:
    """Mean and spread of each Lab channel."""
    own, others = _to_lab(src), _to_lab(dst)
    mean, other_mean = (x.mean((2, 3), keepdim=True) for x in (own, others))
    spread, other_spread = (x.std((2, 3), correction=0, keepdim=True) for x in (own, others))
    gain = torch.where(spread < 1e-3, torch.ones_like(spread), other_spread / spread)
    moved = (own - mean) * gain + other_mean
    low, high = (moved.new_tensor(v).view(3, 1, 1) for v in ((0, -127, -127), (100, 127, 127)))
    return _from_lab(moved.clamp(low, high)).clamp(0, 1)


@COLOR_MATCHES.register("lct")
def match_roots(src: Faces, dst: Faces, generators: Generators) -> Faces:
    """Mean and covariance, by the symmetric roots of both."""
    (mean, own), (other_mean, others) = _moments(src), _moments(dst)
    ridge = _RIDGE * torch.eye(3, device=own.device, dtype=own.dtype)
    linear = _root(others + ridge) @ torch.linalg.inv(_root(own + ridge))
    return _move(src, linear, mean, other_mean)


@COLOR_MATCHES.register("mkl")
def match_transport(src: Faces, dst: Faces, generators: Generators) -> Faces:
    """Mean and covariance, by the smallest movement of colours."""
    (mean, own), (other_mean, others) = _moments(src), _moments(dst)
    root = _root(own)
    inverse = torch.linalg.inv(root)
    return _move(src, inverse @ _root(root @ others @ root) @ inverse, mean, other_mean)


@COLOR_MATCHES.register("idt")
def match_histograms(src: Faces, dst: Faces, generators: Generators) -> Faces:
    """Histograms along random axes, in twenty rounds of a twentieth."""
    moving, still = src.flatten(2), dst.flatten(2)  # b 3 (h w)
    for _ in range(_IDT_ROUNDS):
        axes = _rotations(generators).to(src.device)
        along, wanted = axes @ moving, axes @ still
        change = _match_rows(along.flatten(0, 1), wanted.flatten(0, 1)).view_as(along) - along
        moving = moving + axes.transpose(1, 2) @ change / _IDT_ROUNDS
    return moving.view_as(src).clamp(0, 1)


@COLOR_MATCHES.register("sot")
def match_slices(src: Faces, dst: Faces, generators: Generators) -> Faces:
    """Sliced optimal transport with the movement of pixels smoothed.

    The movement is so smooth that every third pixel each way tells it: a ninth of the work.
    """
    thin = slice(None, None, _SOT_STRIDE)
    start = src[..., thin, thin]
    shape = start.shape
    moving, still = start.flatten(2), dst[..., thin, thin].flatten(2)
    for _ in range(_SOT_STEPS):
        directions = _normals(generators, _SOT_BATCH, 3)
        directions = (directions / directions.norm(dim=2, keepdim=True)).to(src.device)
        along, order = torch.sort(directions @ moving, dim=2)  # b d n
        wanted = _spread(torch.sort(directions @ still, dim=2).values, along.shape[2])
        by = torch.empty_like(along).scatter_(2, order, wanted - along)
        moving = moving + directions.transpose(1, 2) @ by / _SOT_BATCH
    moved = _smooth(moving.view(shape) - start)
    return (src + _enlarge(moved, src.shape[-2:])).clamp(0, 1)


def _spread(ascending: Tensor, count: int) -> Tensor:
    """`count` values a row, spread as the ascending ones are."""
    if ascending.shape[-1] == count:
        return ascending
    return F.interpolate(ascending, size=count, mode="linear", align_corners=False)


def _smooth(moved: Tensor) -> Tensor:
    """Round Gaussian mean of 1.5 standard deviations, borders mirrored.

    The original is a bilateral filter whose reach in values is many times theirs: a plain one.
    """
    sigma = _SOT_SIGMA / _SOT_STRIDE
    reach = min(round(1.5 * sigma), *(size - 1 for size in moved.shape[-2:]))
    line = torch.arange(-reach, reach + 1, device=moved.device, dtype=moved.dtype)
    distance = line[:, None] ** 2 + line**2
    window = torch.exp(-distance / (2 * sigma**2)) * (distance <= reach**2)
    padded = F.pad(moved, [reach] * 4, mode="reflect")
    size = padded.shape[-2:]
    product = torch.fft.rfft2(padded) * torch.fft.rfft2(window / window.sum(), s=size)
    smooth: Tensor = torch.fft.irfft2(product, s=size)[..., 2 * reach :, 2 * reach :]
    return smooth


def _enlarge(moved: Tensor, size: torch.Size) -> Tensor:
    """The movement at every pixel; sample k lies on pixel `_SOT_STRIDE` k."""
    grids = []
    for full, few in zip(size, moved.shape[-2:], strict=True):
        at = torch.arange(full, device=moved.device, dtype=moved.dtype) / _SOT_STRIDE
        grids.append((2 * at + 1) / few - 1)
    y, x = torch.meshgrid(*grids, indexing="ij")
    grid = torch.stack([x, y], -1).expand(len(moved), -1, -1, -1)
    return F.grid_sample(moved, grid, padding_mode="border", align_corners=False)


def _match_rows(values: Tensor, wanted: Tensor) -> Tensor:
    """Each row of `values` moved so that its histogram becomes that of the row of `wanted`."""
    low = torch.minimum(values.amin(1), wanted.amin(1))[:, None]
    high = torch.maximum(values.amax(1), wanted.amax(1))[:, None]
    width = (high - low).clamp_min(1e-9) / _IDT_BINS
    places = (values - low) / width
    thin = slice(None, None, _IDT_STRIDE)  # every fourth pixel tells the histogram
    own = _cumulated(places[:, thin], _IDT_BINS)
    others = _cumulated(((wanted - low) / width)[:, thin], _IDT_BINS)
    # where in the other's bins each edge of one's own belongs
    above = torch.searchsorted(others, own).clamp(1, _IDT_BINS)
    start, end = others.gather(1, above - 1), others.gather(1, above)
    targets = above - 1 + ((own - start) / (end - start)).clamp(0, 1)
    # What lies beyond the first and last of the pixels counted moves as these do.
    (first, last), (other_first, other_last) = _ends(own), _ends(others)
    edges = torch.arange(_IDT_BINS + 1, device=targets.device)
    targets = torch.maximum(torch.minimum(targets, other_last), other_first)
    targets = torch.where(edges > last, other_last + edges - last, targets)
    targets = torch.where(edges < first, other_first + edges - first, targets)
    slot = places.long().clamp(0, _IDT_BINS - 1)
    left, right = (targets.gather(1, at).to(values.dtype) for at in (slot, slot + 1))
    return low + width * torch.lerp(left, right, places - slot)


def _ends(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Last edge of each row with nothing below it, first one with nothing above: (rows, 1)."""
    first = (shares < 2e-6).sum(1, keepdim=True) - 1
    last = (shares < 1).sum(1, keepdim=True)
    return first.double(), last.clamp_max(_IDT_BINS).double()


def _cumulated(places: Tensor, bins: int) -> Tensor:
    """Share of each row below each edge, rising everywhere: (rows, bins + 1)."""
    slots = places.long().clamp(0, bins - 1)
    ones = torch.ones((), device=places.device, dtype=torch.float64).expand(slots.shape)
    counts = torch.zeros(len(places), bins, device=places.device, dtype=torch.float64)
    shares = counts.scatter_add_(1, slots, ones).cumsum(1) / places.shape[1]
    slope = torch.linspace(0, 1e-6, bins + 1, device=places.device, dtype=torch.float64)
    return F.pad(shares, (1, 0)) + slope


def _normals(generators: Generators, *shape: int) -> Tensor:
    """Random normals of that shape from each generator."""
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators])


def _rotations(generators: Generators) -> Tensor:
    """As many rotations of space, uniform over all: (b, 3, 3)."""
    q, r = torch.linalg.qr(_normals(generators, 3, 3))
    q = q * torch.sign(torch.diagonal(r, dim1=1, dim2=2))[:, None, :]
    turned: Tensor = q * torch.linalg.det(q)[:, None, None]
    return turned


def _moments(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (b, 3, 1) and covariance (b, 3, 3) of the colours, in float64."""
    pixels = faces.flatten(2).double()
    mean = pixels.mean(2, keepdim=True)
    centred = pixels - mean
    return mean, centred @ centred.transpose(1, 2) / pixels.shape[2]


def _root(matrix: Tensor) -> Tensor:
    """Symmetric square root, eigenvalues held above zero."""
    values, vectors = torch.linalg.eigh((matrix + matrix.transpose(1, 2)) / 2)
    root: Tensor = vectors * values.clamp_min(_SMALLEST).sqrt()[:, None] @ vectors.transpose(1, 2)
    return root


def _move(faces: Tensor, linear: Tensor, mean: Tensor, other_mean: Tensor) -> Tensor:
    offset = (other_mean - linear @ mean).float()
    return torch.baddbmm(offset, linear.float(), faces.flatten(2)).view_as(faces).clamp(0, 1)


def _to_lab(faces: Tensor) -> Tensor:
    linear = torch.where(faces > 0.04045, ((faces + 0.055) / 1.055) ** 2.4, faces / 12.92)
    xyz = torch.einsum("ij,bjhw->bihw", faces.new_tensor(_RGB_TO_XYZ), linear)
    x, y, z = (xyz / xyz.new_tensor(_D65).view(3, 1, 1)).unbind(1)
    fx, fy, fz = (torch.where(t > 0.008856, t ** (1 / 3), 7.787 * t + 16 / 116) for t in (x, y, z))
    light = torch.where(y > 0.008856, 116 * fy - 16, 903.3 * y)
    return torch.stack([light, 500 * (fx - fy), 200 * (fy - fz)], 1)


def _from_lab(lab: Tensor) -> Tensor:
    light, a, b = lab.unbind(1)
    fy = (light + 16) / 116
    cubes = torch.stack([fy + a / 500, fy, fy - b / 200], 1)
    xyz = torch.where(cubes > 6 / 29, cubes**3, (cubes - 16 / 116) / 7.787)
    xyz = xyz * xyz.new_tensor(_D65).view(3, 1, 1)
    inverse = torch.linalg.inv(torch.tensor(_RGB_TO_XYZ, dtype=torch.float64)).to(lab)
    linear = torch.einsum("ij,bjhw->bihw", inverse, xyz).clamp_min(0)
    return torch.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
