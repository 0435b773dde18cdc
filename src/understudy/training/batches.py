"""What the network is shown at an iteration: both banks, their decks and the draws, put together.

Banks and options in, batches out; the same iteration gives the same batch whatever came before.
Knows no network and no files.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from understudy.models.amp import draw_channels
from understudy.models.config import ModelConfig
from understudy.training import augment
from understudy.training.augment import Draws, Ranges
from understudy.training.bank import Deck, SampleBank, shuffled_deck, uniform_yaw_deck
from understudy.training.color_match import COLOR_MATCHES
from understudy.training.options import TrainOptions, in_force
from understudy.training.step import Batch, SideBatch

_CHANNELS, _COLORS = 2, 3  # places of draws beside those of the two sides


@dataclass(frozen=True, slots=True)
class Side:
    """Faces of one side: those trained on and those kept aside, as places in the bank."""

    bank: SampleBank
    trained: Int64[np.ndarray, " t"]
    held_out: Int64[np.ndarray, " h"]


class BatchSource:
    """Makes the batch of any iteration from seed and iteration alone.

    `attempt` counts roll-backs of an unhealthy run: it changes the draws, so that what broke the
    run does not come again.
    """

    def __init__(
        self, src: Side, dst: Side, config: ModelConfig, options: TrainOptions, *, attempt: int = 0
    ) -> None:
        self._sides = (src, dst)
        self._options = options = in_force(options, config)
        self._config = config
        self._resolution = config.resolution
        self._attempt = attempt
        self._ranges = tuple(self._side_ranges(config, is_src=is_src) for is_src in (True, False))
        self._decks = tuple(self._deck(side, place) for place, side in enumerate(self._sides))
        self._colors = shuffled_deck(dst.trained, seed=(options.seed, attempt, _COLORS))

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
        return channels.to(self._sides[0].bank.device)

    def _fresh_number(self, iteration: int) -> tuple[int, bool]:
        """Number of the draw an iteration uses, and whether that draw was used before."""
        if not self._options.repeat_unwarped:
            return iteration, False
        repeats, place = divmod(iteration, self._options.repeat_unwarped + 1)
        return iteration - repeats, iteration > 0 and place == 0

    def _side_batch(self, place: int, number: int, *, again: bool) -> SideBatch:
        count = self._options.batch_size
        deck = self._decks[place]
        indices = np.array([deck(number * count + k) for k in range(count)], np.int64)
        generator = _generator(self._options.seed, self._attempt, place, number)
        draws = augment.draw(count, self._ranges[place], generator=generator)
        faces = self._sides[place].bank.gather(indices)
        if place == 0 and self._options.ct_mode != "none":
            faces = self._recolored(faces, number)
        made = side_batch(faces, draws, resolution=self._resolution)
        return made._replace(warped=made.target) if again else made

    def _make(self, place: int, indices: Int64[np.ndarray, " b"], draws: Draws) -> SideBatch:
        faces = self._sides[place].bank.gather(indices)
        return side_batch(faces, draws, resolution=self._resolution)

    def _recolored(self, faces: Tensor, number: int) -> Tensor:
        """Src planes in the colours of random dst faces, whole pictures in those of others."""
        count = len(faces)
        indices = np.array([self._colors(number * count + k) for k in range(count)], np.int64)
        others = self._sides[1].bank.gather(indices)[:, :3]
        generator = _generator(self._options.seed, self._attempt, _COLORS, number)
        pictures = COLOR_MATCHES[self._options.ct_mode](faces[:, :3], others, generator)
        return torch.cat([pictures, faces[:, 3:]], dim=1)

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

    def _deck(self, side: Side, place: int) -> Deck:
        seed = (self._options.seed, self._attempt, place)
        if self._options.uniform_yaw:
            return uniform_yaw_deck(side.trained, side.bank.yaw, seed=seed)
        return shuffled_deck(side.trained, seed=seed)


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
