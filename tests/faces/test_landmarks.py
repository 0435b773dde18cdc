"""Tables of the 68-point convention against the predecessor's; mirroring; 98 to 68."""

import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from understudy.faces import landmarks as lm


def test_tables_are_the_predecessors(shared: Path) -> None:
    golden = json.loads((shared / "golden/imaging/canonical_points.json").read_text())
    assert list(lm.ALIGN_INDICES) == golden["align_indices"]
    np.testing.assert_array_equal(lm.ALIGN_TARGETS, np.float32(golden["align_targets_2d"]))
    inner = np.float32(golden["inner51_targets_2d_for_manual_mode"])
    np.testing.assert_array_equal(lm.CANONICAL_INNER, inner)
    expected = {tuple(sorted(pair)) for pair in golden["mirror_index_pairs"]}
    assert {tuple(sorted(pair)) for pair in lm.MIRROR_PAIRS} == expected


def test_groups_cover_each_point_once() -> None:
    groups = (lm.JAW, lm.RIGHT_BROW, lm.LEFT_BROW, lm.NOSE)
    groups += (lm.RIGHT_EYE, lm.LEFT_EYE, lm.OUTER_LIPS, lm.INNER_LIPS)
    assert sorted(index for group in groups for index in group) == list(range(68))


def test_mirrored_like_the_predecessor(shared: Path) -> None:
    with np.load(shared / "golden/imaging/transforms.npz") as golden:
        for points, mirrored in zip(golden["landmarks"], golden["mirrored"], strict=True):
            ours = lm.mirror_landmarks(points, int(golden["mirror_val"]))
            np.testing.assert_allclose(ours, mirrored, atol=1e-9)


@given(st.integers(1, 5000), st.integers(0, 2**31))
def test_mirroring_twice_changes_nothing(width: int, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-50, width + 50, (68, 2))
    kept = points.copy()
    twice = lm.mirror_landmarks(lm.mirror_landmarks(points, width), width)
    np.testing.assert_allclose(twice, points, atol=1e-9)
    np.testing.assert_array_equal(points, kept)
