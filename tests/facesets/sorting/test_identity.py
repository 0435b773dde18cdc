"""Faces are gathered into people whatever their number and order, in bounded memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.facesets.sorting.identity import find_people, identity_order, keep_like

SAME = 0.4


def crowd(counts: list[int], *, dims: int = 64, spread: float = 0.6, seed: int = 0) -> np.ndarray:
    """Unit vectors of people who look nothing alike; person i has counts[i] faces, in a row."""
    rng = np.random.default_rng(seed)
    people = np.linalg.qr(rng.normal(size=(dims, len(counts))))[0].T
    rows = [
        p + rng.normal(0, spread / dims**0.5, (n, dims))
        for p, n in zip(people, counts, strict=True)
    ]
    vectors = np.concatenate(rows)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_people_are_numbered_from_the_largest() -> None:
    labels = find_people(crowd([3, 9, 1, 5]), same_person=SAME)
    assert labels.tolist() == [2] * 3 + [0] * 9 + [3] + [1] * 5


def test_people_of_equal_number_come_in_the_order_of_their_first_face() -> None:
    labels = find_people(crowd([4, 4, 4]), same_person=SAME)
    assert labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4


@settings(max_examples=25, deadline=None)
@given(counts=st.lists(st.integers(1, 12), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_the_order_of_the_faces_does_not_change_who_is_who(counts: list[int], seed: int) -> None:
    vectors = crowd(counts, seed=seed)
    truth = np.repeat(np.arange(len(counts)), counts)
    turn = np.random.default_rng(seed).permutation(len(vectors))
    order, labels = identity_order(vectors[turn], same_person=SAME)
    assert sorted(order.tolist()) == list(range(len(vectors)))
    for label in np.unique(labels):
        (person,) = set(truth[turn][labels == label])
        assert (labels == label).sum() == counts[person]
    assert (np.diff(labels[order]) >= 0).all()
    assert (np.diff(np.bincount(labels)) <= 0).all()


def test_within_a_person_the_most_typical_comes_first() -> None:
    vectors = crowd([30])
    order, _ = identity_order(vectors, same_person=SAME)
    likeness = vectors[order] @ vectors.mean(axis=0)
    assert (np.diff(likeness) <= 1e-6).all()


def test_a_person_whose_look_changes_step_by_step_is_one() -> None:
    angles = np.linspace(0, 1.2, 40)
    vectors = np.zeros((40, 64), np.float32)
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    assert set(find_people(vectors, same_person=SAME)) == {0}


def test_nobody_and_one() -> None:
    empty = np.zeros((0, 64), np.float32)
    order, labels = identity_order(empty, same_person=SAME)
    assert len(order) == len(labels) == 0
    assert find_people(crowd([1]), same_person=SAME).tolist() == [0]
    assert keep_like(crowd([1]), empty, same_person=SAME).tolist() == []
    assert not keep_like(empty, crowd([2]), same_person=SAME).any()


def test_like_one_of_several_references_is_enough() -> None:
    vectors = crowd([5, 5, 5])
    kept = keep_like(vectors[[0, 5]], vectors, same_person=SAME)
    assert kept.tolist() == [True] * 10 + [False] * 5


@pytest.mark.parametrize("people", [20, 2500])
def test_twenty_thousand_faces_need_no_square_of_memory(people: int) -> None:
    num = 20_000
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(people, 256))
    truth = np.arange(num) % people
    vectors = centres[truth] + rng.normal(0, 0.35, (num, 256))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    tracemalloc.start()
    labels = find_people(vectors, same_person=SAME)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400e6
    # Faces came in turns, so the first face of each person has that person's number.
    np.testing.assert_array_equal(labels, truth)
