"""The processes of one training run, as each of them sees it: what they add up and hand round.

Tensors in, the sum or the first one's out, the same in every process. The first process speaks to
the others over a wire; whatever is added up, all add up after the same word. Knows no loop.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Generic, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import Store, TCPStore
from torch.distributed.rendezvous import rendezvous

from understudy.processes import Place
from understudy.training.distributed.wire import FirstEnd, OtherEnd
from understudy.training.samples.batches import Share

ARRIVAL = timedelta(minutes=5)
"""How long processes wait for one another at the start."""

_PATIENCE = timedelta(minutes=10)  # the longest that one computes while the others wait
_BUCKET = 1 << 23  # numbers that travel at once
_KEY = "understudy/wire"
_BACKENDS = {"cuda": "nccl", "xpu": "xccl"}

EndT = TypeVar("EndT", bound=FirstEnd | OtherEnd)


def store_here(size: int) -> TCPStore:
    """Where `size` processes of this machine meet; its `port` is free and ours."""
    return TCPStore("127.0.0.1", 0, size, is_master=True, wait_for_workers=False, timeout=ARRIVAL)


def store_of_environment() -> Store:
    """Where the processes of a run meet, as the environment says."""
    found, _, _ = next(rendezvous("env://", timeout=ARRIVAL))
    store: Store = found
    return store


def first_end(place: Place, store: Store) -> FirstEnd:
    """The first process's end of the wire; the others learn from the store where it is."""
    wire = FirstEnd(place.size, everywhere=place.local_size < place.size)
    store.set(_KEY, json.dumps([wire.port, wire.token]))
    return wire


def other_end(place: Place, store: Store) -> OtherEnd:
    """A further process's end of the wire, as soon as the first one is there."""
    port, token = json.loads(store.get(_KEY))
    address = os.environ.get("MASTER_ADDR", "127.0.0.1")
    return OtherEnd((address, int(port)), token=str(token), rank=place.rank, size=place.size)


class Team(Generic[EndT]):
    """All processes of a run, once each knows its device and all have met."""

    def __init__(self, wire: EndT, store: Store, *, place: Place, device: torch.device) -> None:
        self.wire, self.place, self.device = wire, place, device
        self.rank, self.size = place.rank, place.size
        if device.type in _BACKENDS:
            getattr(torch, device.type).set_device(device)
        with self._told():
            dist.init_process_group(
                _BACKENDS.get(device.type, "gloo"),
                store=store,
                rank=place.rank,
                world_size=place.size,
                timeout=_PATIENCE,
            )
        self.share = Share(place.rank, place.size, self.add_up)

    def close(self) -> None:
        """Leave the others."""
        dist.destroy_process_group()

    def add_up(self, tensor: Tensor) -> None:
        """Replace a tensor by the sum of what all have."""
        with self._told():
            dist.all_reduce(tensor)

    @torch.no_grad()
    def hand_round(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace tensors, which all have under the same names, by those of the first process."""
        for name in sorted(tensors):
            tensor = tensors[name]
            row = tensor.to(self.device).contiguous()
            with self._told():
                dist.broadcast(row, src=0)
            if self.rank:
                tensor.copy_(row)

    @torch.no_grad()
    def sum_gradients(self, parts: Sequence[Mapping[str, Tensor]]) -> list[dict[str, Tensor]]:
        """Gradients of the whole batch, of those of its parts here and in the others."""
        summed: dict[str, Tensor] = {}
        for part in parts:
            for name, gradient in part.items():
                summed[name] = summed[name] + gradient if name in summed else gradient
        names = sorted(summed)  # threads may have found them in another order elsewhere
        rows, works = [], []
        for bucket in _buckets(names, summed):
            row = torch.cat([summed[name].float().reshape(-1) for name in bucket])
            with self._told():
                works.append(dist.all_reduce(row, async_op=True))
            rows.append((bucket, row))
        for work in works:
            with self._told():
                work.wait()
        for bucket, row in rows:
            pieces = torch.split(row, [summed[name].numel() for name in bucket])
            for name, piece in zip(bucket, pieces, strict=True):
                summed[name] = piece.view(summed[name].shape)
        return [summed]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A lost connection is told as what the wire knows of it."""
        try:
            yield
        except RuntimeError:  # torch's word for it, whatever happened
            self.wire.explain()
            raise


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
