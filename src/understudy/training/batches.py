"""What the network is shown at an iteration: both banks, their decks and the draws, put together.

Banks and options in, batches out; the same iteration gives the same batch whatever came before.
Knows no network and no files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from understudy.models.amp import draw_channels
from understudy.models.config import ModelConfig
from understudy.training import augment
from understudy.training.augment import Draws, Ranges
from understudy.training.bank import Deck, SampleBank, shuffled_deck, uniform_yaw_deck
from understudy.training.color_match import COLOR_MATCHES
from understudy.training.options import TrainOptions, in_force
from understudy.training.pairing import Pairing
from understudy.training.step import Batch, SideBatch

_CHANNELS, _COLORS, _PAIRS = 2, 3, 4  # places of draws beside those of the two sides
_AHEAD = 4  # batches whose faces are fetched before they are needed


@dataclass(frozen=True, slots=True)
class Side:
    """Faces of one side: those trained on and those kept aside, as places in the bank."""

    bank: SampleBank
    trained: Int64[np.ndarray, " t"]
    held_out: Int64[np.ndarray, " h"]


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of every batch is made here.

    Of `of` equal parts, each from faces of its own, the one of `rank`; None makes them all, which
    is what the processes of a run over several see together.
    """

    rank: int | None = None
    of: int = 1

    @property
    def parts(self) -> range:
        """Numbers of the parts."""
        return range(self.of) if self.rank is None else range(self.rank, self.rank + 1)


WHOLE = Share()


class _Standing(NamedTuple):
    """Row of a batch whose input is a face of the other side, and how that one is moved."""

    row: int
    partner: int
    shifts: Float32[np.ndarray, "2 n n"]


class _Chosen(NamedTuple):
    """Faces of one draw by their places in the bank, and those that others stand in for."""

    places: Int64[np.ndarray, " b"]
    standing: Sequence[_Standing]

    @property
    def partners(self) -> Int64[np.ndarray, " k"]:
        """Places of those others in their own bank."""
        return np.array([one.partner for one in self.standing], np.int64)


