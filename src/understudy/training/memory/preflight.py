"""Looks at memory before training begins: what it will take, what there is, and what would fit.

A model's config, options and a device in; how many faces are computed at once, and how much memory
the faces of a side may take, out. What does not fit whole is computed in parts, and that is said;
what can't fit is refused, with settings that would. Then one batch is tried for real. Knows no
faces and no loop.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from understudy.errors import MemoryShortError
from understudy.models.devices import free_memory
from understudy.training.memory.footprint import AnyStep, Footprint, MakeStep, footprint
from understudy.training.memory.meter import Meter
from understudy.training.memory.ways import Way, smaller_models, ways_to_take_less
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.bank import usual_host_bytes
from understudy.training.state.model_folder import ModelFolder
from understudy.training.step.lodging import HOST

Say = Callable[[str], None]

_USABLE = 0.95  # of what is free: others want some too
_MUCH_LESS = 0.85  # of what did not fit
_SIDES = 2
_NAMED_MAX = 3  # ways to take less
_ANYWAY = "--no-memory-check tries anyway."


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that the faces of a side may take on the device and on the host; None = as usual."""

    device_bytes: int | None = None
    host_bytes: int | None = None


class Preflight:
    """Memory of one run. `processes` of one machine share what its host has.

    What is free is asked when this is made, before any network is. Where the options turn the check
    off, nothing is found out and nothing said.
    """

    def __init__(
        self,
        folder: ModelFolder,
        device: torch.device,
        *,
        make: MakeStep,
        say: Say,
        processes: int = 1,
    ) -> None:
        self._config, self._device, self._make, self._say = folder.config, device, make, say
        self._processes, self._is_new = processes, not folder.has_save
        self._free = {place.type: _usable(place, processes) for place in (HOST, device)}
        self._known: dict[tuple[Way, int], Footprint] = {}
        self._told: set[str] = set()
        self._most: int | None = None

    def plan(self, phases: Sequence[tuple[str, TrainOptions]]) -> Room:
        """What faces may take beside all of these phases of a run, each with its options.

        Raises:
            MemoryShortError: the host has no memory for one of them, however it is computed.
        """
        first = phases[0][1]
        wanted = int(1e9 * first.faces_memory) or usual_host_bytes()
        if not first.memory_check:
            return Room(host_bytes=wanted)
        needed = [
            self._of(self._way(options), self._choose(options, f"phase {name}: " if name else ""))
            for name, options in phases
        ]
        self._say_needed(max(needed, key=_all))
        left = {
            place: None if free is None else max(0, free - max(n.at(place) for n in needed))
            for place, free in self._free.items()
        }
        there, here = (left.get(place) for place in (self._accelerator, HOST.type))
        host_bytes = wanted if here is None else min(wanted, here // _SIDES)
        return Room(None if there is None else there // _SIDES, host_bytes)

    def fit(self, step: AnyStep, options: TrainOptions) -> None:
        """Let `step` compute as many faces at once as fit; try a batch, which changes nothing.

        Raises:
            MemoryShortError: not even one face of each side fits.
        """
        if not options.memory_check:
            return
        limits = (step.portions.at_once, self._choose(options, ""), self._most)
        step.portions.at_once = min(limit for limit in limits if limit is not None)
        meter = Meter(self._device)
        step.rehearse(self._size(options))
        taken = meter.taken()
        if taken is not None:
            needed = self._of(self._way(options), step.portions.at_once)
            place = self._accelerator or HOST.type
            measured = needed.at(place) - needed.iteration + taken
            self._say_once(f"memory: {_told(measured)} measured by a batch that was tried")

    def remember(self, step: AnyStep) -> None:
        """What a step had to learn of memory, for those that come after it in the run."""
        if step.portions.was_short:
            self._most = step.portions.at_once

    def advised(self, error: MemoryShortError, options: TrainOptions) -> MemoryShortError:
        """The error of a run that found too little memory, with settings that would fit.

        What was taken to be free was not: only what takes a good deal less is named.
        """
        if not options.memory_check:
            return error  # there is no memory left to find out in
        place = self._accelerator or HOST.type
        taken = self._of(self._way(options), min(self._most or 1, self._whole(options))).at(place)
        free = self._free[place]
        self._free[place] = int(_MUCH_LESS * min(taken, taken if free is None else free))
        return self._with_ways(error, options)

    def _with_ways(self, error: MemoryShortError, options: TrainOptions) -> MemoryShortError:
        ways = self._ways_that_fit(options)
        remedy = f"What would fit: {'; '.join(ways)}." if ways else error.remedy
        return MemoryShortError(
            error.thing, expected=error.expected, found=error.found, remedy=remedy
        )

    @property
    def _accelerator(self) -> str:
        """Kind of the device; empty if it is the processor."""
        return "" if self._device.type == HOST.type else self._device.type

    def _choose(self, options: TrainOptions, phase: str) -> int:
        """How many faces of each side to compute at once."""
        way, whole = self._way(options), self._whole(options)
        for at_once in _halved(whole):
            if self._fits(self._of(way, at_once)):
                if at_once < whole:
                    self._say_parts(options, phase, at_once)
                return at_once
        least = min(_halved(whole), key=lambda k: _all(self._of(way, k)))
        needed = self._of(way, least).at(HOST.type)
        free = self._free[HOST.type]
        if free is None or needed <= free:
            return least  # what an accelerator really has is known once it is tried
        error = MemoryShortError(
            f"{phase}memory of the host",
            expected=f"about {_told(needed)} for training, with the least that is computed at once",
            found=f"{_told(free)} that it may take",
            remedy="Free memory, or take a smaller model.",
        )
        told = self._with_ways(error, options)
        raise MemoryShortError(
            told.thing, expected=told.expected, found=told.found, remedy=f"{told.remedy} {_ANYWAY}"
        )

    def _ways_that_fit(self, options: TrainOptions) -> list[str]:
        """Words of a few ways that would fit."""
        named: list[str] = []
        for way in ways_to_take_less(self._way(options)):
            named += self._words_if_fits(way)
            if len(named) == _NAMED_MAX:
                return named
        words = "--resolution" if self._is_new else "a new model with --resolution"
        models = smaller_models(self._way(options), words=words)
        # the first that fits: what is smaller takes less
        place = bisect_left(models, True, key=lambda way: bool(self._words_if_fits(way)))
        return named + (self._words_if_fits(models[place]) if place < len(models) else [])

    def _words_if_fits(self, way: Way) -> list[str]:
        """Words that ask for a way, and for as few parts as it fits in; none if it does not."""
        size, whole = self._size(way.options), self._whole(way.options)
        if self._fits(self._of(way, whole)):
            return [way.told]
        if whole == 1 or not self._fits(self._of(way, 1)):
            return []
        at_once = next(k for k in _halved(whole) if self._fits(self._of(way, k)))
        return [f"{way.told} --accumulate {-(-size // at_once)}"]

    def _say_parts(self, options: TrainOptions, phase: str, at_once: int) -> None:
        """That batches are computed in parts, and which settings would let them stay whole."""
        way, size = self._way(options), self._size(options)
        whole = self._of(way, self._whole(options))
        would = [f"--batch-size {k}" for k in [self._largest_whole(way, at_once)] if k]
        other = way.but("--no-models-opt-on-gpu", models_opt_on_gpu=False)
        if self._accelerator and options.models_opt_on_gpu and self._fits(self._of(other, size)):
            would.append(other.told)
        self._say_once(
            f"{phase}batches of {size} take about {self._against(whole)}: they are computed in "
            f"{-(-size // at_once)} parts, with the same result"
            + (f"; whole ones would fit with {' or '.join(would)}" if would else "")
        )

    def _largest_whole(self, way: Way, at_once: int) -> int:
        """The largest batch that fits whole; 0 if none does."""
        low, high = 0, self._whole(way.options)
        while high - low > 1:
            middle = (low + high) // 2
            smaller = way.but("", batch_size=middle * self._processes)
            fits = self._fits(self._of(smaller, middle))
            low, high = (middle, high) if fits else (low, middle)
        return low * self._processes

    def _say_needed(self, needed: Footprint) -> None:
        told = f"memory: training takes about {self._against(needed)}"
        if self._accelerator and needed.host:
            told += f", and {_told(needed.at(HOST.type))} of the host"
        self._say_once(told)

    def _against(self, needed: Footprint) -> str:
        """What is needed where networks compute, and what is free there."""
        place = self._accelerator or HOST.type
        free = self._free[place]
        name = str(self._device) if self._accelerator else "the host"
        if free is None:
            return f"{_told(needed.at(place))} of {name}"
        return f"{_told(needed.at(place))} of the {_told(free)} that {name} can spare"

    def _say_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._say(text)

    def _fits(self, needed: Footprint) -> bool:
        return all(free is None or needed.at(p) <= free for p, free in self._free.items())

    def _way(self, options: TrainOptions) -> Way:
        return Way(self._config, options, self._device)

    def _size(self, options: TrainOptions) -> int:
        """Faces of each side in a batch, of those that this process computes."""
        return -(-options.batch_size // self._processes)

    def _whole(self, options: TrainOptions) -> int:
        return -(-self._size(options) // options.accumulate)

    def _of(self, way: Way, at_once: int) -> Footprint:
        size = self._size(way.options)
        key = (Way(way.config, _what_counts(way.options), way.device), at_once)
        if key not in self._known:
            options = way.options.model_copy(update={"batch_size": size})
            self._known[key] = footprint(
                way.config, options, way.device, make=self._make, at_once=at_once
            )
        return self._known[key]


def _what_counts(options: TrainOptions) -> TrainOptions:
    """The options with those that take no memory at their defaults."""
    kept = {name: getattr(options, name) for name in _COUNT}
    return TrainOptions.model_construct(**kept)


_COUNT = (
    *("batch_size", "accumulate", "adabelief", "ema", "random_warp", "masked_training"),
    *("eyes_mouth_prio", "blur_out_mask", "face_style_power", "bg_style_power", "true_face_power"),
    *("gan_power", "gan_patch_size", "gan_dims", "pretrain", "precision", "models_opt_on_gpu"),
    "dfl_parity",
)


def _halved(count: int) -> Iterator[int]:
    """The count, and halves of it down to 1."""
    while count > 1:
        yield count
        count = -(-count // 2)
    yield 1


def _usable(place: torch.device, processes: int) -> int | None:
    free = free_memory(place)
    shared = processes if place.type == HOST.type else 1
    return None if free is None else int(_USABLE * free / shared)


def _all(needed: Footprint) -> int:
    return sum(needed.device.values()) + sum(needed.host.values())


def _told(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
