"""A face keeps its number through motion, gaps and crossings, and loses it at a cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.faces.landmarks import CANONICAL_INNER
from understudy.faces.tracks import SeenFace, Tracker, box_iou

SIZE = 80.0
UNITS = np.eye(8, dtype=np.float32)


def face(x: float, y: float, *, size: float = SIZE, looks: int | None = None) -> SeenFace:
    points = np.zeros((68, 2))
    points[17:] = CANONICAL_INNER
    points[:17] = np.stack([np.linspace(0, 1, 17), np.full(17, 1.1)], axis=1)
    points = (points - 0.5) * size + (x, y)
    low, high = points.min(0), points.max(0)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return SeenFace(box, points, None if looks is None else UNITS[looks])


def test_one_face_that_moves_is_one_track() -> None:
    tracker = Tracker()
    seen = [tracker.push(i, [face(100 + 12 * i, 100 + 3 * i)]) for i in range(30)]
    assert seen == [(0,)] * 30


def test_numbers_follow_the_faces_not_their_order() -> None:
    tracker = Tracker()
    left, right = face(100, 100), face(400, 100)
    assert tracker.push(0, [left, right]) == (0, 1)
    assert tracker.push(1, [right, left]) == (1, 0)
    assert tracker.push(2, [right]) == (1,)
    assert tracker.push(3, [left, face(250, 300), right]) == (0, 2, 1)


def test_a_short_gap_is_survived_and_a_long_one_is_not() -> None:
    for missed, expected in ((5, 0), (6, 1)):
        tracker = Tracker(max_gap=5)
        tracker.push(0, [face(100, 100)])
        for i in range(1, missed + 1):
            assert tracker.push(i, []) == ()
        assert tracker.push(missed + 1, [face(104, 100)]) == (expected,)


def test_frames_that_were_left_out_count_as_a_gap() -> None:
    tracker = Tracker(max_gap=5)
    tracker.push(0, [face(100, 100)])
    assert tracker.push(6, [face(100, 100)]) == (0,)
    assert tracker.push(13, [face(100, 100)]) == (1,)


def test_a_cut_ends_every_track() -> None:
    tracker = Tracker()
    tracker.push(0, [face(100, 100)])
    assert tracker.push(1, [face(100, 100)], cut=True) == (1,)


@pytest.mark.parametrize("looks", [True, False])
def test_two_people_who_cross_keep_their_numbers(looks: bool) -> None:
    tracker = Tracker()
    for i in range(41):
        # They pass at different heights; in the middle the one behind is not seen.
        first = face(100 + 8 * i, 100, looks=1 if looks else None)
        second = face(420 - 8 * i, 130, looks=2 if looks else None)
        if 17 <= i <= 23:
            assert tracker.push(i, [first]) == (0,)
        else:
            order = [second, first] if i % 2 else [first, second]
            assert tracker.push(i, order) == ((1, 0) if i % 2 else (0, 1)), i


def test_another_person_at_the_same_place_is_another_track() -> None:
    tracker = Tracker()
    assert tracker.push(0, [face(100, 100, looks=1)]) == (0,)
    assert tracker.push(1, [face(100, 100, looks=2)]) == (1,)


def test_a_good_pair_is_not_broken_to_make_two_poor_ones() -> None:
    tracker = Tracker()
    tracker.push(0, [face(100, 100), face(160, 100)])
    # The second went out; a stranger comes in beside the first.
    assert tracker.push(1, [face(100, 100), face(40, 100)]) == (0, 2)


def test_a_face_of_another_size_is_another_face() -> None:
    tracker = Tracker()
    tracker.push(0, [face(100, 100)])
    assert tracker.push(1, [face(100, 100, size=SIZE * 2)]) == (1,)


def test_frames_come_in_order() -> None:
    tracker = Tracker()
    tracker.push(3, [])
    with pytest.raises(ValueError, match="frame 3 comes after frame 3"):
        tracker.push(3, [])


def test_boxes_that_touch_or_are_empty_share_nothing() -> None:
    assert box_iou((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert box_iou((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert box_iou((0, 0, 2, 2), (2, 0, 4, 2)) == 0
    assert box_iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0


places = st.lists(st.tuples(st.integers(0, 600), st.integers(0, 400)), max_size=5)


@settings(max_examples=40, deadline=None)
@given(frames=st.lists(places, max_size=6))
def test_each_face_of_a_frame_gets_a_number_of_its_own(frames: list) -> None:
    first, second = Tracker(), Tracker()
    for index, spots in enumerate(frames):
        faces = [face(float(x), float(y)) for x, y in spots]
        numbers = first.push(index, faces)
        assert len(set(numbers)) == len(numbers) == len(faces)
        assert second.push(index, faces) == numbers
