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


def test_98_points_of_a_symmetric_face_reduce_to_a_symmetric_one() -> None:
    points = np.zeros((98, 2))
    points[:33] = np.stack([np.linspace(0, 100, 33), 50 * np.sin(np.linspace(0, np.pi, 33))], 1)
    points[33:38, 0], points[38:42, 0] = np.linspace(5, 40, 5), np.linspace(40, 14, 4)
    points[42:47, 0], points[47:51, 0] = np.linspace(60, 95, 5), np.linspace(86, 60, 4)
    points[33:38, 1] = points[42:47, 1] = -20
    points[38:42, 1] = points[47:51, 1] = -16
    # The lower line of the left brow runs inwards from the outer end.
    points[51:60] = [[50, y] for y in (0, 5, 10, 15)] + [[x, 20] for x in (40, 45, 50, 55, 60)]
    right_eye = np.array(
        [[20, 0], [24, -3], [27, -4], [30, -3], [34, 0], [30, 3], [27, 4], [24, 3]]
    )
    points[60:68] = right_eye
    points[68:76] = ([100, 0] - right_eye * [1, -1])[[4, 3, 2, 1, 0, 7, 6, 5]]
    turns = np.linspace(0, 2 * np.pi, 13)[:12]
    points[76:88] = np.stack([50 - 20 * np.cos(turns), 35 - 8 * np.sin(turns)], 1)
    turns = np.linspace(0, 2 * np.pi, 9)[:8]
    points[88:96] = np.stack([50 - 15 * np.cos(turns), 35 - 4 * np.sin(turns)], 1)
    reduced = lm.reduce_98(points)
    mirrored = lm.mirror_landmarks(reduced, 101)
    np.testing.assert_allclose(mirrored, reduced, atol=1e-9)
    np.testing.assert_allclose(reduced[[36, 39, 30, 33]], points[[60, 64, 54, 57]])
    assert np.all(np.diff(reduced[17:27, 0]) > 0)