class BatchSource:
    """Makes the batch of any iteration from seed and iteration alone.

    `attempt` counts roll-backs of an unhealthy run: it changes the draws, so that what broke the
    run does not come again. With a `share`, sides hold the faces of its parts only.
    """

    def __init__(
        self,
        src: Side,
        dst: Side,
        config: ModelConfig,
        options: TrainOptions,
        *,
        attempt: int = 0,
        share: Share = WHOLE,
    ) -> None:
        self._sides = (src, dst)
        self._options = options = in_force(options, config)
        self._config = config
        self._resolution = config.resolution
        self._attempt = attempt
        self._ranges = tuple(self._side_ranges(config, is_src=is_src) for is_src in (True, False))
        self._share = share
        self._part_size = options.batch_size // share.of
        start = share.parts[0] * self._part_size
        self._rows = slice(start, start + len(share.parts) * self._part_size)
        self._decks = tuple(self._parted(side, place) for place, side in enumerate(self._sides))
        self._colors = self._parted(dst, _COLORS)
        self._pairs = tuple(self._paired(place) for place in (0, 1))

    def batch(self, iteration: int) -> Batch:
        """The batch of an iteration; the first is 0."""
        number, again = self._fresh_number(iteration)
        src, dst = (self._side_batch(place, number, again=again) for place in (0, 1))
        return Batch(src, dst, self._channels(number))

    def unwarped(self, src: Int64[np.ndarray, " s"], dst: Int64[np.ndarray, " d"]) -> Batch:
        """The faces at these places of the banks as they are."""
        still_src, still_dst = (
            self._make(place, indices, augment.still(len(indices)))
            for place, indices in enumerate((src, dst))
        )
        return Batch(still_src, still_dst)

    def _channels(self, number: int) -> Tensor | None:
        """Which channels of each src face's code are its own, for models that mix codes."""
        config = self._config
        if config.kind != "AMP":
            return None
        generator = _generator(self._options.seed, self._attempt, _CHANNELS, number)
        channels = draw_channels(
            self._options.batch_size,
            num_in=config.inter_dims,
            share=config.morph_factor,
            generator=generator,
        )
        return channels[self._rows].to(self._sides[0].bank.device)

    def _fresh_number(self, iteration: int) -> tuple[int, bool]:
        """Number of the draw an iteration uses, and whether that draw was used before."""
        if not self._options.repeat_unwarped:
            return iteration, False
        repeats, place = divmod(iteration, self._options.repeat_unwarped + 1)
        return iteration - repeats, iteration > 0 and place == 0

    def _side_batch(self, place: int, number: int, *, again: bool) -> SideBatch:
        generator = _generator(self._options.seed, self._attempt, place, number)
        everyone = augment.draw(self._options.batch_size, self._ranges[place], generator=generator)
        draws, bank = _rows(everyone, self._rows), self._sides[place].bank
        chosen = self._choose(place, number)
        faces = bank.gather(chosen.places)
        if bank.is_paged:
            for ahead in range(1, _AHEAD + 1):
                later = self._choose(place, number + ahead)
                bank.expect(later.places)
                self._sides[1 - place].bank.expect(later.partners)
        if place == 0 and self._options.ct_mode != "none":
            faces = self._recolored(faces, number)
        made = side_batch(faces, draws, resolution=self._resolution)
        if again:
            return made._replace(warped=made.target)
        return self._with_partners(made, place, chosen, draws) if chosen.standing else made

    def _choose(self, place: int, number: int) -> _Chosen:
        """Faces of a draw; the first rows of each part are of those that have partners."""
        places = self._indices(self._decks[place], number)
        standing = []
        count = round(self._options.cross_pairs * self._part_size)
        for part, (pairing, deck) in enumerate(self._pairs[place]):
            for k in range(count):
                row, own = part * self._part_size + k, deck(number * count + k)
                partner = pairing.partner(own, number)
                places[row] = own
                standing.append(_Standing(row, partner, pairing.shifts(own, partner)))
        return _Chosen(places, standing)

    def _with_partners(
        self, made: SideBatch, place: int, chosen: _Chosen, draws: Draws
    ) -> SideBatch:
        """The batch with the faces of the other side as input of some rows."""
        rows = torch.tensor([one.row for one in chosen.standing])
        faces = self._sides[1 - place].bank.gather(chosen.partners)[:, :3]
        own = _rows(draws, rows).to(faces.device)
        grid = augment.warped_grid(own, self._resolution)
        shifts = torch.from_numpy(np.stack([one.shifts for one in chosen.standing])).to(
            faces.device
        )
        read = augment.read(faces, augment.shifted_grid(grid, shifts)).clamp_(0, 1)
        warped = made.warped.index_copy(0, rows.to(faces.device), read)
        return made._replace(warped=warped)

    def _indices(self, decks: Sequence[Deck], number: int) -> Int64[np.ndarray, " b"]:
        """Places in the bank of the faces of a draw."""
        size = self._part_size
        return np.array([deck(number * size + k) for deck in decks for k in range(size)], np.int64)

    def _make(self, place: int, indices: Int64[np.ndarray, " b"], draws: Draws) -> SideBatch:
        faces = self._sides[place].bank.gather(indices)
        return side_batch(faces, draws, resolution=self._resolution)

    def _recolored(self, faces: Tensor, number: int) -> Tensor:
        """Src planes in the colours of random dst faces, whole pictures in those of others."""
        others = self._sides[1].bank.gather(self._indices(self._colors, number))[:, :3]
        match, size = COLOR_MATCHES[self._options.ct_mode], self._part_size
        pictures = [
            match(
                faces[k * size : (k + 1) * size, :3],
                others[k * size : (k + 1) * size],
                _generator(*self._seed(_COLORS, part), number),
            )
            for k, part in enumerate(self._share.parts)
        ]
        return torch.cat([torch.cat(pictures), faces[:, 3:]], dim=1)

    def _side_ranges(self, config: ModelConfig, *, is_src: bool) -> Ranges:
        options = self._options
        strength = options.random_affine
        scale = (0.05 if config.kind in ("Quick96", "XSeg") else 0.15) * strength
        return Ranges(
            scale_up=scale,
            scale_down=scale,
            rotation_deg=10 * strength,
            shift=0.05 * strength,
            flip=options.random_src_flip if is_src else options.random_dst_flip,
            warp=options.random_warp,
            hsv_power=options.random_hsv_power if is_src else 0.0,
            parity=options.dfl_parity,
        )

    def _parted(self, side: Side, place: int) -> tuple[Deck, ...]:
        """The deck of each part that is made here."""
        step = len(self._share.parts)
        parts = enumerate(self._share.parts)
        return tuple(self._deck(side, place, side.trained[k::step], part) for k, part in parts)

    def _paired(self, place: int) -> list[tuple[Pairing, Deck]]:
        """For each part that is made here, the pairs of its faces and the order they come in."""
        if not self._options.cross_pairs:
            return []
        own, other = self._sides[place], self._sides[1 - place]
        step, pairs = len(self._share.parts), []
        for k, part in enumerate(self._share.parts):
            pairing = Pairing(
                own.bank.shapes,
                other.bank.shapes,
                own_places=own.trained[k::step],
                other_places=other.trained[k::step],
            )
            seed = (*self._seed(_PAIRS, part), place)
            pairs.append((pairing, shuffled_deck(pairing.places, seed=seed)))
        return pairs

    def _deck(self, side: Side, place: int, indices: Int64[np.ndarray, " n"], part: int) -> Deck:
        seed = self._seed(place, part)
        if self._options.uniform_yaw and place != _COLORS:
            return uniform_yaw_deck(indices, side.bank.yaw, seed=seed)
        return shuffled_deck(indices, seed=seed)

    def _seed(self, place: int, part: int) -> tuple[int, ...]:
        seed = (self._options.seed, self._attempt, place)
        return seed if self._share.of == 1 else (*seed, part)


