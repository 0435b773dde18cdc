"""Smoothing halves the trembling, lags nowhere, and gives back what it must not touch."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import OptionError
from understudy.faces.detectors.registry import Detector
from understudy.faces.extract import extract_batch
from understudy.faces.landmarkers.registry import Landmarker
from understudy.faces.landmarks import CANONICAL_INNER
from understudy.faces.settings import ExtractSettings
from understudy.faces.smoothing import SmoothedFrame, TrackSmoother, from_state, to_state
from understudy.faces.tracks import SeenFace

EYE_PX = 60.0


def mean_face() -> np.ndarray:
    points = np.zeros((68, 2))
    points[17:] = CANONICAL_INNER
    angles = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([0.49 + 0.6 * np.cos(angles), 0.3 + 0.85 * np.sin(angles)], axis=1)
    eyes = np.linalg.norm(points[36:42].mean(0) - points[42:48].mean(0))
    return (points - points[17:].mean(0)) / eyes * EYE_PX + 200


def seen(points: np.ndarray) -> SeenFace:
    low, high = points.min(0), points.max(0)
    return SeenFace((float(low[0]), float(low[1]), float(high[0]), float(high[1])), points)


def run(clip: np.ndarray, **options: float) -> np.ndarray:
    smoother = TrackSmoother(**options)
    ready: list[SmoothedFrame] = []
    for index, points in enumerate(clip):
        ready += smoother.push(index, [seen(points)])
    ready += smoother.flush()
    assert [frame.index for frame in ready] == list(range(len(clip)))
    assert {frame.tracks for frame in ready} == {(0,)}
    return np.stack([frame.landmarks[0] for frame in ready])


def jitter(clip: np.ndarray, truth: np.ndarray) -> float:
    """Mean length of the second difference of what is wrong, points 17 to 67, in pixels."""
    wrong = (clip - truth)[:, 17:]
    return float(np.linalg.norm(wrong[2:] - 2 * wrong[1:-1] + wrong[:-2], axis=-1).mean())


def still(num: int) -> np.ndarray:
    return np.repeat(mean_face()[None], num, axis=0)


def noise(num: int, *, px: float = 0.6) -> np.ndarray:
    return np.random.default_rng(1).normal(0, px, (num, 68, 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_strength_zero_gives_every_bit_back_at_once(dtype: type) -> None:
    smoother = TrackSmoother(strength=0)
    for index, points in enumerate((still(12) + noise(12)).astype(dtype)):
        (frame,) = smoother.push(index, [seen(points)])
        assert frame.index == index
        np.testing.assert_array_equal(frame.landmarks[0], points)
        assert frame.landmarks[0].dtype == dtype
    assert smoother.flush() == []


def test_a_still_face_trembles_far_less_the_stronger_the_less() -> None:
    clip, truth = still(60) + noise(60), still(60)
    left = [jitter(run(clip, strength=s), truth) for s in (0.0, 0.1, 0.25, 0.5, 1.0)]
    assert left == sorted(left, reverse=True)
    assert left[3] < 0.3 * left[0]


def test_a_face_that_moves_evenly_is_not_pulled_back() -> None:
    steps = np.arange(40)[:, None, None]
    clip = still(40) + steps * np.array([4.0, -1.5])
    np.testing.assert_allclose(run(clip), clip, atol=1e-6)


def test_a_blink_and_a_word_keep_their_height() -> None:
    clip = still(40)
    eye, lips = [37, 38, 43, 44], [57, 66]
    for frame, share in zip(range(18, 23), (0.4, 1.0, 1.0, 0.9, 0.3), strict=True):
        clip[frame, eye, 1] += 9 * share
        clip[frame, lips, 1] += 14 * share
    smooth = run(clip)
    assert (smooth - clip[:1])[19:22, eye, 1].max(0).min() > 0.9 * 9
    assert (smooth - clip[:1])[19:22, lips, 1].max(0).min() > 0.82 * 14
    # What the filter spread lies beside the blink, not before and after it.
    assert np.abs((smooth - clip)[:14]).max() < 0.5 and np.abs((smooth - clip)[27:]).max() < 0.5


def test_a_shaken_head_keeps_its_swing() -> None:
    seconds = np.arange(50) / 25
    for hertz, most in ((1.5, 0.05), (3.0, 0.15)):
        swing = 0.4 * EYE_PX * np.sin(2 * np.pi * hertz * seconds)
        clip = still(50) + np.stack([swing, 0 * swing], axis=1)[:, None]
        wrong = (run(clip) - clip)[10:40, 17:, 0].mean(axis=1)
        assert np.abs(wrong).max() < most * 0.4 * EYE_PX


def test_frames_come_in_order_and_as_late_as_said() -> None:
    smoother = TrackSmoother(lookahead=5)
    came = [[f.index for f in smoother.push(3 * i, [seen(mean_face())])] for i in range(9)]
    assert came == [[]] * 5 + [[0], [3], [6], [9]]
    assert [f.index for f in smoother.flush()] == [12, 15, 18, 21, 24]


def test_frames_without_faces_and_with_several_keep_their_order() -> None:
    smoother = TrackSmoother(lookahead=2)
    left, right = mean_face(), mean_face() + np.array([300, 0])
    clip = [[left], [], [right, left], [left, right], []]
    ready = [f for i, faces in enumerate(clip) for f in smoother.push(i, [seen(p) for p in faces])]
    ready += smoother.flush()
    assert [frame.tracks for frame in ready] == [(0,), (), (1, 0), (0, 1), ()]
    for frame, faces in zip(ready, clip, strict=True):
        for smooth, points in zip(frame.landmarks, faces, strict=True):
            np.testing.assert_allclose(smooth, points, atol=1e-9)


def test_nothing_passes_over_a_cut() -> None:
    smoother = TrackSmoother()
    clip = [mean_face() + (0.0 if i < 10 else 15.0) for i in range(20)]
    ready = [f for i, p in enumerate(clip) for f in smoother.push(i, [seen(p)], cut=i == 10)]
    ready += smoother.flush()
    assert [frame.tracks for frame in ready] == [(0,)] * 10 + [(1,)] * 10
    for frame, points in zip(ready, clip, strict=True):
        np.testing.assert_allclose(frame.landmarks[0], points, atol=1e-9)


def test_a_run_that_begins_later_gives_the_same() -> None:
    clip = still(50) + noise(50)
    late = run(clip[20:], lookahead=6)
    np.testing.assert_allclose(late[6:], run(clip, lookahead=6)[26:], atol=1e-9)


def test_a_head_that_turns_over_is_smoothed_without_a_jump() -> None:
    middle = mean_face()[17:].mean(0)
    turns = np.linspace(np.pi - 0.5, np.pi + 0.5, 40)
    matrices = np.array([[[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]] for a in turns])
    clip = (mean_face() - middle) @ matrices + middle
    smooth = run(clip + noise(40, px=0.3))
    assert np.linalg.norm(smooth - clip, axis=-1).mean() < 0.3


def test_memory_stays_flat() -> None:
    smoother = TrackSmoother(lookahead=4)
    for index in range(300):
        far = 500.0 * (index // 3 % 2)
        smoother.push(index, [seen(mean_face() + far)], cut=index % 3 == 0)
        assert len(smoother._trails) <= 5
        assert sum(map(len, smoother._trails.values())) <= 3 * 4
        assert len(smoother._waiting) <= 4


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 100), shift=st.floats(-1e4, 1e4))
def test_a_state_is_its_landmarks(seed: int, scale: float, shift: float) -> None:
    points = (mean_face() + np.random.default_rng(seed).normal(0, 5, (68, 2))) * scale + shift
    np.testing.assert_allclose(from_state(to_state(points)), points, atol=1e-7 * scale + 1e-8)


def test_points_that_all_coincide_are_no_error() -> None:
    smoother = TrackSmoother(lookahead=1)
    points = np.full((68, 2), 7.0)
    ready = [f for i in range(4) for f in smoother.push(i, [seen(points)])] + smoother.flush()
    for frame in ready:
        np.testing.assert_allclose(frame.landmarks[0], points, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"strength": 1.5}, {"strength": float("nan")}, {"lookahead": 0}]
)
def test_values_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(OptionError, match="expected"):
        TrackSmoother(**options)


@pytest.mark.parametrize("name", ["src_a", "dst_b"])
def test_rendered_people_tremble_half_as_much_and_stay_in_place(
    name: str, detector: Detector, landmarker: Landmarker, read_clip, shared: Path
) -> None:
    count = 40
    frames = read_clip(f"doubles/data/{name}.mp4", count=count)
    # The doubles count from the corner of the first pixel, we from its centre.
    truth = np.load(shared / "doubles" / "data" / f"{name}.npz")["landmarks68"][:count] - 0.5
    settings = ExtractSettings(max_faces=1, image_size=64)
    found = extract_batch(frames, detector, landmarker, settings)
    raw = np.stack([faces[0].source_landmarks for faces in found])
    smooth = run(raw)
    assert jitter(smooth, truth) < 0.5 * jitter(raw, truth)
    errors = [np.linalg.norm(c - truth, axis=-1)[:, 17:].mean() for c in (raw, smooth)]
    assert errors[1] <= 1.02 * errors[0]
