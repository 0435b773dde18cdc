"""What the network is shown at an iteration: both banks, their decks and the draws, put together.

Banks and options in, batches out; the same iteration gives the same batch whatever came before.
Knows no network and no files.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from understudy.models.amp import draw_channels
from understudy.models.config import ModelConfig
from understudy.models.devices import has_float64
from understudy.training.plan.options import TrainOptions, in_force
from understudy.training.samples import augment
from understudy.training.samples.augment import Draws, Ranges
from understudy.training.samples.bank import SampleBank
from understudy.training.samples.batch import Batch, SideBatch
from understudy.training.samples.color_match import COLOR_MATCHES
from understudy.training.samples.decks import Deck, shuffled_deck, uniform_yaw_deck
from understudy.training.samples.pairing import Pairing
from understudy.training.samples.seeds import generator_of

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
    """Which part of every batch is made here, of a run that several processes make together.

    Each holds some of the faces, and all send one another those that a batch asks for: `add_up`
    replaces a tensor by the sum of what all have. So a batch is the same for any number of
    processes, and each face is read once. The first one also holds those kept aside.
    """

    rank: int = 0
    of: int = 1
    add_up: Callable[[Tensor], None] | None = None

    def rows(self, count: int) -> slice:
        """Which of `count` faces of a batch are made here."""
        return slice(self.rank * count // self.of, (self.rank + 1) * count // self.of)

    def own(self, trained: Int64[np.ndarray, " t"], count: int) -> Bool[np.ndarray, " n"]:
        """Which of `count` faces, of which some are trained on, are sent from here."""
        mine = np.zeros(count, bool)
        mine[trained[self.rank :: self.of]] = True
        return mine


WHOLE = Share()


class _Standing(NamedTuple):
    """Row of a batch whose input is a face of the other side, instead of its own."""

    row: int
    own: int
    partner: int


class _Chosen(NamedTuple):
    """Faces of one draw by their places in the bank, and those that others stand in for."""

    places: Int64[np.ndarray, " b"]
    standing: Sequence[_Standing]

    @property
    def partners(self) -> Int64[np.ndarray, " k"]:
        """Places of those others in their own bank."""
        return np.array([one.partner for one in self.standing], np.int64)


class BatchSource:
    """Makes the batch of any iteration, or the share of it, from seed and iteration alone.

    `attempt` counts roll-backs of an unhealthy run: it changes the draws, so that what broke the
    run does not come again.
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
        self._rows = share.rows(options.batch_size)
        self._own = tuple(share.own(side.trained, len(side.bank)) for side in self._sides)
        self._decks = tuple(self._deck(side, place) for place, side in enumerate(self._sides))
        self._colors = shuffled_deck(dst.trained, seed=(options.seed, attempt, _COLORS))
        self._pairs = tuple(self._paired(place) for place in (0, 1))

    def batch(self, iteration: int) -> Batch:
        """The batch of an iteration; the first is 0."""
        number, _ = self._fresh_number(iteration)
        src, dst = (self.side(iteration, is_src=is_src) for is_src in (True, False))
        return Batch(src, dst, self._channels(number))

    def side(self, iteration: int, *, is_src: bool) -> SideBatch:
        """One side of the batch of an iteration."""
        number, again = self._fresh_number(iteration)
        return self._side_batch(0 if is_src else 1, number, again=again)

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
        generator = generator_of(self._options.seed, self._attempt, _CHANNELS, number)
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
        generator = generator_of(self._options.seed, self._attempt, place, number)
        everyone = augment.draw(self._options.batch_size, self._ranges[place], generator=generator)
        chosen = self._choose(place, number)
        faces = self._faces(place, chosen.places, self._rows)
        if self._sides[place].bank.is_paged:
            for ahead in range(1, _AHEAD + 1):
                later = self._choose(place, number + ahead)
                self._expect(place, later.places)
                self._expect(1 - place, later.partners)
        if place == 0 and self._options.ct_mode != "none":
            faces = self._recolored(faces, number)
        draws = _rows(everyone, self._rows)
        made = side_batch(faces, draws, resolution=self._resolution)
        if again:
            return made._replace(warped=made.target)
        return self._with_partners(made, place, chosen, everyone) if chosen.standing else made

    def _choose(self, place: int, number: int) -> _Chosen:
        """Faces of a draw; the first rows are of those that have partners."""
        places = self._indices(self._decks[place], number)
        pairs = self._pairs[place]
        if pairs is None:
            return _Chosen(places, ())
        (pairing, deck), standing = pairs, []
        count = round(self._options.cross_pairs * self._options.batch_size)
        for row in range(count):
            own = deck(number * count + row)
            partner = pairing.partner(own, number)
            places[row] = own
            standing.append(_Standing(row, own, partner))
        return _Chosen(places, standing)

    def _with_partners(
        self, made: SideBatch, place: int, chosen: _Chosen, everyone: Draws
    ) -> SideBatch:
        """The batch with the faces of the other side as input of some rows."""
        start, end = self._rows.start, self._rows.stop
        taken = [k for k, one in enumerate(chosen.standing) if start <= one.row < end]
        faces = self._faces(1 - place, chosen.partners, np.array(taken, np.int64))[:, :3]
        pairs = self._pairs[place]
        if pairs is None or not taken:
            return made
        here = [chosen.standing[k] for k in taken]
        rows = torch.tensor([one.row for one in here])
        grid = augment.warped_grid(_rows(everyone, rows).to(faces.device), self._resolution)
        stacked = np.stack([pairs[0].shifts(one.own, one.partner) for one in here])
        shifts = torch.from_numpy(stacked).to(faces.device)
        read = augment.read(faces, augment.shifted_grid(grid, shifts)).clamp_(0, 1)
        warped = made.warped.index_copy(0, (rows - start).to(faces.device), read)
        return made._replace(warped=warped)

    def _indices(self, deck: Deck, number: int) -> Int64[np.ndarray, " b"]:
        """Places in the bank of the faces of a draw, those of the whole batch."""
        size = self._options.batch_size
        return np.array([deck(number * size + k) for k in range(size)], np.int64)

    def _faces(
        self, place: int, indices: Int64[np.ndarray, " b"], taken: slice | Int64[np.ndarray, " k"]
    ) -> Tensor:
        """Planes of those that are `taken` of the faces at `indices` in a bank.

        Of several processes each asks for the same `indices`, and takes its own.
        """
        bank = self._sides[place].bank
        if self._share.add_up is None:
            return bank.gather(indices[taken])
        mine = self._own[place][indices]
        sent = bank.fetch(indices[mine])
        everyone = sent.new_zeros((len(indices), *sent.shape[1:]))
        everyone[torch.from_numpy(mine).to(sent.device)] = sent
        self._share.add_up(everyone)
        if not isinstance(taken, slice):
            return everyone[torch.from_numpy(taken).to(sent.device)].float().div_(255)
        return everyone[taken].float().div_(255)

    def _expect(self, place: int, indices: Int64[np.ndarray, " b"]) -> None:
        """Begin to fetch those of the faces that are sent from here."""
        self._sides[place].bank.expect(indices[self._own[place][indices]])

    def _make(self, place: int, indices: Int64[np.ndarray, " b"], draws: Draws) -> SideBatch:
        faces = self._sides[place].bank.gather(indices)
        return side_batch(faces, draws, resolution=self._resolution)

    def _recolored(self, faces: Tensor, number: int) -> Tensor:
        """Src planes in the colours of random dst faces, whole pictures in those of others."""
        others = self._faces(1, self._indices(self._colors, number), self._rows)[:, :3]
        device = faces.device
        if not has_float64(device):
            faces, others = faces.cpu(), others.cpu()
        seed = (self._options.seed, self._attempt, _COLORS, number)
        rows = range(self._options.batch_size)[self._rows]
        draws = [generator_of(*seed, row) for row in rows]
        pictures = COLOR_MATCHES[self._options.ct_mode](faces[:, :3], others, draws)
        return torch.cat([pictures, faces[:, 3:]], dim=1).to(device)

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

    def _paired(self, place: int) -> tuple[Pairing, Deck] | None:
        """The pairs of a side's faces and the order they come in; None without any."""
        if not self._options.cross_pairs:
            return None
        own, other = self._sides[place], self._sides[1 - place]
        pairing = Pairing(
            own.bank.shapes,
            other.bank.shapes,
            own_places=own.trained,
            other_places=other.trained,
        )
        seed = (self._options.seed, self._attempt, _PAIRS, place)
        return pairing, shuffled_deck(pairing.places, seed=seed)

    def _deck(self, side: Side, place: int) -> Deck:
        seed = (self._options.seed, self._attempt, place)
        if self._options.uniform_yaw:
            return uniform_yaw_deck(side.trained, side.bank.yaw, seed=seed)
        return shuffled_deck(side.trained, seed=seed)


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
