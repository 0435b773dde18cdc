"""What a mask net is shown at an iteration: labelled faces, varied far beyond what was filmed.

A bank of labelled faces and options in, batches out; the same iteration gives the same batch
whatever came before. All but the draws happens on the device the faces are on. Source: reference
"networks, losses, training", section 13.6; distributions are the predecessor's. `hard` adds what a
mask for any clip needs: objects before the face, other skin, noise, small and poor pictures.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from understudy.models.config import ModelConfig
from understudy.training.plan.options import TrainOptions
from understudy.training.samples import augment
from understudy.training.samples import mask_filters as filters
from understudy.training.samples.augment import Ranges
from understudy.training.samples.bank import SampleBank
from understudy.training.samples.decks import shuffled_deck
from understudy.training.samples.seeds import generator_of

_FACES, _DRAWS, _OTHERS = 0, 1, 2  # places of draws
_FLARE_MIN = 0.25  # of the side: the smallest blur of a flare
_GREY = (0.299, 0.587, 0.114)

Faces = Float[Tensor, "b 3 r r"]
Masks = Float[Tensor, "b 1 r r"]


class MaskBatch(NamedTuple):
    """Pictures and what is to be painted of them: masks of 0 or 1, or, to pretrain, their grey."""

    faces: Faces
    target: Masks


@dataclass(frozen=True, slots=True)
class MaskSide:
    """Labelled faces: those trained on and those kept aside, as places in the bank."""

    bank: SampleBank
    trained: Int64[np.ndarray, " t"]
    held_out: Int64[np.ndarray, " h"]


class MaskSource:
    """Makes the batch of any iteration from seed and iteration alone.

    `attempt` counts roll-backs of an unhealthy run: it changes the draws.
    """

    def __init__(
        self,
        side: MaskSide,
        config: ModelConfig,
        options: TrainOptions,
        *,
        attempt: int = 0,
        hard: bool = False,
    ) -> None:
        self._side, self._options, self._hard = side, options, hard
        self._resolution = config.resolution
        self._seed = (options.seed, attempt)
        self._deck = shuffled_deck(side.trained, seed=(*self._seed, _FACES))
        self._others = shuffled_deck(side.trained, seed=(*self._seed, _OTHERS))
        wide = (3.0 if hard else 1.0) * options.random_affine
        self._ranges = Ranges(
            scale_up=0.05 * wide,
            scale_down=0.05 * wide,
            rotation_deg=10.0 * wide,
            shift=0.05 * min(wide, 2.0),
            flip=True,
            warp=options.random_warp,
            parity=options.dfl_parity,
        )

    @property
    def is_pretraining(self) -> bool:
        """Whether the target is the picture's grey and not its label."""
        return self._options.pretrain

    def batch(self, iteration: int) -> MaskBatch:
        """The batch of an iteration; the first is 0."""
        draws = _Dice(generator_of(*self._seed, _DRAWS, iteration))
        size = self._options.batch_size
        planes = self._side.bank.gather(self._places(self._deck, iteration))
        if self._side.bank.is_paged:
            self._side.bank.expect(self._places(self._deck, iteration + 1))
        parity = self._options.dfl_parity
        if self._options.pretrain:
            faces, _ = self._turned(planes, draws)
            return MaskBatch(faces, _grey(faces))
        chosen = draws.happens(size)
        if chosen.any():
            others = self._side.bank.gather(self._places(self._others, iteration)[chosen.numpy()])
            planes[_on(chosen, planes)] = self._mixed(planes[_on(chosen, planes)], others, draws)
        if self._hard:
            planes = self._covered(planes, draws, iteration)
        faces, masks = self._turned(planes, draws)
        target = (masks >= 0.5).float()
        return MaskBatch(_varied(faces, target, draws, parity=parity, hard=self._hard), target)

    def still(self, places: Int64[np.ndarray, " b"]) -> MaskBatch:
        """The faces at these places of the bank as they are."""
        planes = self._side.bank.gather(places)
        grid = augment.target_grid(augment.still(len(places)).to(planes.device), self._resolution)
        read = augment.read(planes, grid, border="border").clamp_(0, 1)
        if self._options.pretrain:
            return MaskBatch(read[:, :3], _grey(read[:, :3]))
        return MaskBatch(read[:, :3], (read[:, 3:4] >= 0.5).float())

    def _places(self, deck: Callable[[int], int], iteration: int) -> Int64[np.ndarray, " b"]:
        size = self._options.batch_size
        return np.array([deck(iteration * size + k) for k in range(size)], np.int64)

    def _turned(self, planes: Tensor, dice: "_Dice") -> tuple[Faces, Masks]:
        """Pictures and masks warped, turned, mirrored and read at the net's side, at once."""
        draws = augment.draw(len(planes), self._ranges, generator=dice.generator)
        draws = draws.to(planes.device)
        grid = augment.warped_grid(draws, self._resolution)
        mode = "bicubic" if draws.parity else "bilinear"
        faces = augment.read(planes[:, :3], grid, mode=mode, border="border").clamp_(0, 1)
        return faces, augment.read(planes[:, 3:4], grid, mode=mode, border="zeros")

    def _mixed(self, planes: Tensor, others: Tensor, dice: "_Dice") -> Tensor:
        """Planes whose ground is mixed with another face's picture, that face cut out of it."""
        count, side = len(planes), planes.shape[-1]
        anywhere = Ranges(
            scale_up=0.1, scale_down=0.1, rotation_deg=180.0, shift=0.1, flip=True, warp=False
        )
        draws = augment.draw(count, anywhere, generator=dice.generator).to(planes.device)
        grid = augment.target_grid(draws, side)
        ground = augment.read(others[:, :3], grid).clamp_(0, 1)
        other_mask = augment.read(others[:, 3:4], grid, border="zeros").clamp_(0, 1)
        ground = _recolored(ground * (1 - other_mask), dice)
        faces, masks = planes[:, :3], planes[:, 3:4]
        kept = 1 - (1 - other_mask) * (1 - masks)
        weight = dice.between(0.15, 1.0, count).view(-1, 1, 1, 1).to(planes.device)
        mixed = faces * kept + (1 - kept) * (faces * weight + ground * (1 - weight))
        return torch.cat([mixed, masks, planes[:, 4:]], dim=1)

    def _covered(self, planes: Tensor, dice: "_Dice", iteration: int) -> Tensor:
        """Planes with an object before some of the faces: a blob of another picture or a colour."""
        chosen = dice.happens(len(planes), share=0.4)
        if not chosen.any():
            return planes
        rows = _on(chosen, planes)
        count, side = int(chosen.sum()), planes.shape[-1]
        others = self._side.bank.gather(self._places(self._others, iteration + 1)[chosen.numpy()])
        anywhere = Ranges(
            scale_up=0.5, scale_down=0.5, rotation_deg=180.0, shift=0.4, flip=True, warp=False
        )
        draws = augment.draw(count, anywhere, generator=dice.generator).to(planes.device)
        stuff = augment.read(others[:, :3], augment.target_grid(draws, side)).clamp_(0, 1)
        plain = dice.uniform(count, 3).view(-1, 3, 1, 1).to(planes.device)
        stuff = torch.where(
            dice.happens(count).view(-1, 1, 1, 1).to(planes.device),
            stuff,
            0.8 * plain + 0.2 * stuff,
        )
        shape = _blobs(dice, count, side).to(planes.device)
        covered = planes[rows]
        faces = covered[:, :3] * (1 - shape) + stuff * shape
        planes = planes.clone()
        planes[rows] = torch.cat([faces, covered[:, 3:4] * (1 - shape), covered[:, 4:]], dim=1)
        return planes


