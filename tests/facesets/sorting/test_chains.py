"""Chains: equal to the plain program that looks at all pairs."""

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from understudy.facesets.sorting import chains
from understudy.facesets.sorting.chains import difference_chain, dissimilarity, histogram_chain
from understudy.job import Job


def plain_histogram_chain(color: np.ndarray) -> list[int]:
    """The chain as the reference tells it, pair by pair."""
    left = list(range(len(color)))
    for step in range(len(left) - 1):
        mine = color[left[step]].astype(float)
        best, at = np.inf, -1
        for place in range(step + 1, len(left)):
            theirs = color[left[place]].astype(float)
            share = np.sqrt(mine * theirs).sum(1) / (
                np.sqrt(np.maximum(mine.sum(1), 1)) * np.sqrt(np.maximum(theirs.sum(1), 1))
            )
            apart = np.sqrt(np.maximum(1 - share, 0)).sum()
            if apart < best:
                best, at = apart, place
        left[step + 1], left[at] = left[at], left[step + 1]
    return left


@given(seed=st.integers(0, 1000), count=st.integers(1, 40), alike=st.sampled_from([1, 30, 3000]))
@settings(max_examples=25, deadline=None)
def test_histogram_chain(seed: int, count: int, alike: int) -> None:
    """Also where histograms are almost equal, and where some are equal."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 1000, (1, 3, 256))
    color = np.uint32(base * alike + rng.integers(0, 100, (count, 3, 256)))
    color[rng.integers(0, count, count // 3)] = color[0]
    tile, chains._TILE = chains._TILE, 16
    try:
        assert histogram_chain(color, Job("sort")) == plain_histogram_chain(color)
    finally:
        chains._TILE = tile


def test_histograms_of_nothing() -> None:
    assert histogram_chain(np.zeros((3, 3, 256), np.uint32), Job("sort")) == [0, 1, 2]


@given(
    pictures=npst.arrays(np.uint8, st.tuples(st.integers(1, 12), *map(st.just, (64, 64, 3)))),
    similar=st.booleans(),
    shift=st.sampled_from([0, 6]),
)
@settings(max_examples=25, deadline=None)
def test_difference_chain(pictures: np.ndarray, similar: bool, shift: int) -> None:
    pictures = pictures >> shift
    left, order = set(range(1, len(pictures))), [0]
    while left:
        apart = {
            i: np.abs(pictures[i].astype(int) - pictures[order[-1]]).sum() * (1 if similar else -1)
            for i in sorted(left)
        }
        order.append(min(apart, key=apart.__getitem__))
        left.remove(order[-1])
    cells = pictures.reshape(len(pictures), 32, 2, 32, 2, 3)
    thumbs = np.rint(cells.mean((2, 4))).astype(np.uint8)
    again = thumbs.repeat(2, 1).repeat(2, 2).astype(int)
    residuals = np.abs(again - pictures).sum((1, 2, 3)).astype(float)
    found = difference_chain(thumbs, residuals, pictures.__getitem__, Job("sort"), similar=similar)
    assert found == order


def test_bounds_are_below_the_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    roots = np.sqrt(rng.random((40, 3, 256)) ** 8)
    roots[20:] = roots[:20] + 1e-4 * rng.random((20, 3, 256))
    roots /= np.sqrt((roots**2).sum(2, keepdims=True))
    monkeypatch.setattr(chains, "_TILE", 16)
    bounds = chains._lower_bounds(roots, Job("sort"))
    exact = np.sqrt(np.maximum(1 - np.einsum("icb,jcb->ijc", roots, roots), 0)).sum(2)
    assert (bounds <= exact * chains._STEPS_PER_UNIT).all()
    assert (bounds.astype(float) > exact * chains._STEPS_PER_UNIT - 300).all()


def test_dissimilarity() -> None:
    grey = np.random.default_rng(1).integers(0, 50, (30, 256)).astype(np.uint32)
    roots = np.sqrt(grey / grey.sum(1, keepdims=True))
    expected = [
        sum(np.sqrt(max(1 - roots[i] @ roots[j], 0)) for j in range(30) if j != i)
        for i in range(30)
    ]
    np.testing.assert_allclose(dissimilarity(grey), expected, rtol=1e-9)
