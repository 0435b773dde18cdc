"""Faces of one side that do not fit in memory: made when first asked for, then kept in a file.

A function that makes the planes of a face in; planes of any faces out, the next ones fetched ahead
by threads. The file has no name: it is gone with the process, however that ends. Reading a face
from it costs a copy, making one anew a decoded JPEG and a resize, twenty times as much; nothing is
made before it is needed, so that training starts at once. Knows no pictures and no network.
"""

import shutil
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import overload

import numpy as np
from jaxtyping import Int64, UInt8

from understudy.errors import UnderstudyError
from understudy.types import FaceSample

_DISK_SHARE = 0.5  # of the free disk that such a file may take
_AHEAD_MAX = 512  # faces fetched and not yet asked for

Planes = UInt8[np.ndarray, "c s s"]


class PagedPlanes:
    """Planes of `count` faces, (channels, size, size) each, that `make` gives for a place."""

    def __init__(
        self,
        make: Callable[[int], Planes],
        *,
        count: int,
        channels: int,
        size: int,
        folder: Path | None,
        workers: int,
    ) -> None:
        self._make, self._shape = make, (channels, size, size)
        self._bytes = channels * size * size
        room = shutil.disk_usage(folder or tempfile.gettempdir()).free * _DISK_SHARE
        self.keeps = count * self._bytes <= room
        """Whether a face is made only once; else the disk has no room for them."""
        self._file = tempfile.TemporaryFile(dir=folder) if self.keeps else None
        if self._file is not None:
            weakref.finalize(self, self._file.close)
        self._kept = np.zeros(count, bool)
        self._lock = Lock()
        self._coming: OrderedDict[int, Future[Planes]] = OrderedDict()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="bank")

    def expect(self, indices: Int64[np.ndarray, " n"]) -> None:
        """Begin to fetch the faces at `indices`, which will be asked for soon."""
        self._begin(indices)
        while len(self._coming) > _AHEAD_MAX:  # they never were asked for
            self._coming.popitem(last=False)[1].cancel()

    def gather(self, indices: Int64[np.ndarray, " n"]) -> UInt8[np.ndarray, "n c s s"]:
        """The planes of the faces at `indices`."""
        self._begin(indices)
        found = {index: self._coming.pop(index) for index in dict.fromkeys(map(int, indices))}
        gathered = np.empty((len(indices), *self._shape), np.uint8)
        for place, index in enumerate(map(int, indices)):
            gathered[place] = found[index].result()
        return gathered

    def _begin(self, indices: Int64[np.ndarray, " n"]) -> None:
        for index in map(int, indices):
            if index not in self._coming:
                self._coming[index] = self._pool.submit(self._fetch, index)

    def _fetch(self, index: int) -> Planes:
        if self._kept[index]:
            return self._read(index)
        planes = self._make(index)
        if self._file is not None:
            with self._lock:
                self._file.seek(index * self._bytes)
                self._file.write(planes.tobytes())
                self._file.flush()
                self._kept[index] = True
        return planes

    def _read(self, index: int) -> Planes:
        if self._file is None:
            raise ValueError("no face was kept")
        planes = np.empty(self._shape, np.uint8)
        with self._lock:
            self._file.seek(index * self._bytes)
            self._file.readinto(planes.data)
        return planes


class FaceList(Sequence[FaceSample]):
    """Faces of which only what sorts and selects them is in memory.

    Going through them gives that; one asked for by its place is read anew, with mask and all.
    """

    def __init__(
        self, faces: Sequence[FaceSample], *, refuse: Callable[[str, str], None] | None = None
    ) -> None:
        self._faces = faces
        self._places: list[int] = []
        self._known: list[FaceSample] = []
        for place in range(len(faces)):
            try:
                face = faces[place]
            except UnderstudyError as error:
                if refuse is None:
                    raise
                refuse(_name(faces, place), str(error))
                continue
            self._places.append(place)
            self._known.append(_light(face))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> FaceSample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[FaceSample]: ...
    def __getitem__(self, index: int | slice) -> FaceSample | Sequence[FaceSample]:
        if isinstance(index, slice):
            return [self._faces[place] for place in self._places[index]]
        return self._faces[self._places[index]]

    def __iter__(self) -> Iterator[FaceSample]:
        return iter(self._known)


def _light(face: FaceSample) -> FaceSample:
    """The face without what takes memory."""
    return replace(
        face, mask=None, polygons=(), source_landmarks=None, frame_to_face=None, extra={}
    )


def _name(faces: Sequence[FaceSample], place: int) -> str:
    names: Sequence[str] = getattr(faces, "names", ())
    return names[place] if place < len(names) else f"face {place + 1}"


def nearest(place: int, count: int) -> Iterable[int]:
    """`place` and then all others, in the order in which they stand in for it."""
    return ((place + step) % count for step in range(count))
