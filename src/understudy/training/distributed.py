"""One training run in several processes: each takes an equal part of every batch.

Gradients are summed over the processes before the update, so that all hold the same weights and the
run is that of one process with the whole batch. Each process holds its own part of the faces. The
first one alone writes, measures, listens to the user and counts the time; the others hear from it
what it heard. The others are started here, one for each further device of this machine.
Knows no step.
"""

import json
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any  # JSON values

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import TCPStore

from understudy.errors import Cancelled, OptionError, StateError
from understudy.job import Command, Job
from understudy.training.batches import BatchSource, Share
from understudy.training.loop import Trainer
from understudy.training.mask_step import MaskLosses
from understudy.training.state import ModelFolder, TrainState
from understudy.training.step import StepLosses, TrainStep
from understudy.training.watch import Watch

_BUCKET = 1 << 23  # numbers that travel at once
_PATIENCE = timedelta(days=2)  # a pause is no failure
_ARRIVAL = timedelta(minutes=3)
_TELL_EVERY = 16  # iterations, on an accelerator


@dataclass(frozen=True, slots=True)
class Spot:
    """Place of a process among all: its number, how many there are, the port where they meet."""

    rank: int
    size: int
    port: int


class Team:
    """The processes of a run, as one of them sees it."""

    def __init__(self, spot: Spot, device: torch.device) -> None:
        self.rank, self.size = spot.rank, spot.size
        self._device = device
        if device.type in ("cuda", "xpu"):
            getattr(torch, device.type).set_device(device)
        backend = {"cuda": "nccl", "xpu": "xccl"}.get(device.type, "gloo")
        store = TCPStore(
            "127.0.0.1", spot.port, spot.size, is_master=spot.rank == 0, timeout=_ARRIVAL
        )
        dist.init_process_group(
            backend, store=store, rank=spot.rank, world_size=spot.size, timeout=_PATIENCE
        )

    def close(self) -> None:
        """Leave the others."""
        dist.destroy_process_group()

    def wait(self) -> None:
        """Until all have come here."""
        self.hear(None)
        self.mean(torch.zeros(1, device=self._device))

    def hear(self, word: Any) -> Any:
        """The JSON value that the first process says; what others say is not heard."""
        said = json.dumps(word).encode() if self.rank == 0 else b""
        length = torch.tensor([len(said)], device=self._device)
        dist.broadcast(length, src=0)
        text = torch.empty(int(length), dtype=torch.uint8, device=self._device)
        if self.rank == 0:
            text.copy_(torch.frombuffer(bytearray(said), dtype=torch.uint8))
        dist.broadcast(text, src=0)
        return json.loads(bytes(text.cpu().tolist()))

    def mean(self, values: Tensor) -> Tensor:
        """The mean of what all have."""
        values = values.float()
        dist.all_reduce(values)
        return values / self.size

    @torch.no_grad()
    def sum_gradients(self, parts: Sequence[Mapping[str, Tensor]]) -> list[dict[str, Tensor]]:
        """Gradients of the whole batch, of those of its parts here and in the others."""
        summed: dict[str, Tensor] = {}
        for part in parts:
            for name, gradient in part.items():
                summed[name] = summed[name] + gradient if name in summed else gradient
        names = sorted(summed)  # threads may have found them in another order elsewhere
        for bucket in _buckets(names, summed):
            row = torch.cat([summed[name].float().reshape(-1) for name in bucket])
            dist.all_reduce(row)
            pieces = torch.split(row, [summed[name].numel() for name in bucket])
            for name, piece in zip(bucket, pieces, strict=True):
                summed[name] = piece.view(summed[name].shape)
        return [summed]


def _buckets(names: Sequence[str], tensors: Mapping[str, Tensor]) -> Iterator[list[str]]:
    bucket: list[str] = []
    room = _BUCKET
    for name in names:
        if bucket and tensors[name].numel() > room:
            yield bucket
            bucket, room = [], _BUCKET
        bucket.append(name)
        room -= tensors[name].numel()
    if bucket:
        yield bucket