def _rows(draws: Draws, rows: slice | Int64[Tensor, " k"]) -> Draws:
    """The draws of some of the faces."""
    return replace(
        draws,
        rotation_deg=draws.rotation_deg[rows],
        scale=draws.scale[rows],
        shift=draws.shift[rows],
        flip=draws.flip[rows],
        divisions=draws.divisions[rows],
        nodes=None if draws.nodes is None else draws.nodes[rows],
        hsv=None if draws.hsv is None else draws.hsv[rows],
    )


def side_batch(faces: Float[Tensor, "b c s s"], draws: Draws, *, resolution: int) -> SideBatch:
    """Bank planes read through the grids of `draws`: input, target, mask and maybe eyes-mouth.

    Draws with parity are read as the predecessor reads: cubic, and black beyond a warped picture.
    """
    mode = "bicubic" if draws.parity else "bilinear"
    draws = draws.to(faces.device)
    to_target = augment.target_grid(draws, resolution)
    target = augment.read(faces[:, :3], to_target, mode=mode).clamp_(0, 1)
    masks = augment.read(faces[:, 3:], to_target, border="zeros").clamp_(0, 1)
    warped = target
    if draws.nodes is not None:
        to_warped = augment.warped_grid(draws, resolution)
        border = "zeros" if draws.parity else "border"
        warped = augment.read(faces[:, :3], to_warped, mode=mode, border=border).clamp_(0, 1)
    if draws.hsv is not None:
        warped = augment.shift_hsv(warped, draws.hsv)
    eyes_mouth = _to_full_strength(masks[:, 1:2]) if masks.shape[1] > 1 else None
    return SideBatch(warped, target, masks[:, :1], eyes_mouth)


def _to_full_strength(masks: Tensor) -> Tensor:
    """Masks (b, 1, r, r) divided by their largest value where that is not zero."""
    largest = masks.amax((1, 2, 3), keepdim=True)
    return torch.where(largest > 0, masks / largest.clamp_min(1e-6), masks)


def _generator(*seed: int) -> torch.Generator:
    state = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)
