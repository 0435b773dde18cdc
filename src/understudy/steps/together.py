"""The processes of one step: who starts them, on which devices, and how they meet.

With `--devices 0,1` the step starts the further ones itself, on this machine; under the user's own
`torchrun`, on one machine or several, they are there already. Either way a further process runs the
same step with the same options, and finds by its environment that it is one.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from understudy.errors import OptionError, StateError
from understudy.job import Job
from understudy.options import Options
from understudy.processes import Place, own_place

if TYPE_CHECKING:  # names and options of steps are shown without torch
    import torch
    from torch._C._distributed_c10d import Store

    from understudy.training.distributed.team import Team
    from understudy.training.distributed.wire import FirstEnd, OtherEnd

_LEAVE_SECONDS = 20.0
_LOOPBACK = ("lo", "lo0")
_KILLED = 9
_TOGETHER = ("train", "bench")


def check_may_run_together(name: str) -> None:
    """Nothing, if step `name` is one that several processes can do.

    Raises:
        OptionError: it is not.
    """
    if name not in _TOGETHER:
        raise OptionError(
            "torchrun",
            expected=f"a step that several processes do: {' or '.join(_TOGETHER)}",
            found=name,
            remedy=f"Start it without torchrun: understudy {name} ...",
        )


class Meeting(NamedTuple):
    """Where the processes that torchrun started meet, of which this is the first."""

    place: Place
    store: "Store"
    wire: "FirstEnd"


@contextmanager
def called_together() -> Iterator[Meeting | None]:
    """The meeting of processes that torchrun started; None if it did not.

    They are told when it is over, whether or not there was something to do.
    """
    place = own_place()
    if place is None:
        yield None
        return
    from understudy.training.distributed.team import ARRIVAL, first_end, store_of_environment

    store = store_of_environment()
    wire = first_end(place, store)
    try:
        yield Meeting(place, store, wire)
        if not wire.is_gathered:
            wire.gather(seconds=ARRIVAL.total_seconds(), check=lambda: None)
    finally:
        wire.end()


@contextmanager
def team_of(
    meeting: Meeting | None, name: str, options: Options, devices: str, *, device: str, job: Job
) -> Iterator["Team[FirstEnd] | None"]:
    """All processes of step `name`, met; None if this is the only one.

    Raises:
        OptionError: there are no such devices.
        StateError: a process did not come.
    """
    place, use = first_of(meeting, devices, device)
    if meeting is not None:
        with _met(meeting, use, job, job.check) as team:
            yield team
        return
    if place.size < 2:
        yield None
        return
    from understudy.training.distributed.team import first_end, store_here

    store = store_here(place.size)
    with _others_started(place, name, options, port=store.port) as others:
        wire = first_end(place, store)
        wire.how_ended = others.how_ended

        def check() -> None:
            job.check()
            others.check()

        with _met(Meeting(place, store, wire), use, job, check) as team:
            yield team


def first_of(meeting: Meeting | None, devices: str, device: str) -> tuple[Place, "torch.device"]:
    """Place and device of the first process, of a meeting or of those to be started.

    Raises:
        OptionError: there are no such devices.
    """
    from understudy.models.devices import devices_of

    if meeting is not None:
        return meeting.place, own_device(devices, device, meeting.place)
    count = len(devices_of(devices)) if devices else 1
    place = Place(0, count, 0, count)
    return place, own_device(devices, device, place)


@contextmanager
def joined(devices: str, job: Job) -> Iterator["Team[OtherEnd] | None"]:
    """The team, in a further process of it; None if there is nothing to do.

    Raises:
        OptionError: this machine has no such device.
        StateError: the first process is lost.
    """
    from understudy.training.distributed.processes import failures_told
    from understudy.training.distributed.team import Team, other_end, store_of_environment
    from understudy.training.distributed.wire import Over

    place = own_place()
    if place is None:
        raise ValueError("this process is the only one")
    store = store_of_environment()
    wire = other_end(place, store)
    try:
        with failures_told(wire):
            try:
                kind = str(wire.hear(job.check)["kind"])
            except Over:
                yield None
                return
            device = own_device(devices, kind, place)
            if device.type != kind:
                raise OptionError(
                    "--devices",
                    expected=f"{kind}, as the first process trains on",
                    found=str(device),
                    remedy="Train on devices of one kind.",
                )
            team = Team(wire, store, place=place, device=device)
            try:
                yield team
            finally:
                team.close()
    finally:
        wire.end()


def own_device(devices: str, device: str, place: Place) -> "torch.device":
    """The device of the process at a place: the one at its number in the row, or of its kind.

    Raises:
        OptionError: there are too few.
    """
    import torch

    from understudy.models.devices import choose_device, devices_of

    if devices:
        names = devices_of(devices)
        if len(names) < place.local_size:
            raise OptionError(
                "--devices",
                expected=f"one for each of the {place.local_size} processes of this machine",
                found=repr(devices),
                remedy="Name as many devices as torchrun starts processes, or none.",
            )
        return torch.device(names[place.local_rank])
    chosen = choose_device(device)
    if chosen.type in ("cuda", "xpu") and chosen.index is None:
        return choose_device(f"{chosen.type}:{place.local_rank}")
    return chosen


def share_out_threads(threads: int, place: Place | None) -> None:
    """Let each process of this machine compute on its part of the cores, or on `threads`."""
    from understudy.models.devices import all_threads, default_threads

    num_processes = 1 if place is None else place.local_size
    all_threads(threads or max(1, default_threads() // num_processes))


@contextmanager
def _met(
    meeting: Meeting, device: "torch.device", job: Job, check: Callable[[], None]
) -> Iterator["Team[FirstEnd]"]:
    """The team, once all have come; they are told when it is over."""
    from understudy.training.distributed.team import ARRIVAL, Team

    wire = meeting.wire

    def tell(error: StateError) -> None:
        job.message(str(error))
        job.failed(error)

    wire.on_stuck = tell
    try:
        wire.gather(seconds=ARRIVAL.total_seconds(), check=check)
        wire.say({"do": "join", "kind": device.type})
        team = Team(wire, meeting.store, place=meeting.place, device=device)
        try:
            yield team
        finally:
            wire.end()
            team.close()
    finally:
        wire.end()


class _Others:
    """Processes started here."""

    def __init__(self, processes: Mapping[int, "subprocess.Popen[str]"]) -> None:
        self._processes = processes

    def how_ended(self, rank: int) -> str:
        """What its exit code tells, in words that follow "it ended"."""
        try:
            code = self._processes[rank].wait(2.0)
        except subprocess.TimeoutExpired:
            return ""
        if code >= 0:
            return f" with exit code {code}"
        often = ", as the system does where memory runs out" if code == -_KILLED else ""
        return f" by signal {-code}{often}"

    def check(self) -> None:
        """Nothing, while all are there.

        Raises:
            StateError: one has ended.
        """
        for rank, process in self._processes.items():
            if process.poll() is not None:
                raise StateError(
                    f"process {rank + 1} of {len(self._processes) + 1}",
                    expected="to begin",
                    found=f"it ended{self.how_ended(rank)}",
                    remedy="See what it said above.",
                )

    def leave(self) -> None:
        """Wait until all have left; those who do not are ended."""
        for process in self._processes.values():
            try:
                process.wait(_LEAVE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _others_started(place: Place, name: str, options: Options, *, port: int) -> Iterator[_Others]:
    """The further processes of step `name`, started on this machine with the same options."""
    inside = [lo for _, lo in socket.if_nameindex() if lo in _LOOPBACK]
    if inside:  # whatever becomes of the machine's networks meanwhile
        os.environ.setdefault("GLOO_SOCKET_IFNAME", inside[0])
    told = json.dumps({"step": name, "options": options.model_dump(mode="json")})
    started: dict[int, subprocess.Popen[str]] = {}
    others = _Others(started)
    try:
        for rank in range(1, place.size):
            other = Place(rank, place.size, rank, place.size)
            process = started[rank] = subprocess.Popen(
                [sys.executable, "-m", "understudy.steps.member"],
                env=os.environ | other.environment("127.0.0.1", port),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
            )
            if process.stdin is not None:
                process.stdin.write(told)
                process.stdin.close()
        yield others
    finally:
        others.leave()
