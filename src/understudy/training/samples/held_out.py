"""Which faces are kept aside, to measure by what was not trained on.

Names of frames in, places of faces out. Knows no pixels.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int64

from understudy.types import FaceSample

_RUN_LENGTH = 4  # faces held out in a row: neighbours on film are too alike to measure by


def split_held_out(
    order: Sequence[str], *, share: float, seed: int
) -> tuple[Int64[np.ndarray, " t"], Int64[np.ndarray, " h"]]:
    """Indices to train on and indices kept aside, both ascending.

    `order` holds what sorts the faces in time (names of their frames). Short runs of neighbours are
    taken, spread over the clip: a single frame between two trained ones measures nothing, a long
    run would leave a hole. Nothing is kept aside of 8 faces or fewer, never more than half.
    """
    count = len(order)
    everything = np.arange(count, dtype=np.int64)
    if share <= 0 or count <= 8:
        return everything, np.empty(0, np.int64)
    wanted = min(max(1, round(share * count)), count // 2)
    in_time = np.array(sorted(range(count), key=lambda i: (order[i], i)), np.int64)
    num_runs = -(-wanted // _RUN_LENGTH)
    generator = np.random.default_rng([seed, 0x4E1D])
    held: list[int] = []
    for run, part in enumerate(np.array_split(in_time, num_runs)):
        length = wanted * (run + 1) // num_runs - wanted * run // num_runs
        start = int(generator.integers(0, len(part) - length + 1))
        held.extend(int(i) for i in part[start : start + length])
    kept_aside = np.array(sorted(held), np.int64)
    return np.setdiff1d(everything, kept_aside), kept_aside


def names_in_time(faces: Iterable[FaceSample]) -> list[str]:
    """What sorts faces in time: the name of the frame each came from, else its own."""
    return [face.source_name or face.name or "" for face in faces]