class _Dice:
    """Draws of one batch, on the processor, in a fixed order."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator)

    def between(self, low: float, high: float, count: int) -> Tensor:
        return low + (high - low) * self.uniform(count)

    def happens(self, count: int, *, share: float = 0.5) -> Bool[Tensor, " b"]:
        return self.uniform(count) < share

    def whole(self, below: int, count: int) -> list[int]:
        """Whole numbers from 0 up to, not with, `below`."""
        return [min(int(u * below), below - 1) for u in self.uniform(count).tolist()]

    def circles(self, count: int, side: int) -> Float[Tensor, "b 4"]:
        """Inner radius, width of the fade, centre; the two radii stay within the side."""
        uniform = self.uniform(count, 4)
        inner = torch.floor(uniform[:, 0] * side)
        fade = torch.floor(uniform[:, 1] * (side - inner))
        return torch.stack(
            [inner, fade, torch.floor(uniform[:, 2] * side), torch.floor(uniform[:, 3] * side)], 1
        )


def _on(chosen: Bool[Tensor, " b"], like: Tensor) -> Tensor:
    """Places of the chosen ones, on the device of `like`."""
    return torch.nonzero(chosen)[:, 0].to(like.device)


def _grey(faces: Faces) -> Masks:
    weights = faces.new_tensor(_GREY).view(1, 3, 1, 1)
    return (faces * weights).sum(dim=1, keepdim=True)


def _recolored(faces: Faces, dice: _Dice) -> Faces:
    """Each picture with its hue turned or its levels changed, even odds."""
    count = len(faces)
    hues, table = dice.uniform(count, 3), dice.uniform(count, 5, 3)
    amounts = torch.stack([torch.floor(hues[:, 0] * 360), hues[:, 1] - 0.5, hues[:, 2] - 0.5], 1)
    turned = filters.shift_hsv(faces, amounts.to(faces.device))
    leveled = filters.levels(faces, table.to(faces.device))
    return torch.where(dice.happens(count).view(-1, 1, 1, 1).to(faces.device), turned, leveled)


Filter = Callable[[Faces, _Dice], Faces]


def _in_circles(faces: Faces, chosen: Bool[Tensor, " b"], dice: _Dice, change: Filter) -> Faces:
    """The chosen pictures changed inside a faded circle of their own."""
    count, side = int(chosen.sum()), faces.shape[-1]
    if not count:
        return faces
    rows = _on(chosen, faces)
    before = faces[rows]
    circles = filters.faded_circles(dice.circles(count, side).to(faces.device), side)
    after = change(before, dice)
    return faces.index_put((rows,), before * (1 - circles) + after * circles)


def _varied(faces: Faces, masks: Masks, dice: _Dice, *, parity: bool, hard: bool) -> Faces:
    """The pictures through all that light, lens and file may do to them."""
    count = len(faces)
    share = 0.2 if hard else 0.5  # they hide most of what else would be hard
    faces = _flared(faces, masks, dice, share)
    faces = _flared(faces, 1 - masks, dice, share)
    if not parity:  # the predecessor hands values above 1 on to what works on colours
        faces = faces.clamp(0, 1)
    if hard:
        faces = _other_skin(faces, masks, dice)
    everyone = torch.ones(count, dtype=torch.bool)
    faces = _in_circles(faces, everyone, dice, _recolored)
    sharper = dice.happens(count)
    faces = _in_circles(faces, sharper & dice.happens(count, share=0.25), dice, _sharpened)
    for change in (_moved, _blurred):
        faces = _in_circles(faces, ~sharper & dice.happens(count, share=0.25), dice, change)
    nearest = dice.happens(count)
    for which, matrix in ((nearest, filters.down_up_nearest), (~nearest, filters.down_up_bilinear)):
        chosen = which & dice.happens(count, share=0.25)
        faces = _in_circles(faces, chosen, dice, _resized(matrix))
    faces = faces.clamp(0, 1)
    if hard:
        faces = _poor(faces, dice)
    return _in_circles(faces, dice.happens(count, share=0.25), dice, _compressed)


def _flared(faces: Faces, where: Masks, dice: _Dice, share: float) -> Faces:
    """A share of the pictures with a wide blur of what lies in `where` added."""
    count, side = len(faces), faces.shape[-1]
    chosen = dice.happens(count, share=share)
    low = int(_FLARE_MIN * side)
    sizes = [low + k for k in dice.whole(side - low, count)]
    if not chosen.any():
        return faces
    rows = _on(chosen, faces)
    wanted = [_odd(size) for size, yes in zip(sizes, chosen.tolist(), strict=True) if yes]
    matrices = _stacked([filters.blurring(size, side) for size in wanted], faces)
    part = faces[rows]
    return faces.index_put((rows,), part + filters.spread(part * where[rows], matrices))


def _sharpened(faces: Faces, dice: _Dice) -> Faces:
    count = len(faces)
    sizes, boxes = dice.whole(5, count), dice.happens(count).tolist()
    amounts = dice.uniform(count).tolist()
    kernels = [
        filters.sharpen_kernel(_odd(size + 1), float(int(u * (10 if box else 50))), box=box)
        for size, box, u in zip(sizes, boxes, amounts, strict=True)
    ]
    return filters.filter_small(faces, _stacked(kernels, faces))


def _moved(faces: Faces, dice: _Dice) -> Faces:
    sizes, angles = dice.whole(5, len(faces)), dice.whole(360, len(faces))
    kernels = [filters.motion_kernel(s + 1, a) for s, a in zip(sizes, angles, strict=True)]
    return filters.filter_small(faces, _stacked(kernels, faces))


def _blurred(faces: Faces, dice: _Dice) -> Faces:
    sizes = dice.whole(5, len(faces))
    matrices = [filters.blurring(2 * size + 1, faces.shape[-1]) for size in sizes]
    return filters.spread(faces, _stacked(matrices, faces))


def _resized(matrix: Callable[[int, int], np.ndarray]) -> Filter:
    def change(faces: Faces, dice: _Dice) -> Faces:
        side = faces.shape[-1]
        sizes = [side - int(u * int(0.75 * side)) for u in dice.uniform(len(faces)).tolist()]
        return filters.spread(faces, _stacked([matrix(size, side) for size in sizes], faces))

    return change


def _compressed(faces: Faces, dice: _Dice) -> Faces:
    return filters.jpeg(faces, [10 + k for k in dice.whole(91, len(faces))])


def _other_skin(faces: Faces, masks: Masks, dice: _Dice) -> Faces:
    """Some faces, or all but the face, in other colours: skins and grounds no one filmed."""
    count = len(faces)
    chosen = dice.happens(count, share=0.3)
    if not chosen.any():
        return faces
    rows = _on(chosen, faces)
    inside = dice.happens(len(rows)).view(-1, 1, 1, 1).to(faces.device)
    part = faces[rows]
    where = torch.where(inside, masks[rows], 1 - masks[rows])
    return faces.index_put((rows,), part * (1 - where) + _recolored(part, dice) * where)


def _poor(faces: Faces, dice: _Dice) -> Faces:
    """Some pictures small, noisy, grey or badly compressed all over."""
    count, side = len(faces), faces.shape[-1]
    small = [side - int(u * 0.7 * side) for u in dice.uniform(count).tolist()]
    chosen = dice.happens(count, share=0.25)
    sizes = [s if yes else side for s, yes in zip(small, chosen.tolist(), strict=True)]
    matrices = [filters.down_up_bilinear(size, side) for size in sizes]
    faces = filters.spread(faces, _stacked(matrices, faces))
    noise = torch.randn(count, 3, side, side, generator=dice.generator).to(faces.device)
    strength = dice.uniform(count) * 0.08 * dice.happens(count, share=0.4)
    faces = faces + noise * strength.view(-1, 1, 1, 1).to(faces.device)
    grey = dice.happens(count, share=0.1).view(-1, 1, 1, 1).to(faces.device)
    faces = torch.where(grey, _grey(faces).expand_as(faces), faces).clamp(0, 1)
    chosen = dice.happens(count, share=0.3)
    rows = _on(chosen, faces)
    if not len(rows):
        return faces
    return faces.index_put((rows,), _compressed(faces[rows], dice))


def _blobs(dice: _Dice, count: int, side: int) -> Float[Tensor, "b 1 s s"]:
    """Soft-edged shapes: an ellipse or a bar, anywhere, at any angle."""
    uniform = dice.uniform(count, 6)
    line = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(line, line, indexing="ij")
    centre_x, centre_y = (0.15 + 0.7 * uniform[:, k].view(-1, 1, 1) for k in (0, 1))
    angle = uniform[:, 2].view(-1, 1, 1) * np.pi
    along = (x - centre_x) * torch.cos(angle) + (y - centre_y) * torch.sin(angle)
    across = (y - centre_y) * torch.cos(angle) - (x - centre_x) * torch.sin(angle)
    length = 0.08 + 0.45 * uniform[:, 3].view(-1, 1, 1)
    width = 0.03 + 0.17 * uniform[:, 4].view(-1, 1, 1)
    ellipse = (along / length) ** 2 + (across / width) ** 2
    bar = torch.maximum((along / length).abs(), (across / width).abs()) ** 2
    away = torch.where((uniform[:, 5] < 0.5).view(-1, 1, 1), ellipse, bar).sqrt()
    edge = side * width  # pixels from the centre to the edge
    return ((1 - away) * edge + 0.5).clamp(0, 1)[:, None]


def _odd(size: int) -> int:
    return size + 1 - size % 2


def _stacked(arrays: list[np.ndarray], like: Tensor) -> Tensor:
    return torch.from_numpy(np.stack(arrays)).to(like.device, like.dtype)
