"""Which face comes next: endless random orders, each a function of seed and place alone.

Places of faces in; the place that the k-th draw takes out. A resumed run goes on exactly as the
unbroken one. Knows no pictures.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float64, Int64

Deck = Callable[[int], int]
"""Which face the k-th draw takes."""


def shuffled_deck(indices: Int64[np.ndarray, " n"], *, seed: Sequence[int]) -> Deck:
    """Deck that goes through all `indices` in a new random order each time."""
    orders = _Orders(len(indices), seed)

    def take(draw: int) -> int:
        return int(indices[orders.position(draw)])

    return take


def uniform_yaw_deck(
    indices: Int64[np.ndarray, " n"], yaw: Float64[np.ndarray, " m"], *, seed: Sequence[int]
) -> Deck:
    """Deck that shows all head angles equally often.

    127 bins between -1.2 and 1.2 radians; each round visits every bin that has faces once, in a new
    order, and each bin goes through its own faces without repeats. Source: reference section 13.5.
    """
    edges = np.linspace(-1.2, 1.2, 128)
    slot = np.clip(np.digitize(-yaw[indices], edges) - 1, 0, 127)
    bins = [indices[slot == k] for k in np.unique(slot)]
    rounds = _Orders(len(bins), [*seed, 0])
    inside = [_Orders(len(members), [*seed, 1, k]) for k, members in enumerate(bins)]

    def take(draw: int) -> int:
        chosen = rounds.position(draw)
        return int(bins[chosen][inside[chosen].position(draw // len(bins))])

    return take


class _Orders:
    """Endless row of permutations of 0..count-1, each a function of seed and its number."""

    def __init__(self, count: int, seed: Sequence[int]) -> None:
        self._count, self._seed = count, tuple(seed)
        self._number = -1
        self._order = np.empty(0, np.int64)

    def position(self, draw: int) -> int:
        number, place = divmod(draw, self._count)
        if number != self._number:
            self._order = np.random.default_rng([*self._seed, number]).permutation(self._count)
            self._number = number
        return int(self._order[place])