class _TeamJob(Job):
    """A job of which every process hears what the first one is told."""

    def __init__(self, job: Job, team: Team) -> None:
        self.__dict__.update(job.__dict__)
        self._team = team

    def commands(self) -> list[Command]:
        own = super().commands()
        if self._team.rank == 0:
            self._team.hear([[command.name, dict(command.values)] for command in own])
            return own
        return [Command(name, values) for name, values in self._team.hear(None)]

    def rest(self) -> bool:
        word = "go on"
        if self._team.rank == 0:
            try:
                word = "paused" if super().rest() else word
            except Cancelled:
                word = "cancelled"
        word = self._team.hear(word)
        if word == "cancelled":
            raise Cancelled
        return bool(word == "paused")


class _TeamWatch(Watch):
    """Measures of the first process, which has the faces kept aside."""

    def __init__(self, watch: Watch, team: Team) -> None:
        self.__dict__.update(watch.__dict__)
        self._team = team

    @property
    def can_measure(self) -> bool:
        return bool(self._team.hear(super().can_measure))

    def measure(self, source: BatchSource, averaged: Mapping[str, Tensor]) -> dict[str, float]:
        first = self._team.rank == 0
        heard: dict[str, float] = self._team.hear(
            super().measure(source, averaged) if first else None
        )
        return heard


class _ReadOnly(ModelFolder):
    """The model's folder for those who don't write; their previews are thrown away."""

    def __init__(self, folder: ModelFolder) -> None:
        super().__init__(folder.path, folder.config)
        self._thrown_away = tempfile.TemporaryDirectory()
        self.previews_dir = Path(self._thrown_away.name)

    def sweep(self) -> None:
        """Left to the first process."""

    def save(self, state: TrainState) -> Path:
        """Left to the first process."""
        return self.saves_dir

    def backup(self) -> Path:
        """Left to the first process."""
        return self.backups_dir


class TeamTrainer(Trainer):
    """The loop in one process of a team."""

    def __init__(self, folder: ModelFolder, *sides: Any, team: Team, job: Job, **rest: Any) -> None:
        # the arguments are the loop's own, whatever they are
        self._team = team
        self._share = Share(team.rank, team.size)
        size = rest["options"].batch_size
        if size % team.size:
            raise OptionError(
                "--batch-size",
                expected=f"a multiple of {team.size}, the number of processes",
                found=str(size),
                remedy=f"Give {size + team.size - size % team.size}, for example.",
            )
        own = folder if team.rank == 0 else _ReadOnly(folder)
        super().__init__(own, *sides, job=_TeamJob(job, team), **rest)

    def _make_step(self) -> TrainStep:
        step = super()._make_step()
        step.share_gradients(self._team.sum_gradients)
        return step

    def _means(self, losses: StepLosses | MaskLosses) -> Tensor:
        return self._team.mean(super()._means(losses))

    def _is_due(self) -> bool:
        return self._device.type == "cpu" or self.state.iteration % _TELL_EVERY == 0

    def _count_time(self) -> None:
        super()._count_time()
        self.state.seconds = self._team.hear(self.state.seconds)

    def _prepare(self) -> None:
        super()._prepare()
        self._watch = _TeamWatch(self._watch, self._team)


Member = Callable[[Spot, str], None]
"""What a further process does, given its spot and the name of its device; can be sent to it."""


@contextmanager
def others_started(devices: Sequence[str], member: Member) -> Iterator[Spot]:
    """Spot of this process, the first, while `member` runs in one more for each further device.

    Raises:
        StateError: one of them ended by a failure.
    """
    spot = Spot(0, len(devices), _free_port())
    context = get_context("spawn")
    others = [
        context.Process(target=member, args=(Spot(rank, spot.size, spot.port), device), daemon=True)
        for rank, device in enumerate(devices)
        if rank
    ]
    for other in others:
        other.start()
    try:
        yield spot
    except RuntimeError as error:  # torch's word for a lost connection, whatever lost it
        for other in others:
            other.join(5)
        _check_ended(others, error)
        raise
    finally:
        for other in others:
            other.join(20)
            if other.is_alive():
                other.terminate()


def _check_ended(others: Sequence[Any], error: RuntimeError) -> None:
    failed = [k for k, other in enumerate(others, start=1) if other.exitcode not in (None, 0)]
    if failed:
        raise StateError(
            f"process {failed[0] + 1} of {len(others) + 1}",
            expected="to train to the end",
            found=f"it ended with exit code {others[failed[0] - 1].exitcode}",
            remedy="See what it said above; the last save is kept, start again to go on.",
        ) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
