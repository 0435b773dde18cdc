"""Which face comes when: each once a round, the same whatever was drawn before."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from understudy.training.samples.decks import shuffled_deck, uniform_yaw_deck


@given(st.integers(1, 30), st.integers(0, 5))
def test_a_deck_shows_every_face_once_a_round(count: int, seed: int) -> None:
    indices = np.arange(count, dtype=np.int64) * 3
    deck = shuffled_deck(indices, seed=[seed, 1])
    for turn in range(3):
        drawn = [deck(turn * count + k) for k in range(count)]
        assert sorted(drawn) == indices.tolist()


def test_a_deck_gives_the_same_whatever_was_drawn_before() -> None:
    indices = np.arange(10, dtype=np.int64)
    walked = shuffled_deck(indices, seed=[4])
    row = [walked(k) for k in range(40)]
    assert [shuffled_deck(indices, seed=[4])(k) for k in (37, 2, 11)] == [row[37], row[2], row[11]]
    assert row[:10] != row[10:20]


def test_uniform_yaw_shows_every_angle_equally_often() -> None:
    yaw = np.concatenate([np.zeros(30), np.full(3, 0.5), np.full(1, -2.0)])
    deck = uniform_yaw_deck(np.arange(34, dtype=np.int64), yaw, seed=[0])
    drawn = np.array([deck(k) for k in range(90)])
    counts = [np.isin(drawn, group).sum() for group in (range(30), range(30, 33), [33])]
    assert counts == [30, 30, 30]
    assert len(set(drawn[drawn < 30].tolist())) == 30


@given(st.integers(1, 6), st.integers(0, 4))
def test_uniform_yaw_shows_all_of_a_few_faces(count: int, seed: int) -> None:
    yaw = np.random.default_rng(seed).uniform(-2, 2, count)
    deck = uniform_yaw_deck(np.arange(count, dtype=np.int64), yaw, seed=[seed])
    assert {deck(k) for k in range(count * count)} == set(range(count))
