"""Which faces of the frames around are the same one, and what was predicted of them.

Landmarks of a clip and its cuts in, the faces that count for each face out. Within a shot a face
goes on in the next frame as the nearest one there; where it is lost, nothing beyond counts.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from understudy.merging.settings import MergeSettings
from understudy.types import Landmarks

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kin:
    """A face that is the same one in another frame: its frame's place, its number there."""

    place: int
    face: int
    apart: int


def reach_of(settings: MergeSettings) -> int:
    """How many frames to either side count."""
    if settings.dfl_parity or settings.mode == "original":
        return 0
    return max(settings.temporal, settings.smooth_mask)


def kin_of(
    place: int, each: Sequence[Sequence[Landmarks]], *, reach: int, shot: tuple[int, int]
) -> list[list[Kin]]:
    """For each face of the frame at `place` the same one in the frames of its `shot` around."""
    return [
        [
            *_followed(place, face, each, -1, reach, shot),
            *_followed(place, face, each, 1, reach, shot),
        ]
        for face in range(len(each[place]))
    ]


def _followed(
    place: int,
    face: int,
    each: Sequence[Sequence[Landmarks]],
    step: int,
    reach: int,
    shot: tuple[int, int],
) -> list[Kin]:
    from understudy.merging.motion import nearest_face

    kin = []
    for apart in range(1, reach + 1):
        at = place + step * apart
        if not shot[0] <= at < shot[1]:
            break
        here = each[at]
        found = nearest_face(each[at - step][face], here)
        if found is None:
            break
        face = next(number for number, one in enumerate(here) if one is found)
        kin.append(Kin(at, face, apart))
    return kin


def shots_of(count: int, cuts: Sequence[int]) -> list[tuple[int, int]]:
    """First and end place of the shot of each of `count` frames."""
    starts = sorted({0, *(cut for cut in cuts if 0 < cut < count)})
    shots = []
    for start, end in zip(starts, [*starts[1:], count], strict=True):
        shots += [(start, end)] * (end - start)
    return shots


class Seen(Generic[K, T]):
    """The last values made, each made once however many threads ask; the oldest go."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._values: OrderedDict[K, Future[T]] = OrderedDict()

    def get(self, key: K, make: Callable[[], T]) -> T:
        """The value of `key`, by `make` if nobody has made it; an error is whoever asks's."""
        with self._lock:
            future = self._values.get(key)
            mine = future is None
            if future is None:
                future = self._values[key] = Future()
                while len(self._values) > self._size:
                    self._values.popitem(last=False)
            else:
                self._values.move_to_end(key)
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:  # those who wait for it must hear, whatever it is
                future.set_exception(error)
                raise
        return future.result()
