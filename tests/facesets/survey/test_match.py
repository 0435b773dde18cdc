"""Faces that nobody needs are found, each with its reason."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.facesets.survey.match import Limits, Reason, reasons_to_trim, uncovered
from understudy.facesets.survey.statistics import Traits


def traits(
    yaw: list[float],
    pitch: list[float] | None = None,
    brightness: list[float] | None = None,
    chroma: list[tuple[float, float]] | None = None,
) -> Traits:
    count = len(yaw)
    zeros = np.zeros(count)
    return Traits(
        names=tuple(f"{i}.jpg" for i in range(count)),
        yaw_deg=np.array(yaw, np.float64),
        pitch_deg=np.array(pitch or zeros, np.float64),
        size_px=zeros + 100,
        sharpness=zeros,
        brightness=np.array(brightness or zeros + 128, np.float64),
        chroma=np.array(chroma or np.zeros((count, 2)), np.float64),
    )


def test_each_measure_trims_for_its_own_reason() -> None:
    src = traits(
        [0, 40, 0, 0, 0, 0],
        [0, 0, 30, 0, 0, 0],
        [128, 128, 128, 230, 128, 128],
        [(0, 0), (0, 0), (0, 0), (0, 0), (30, 0), (3, 3)],
    )
    dst = traits([1, 5, -3], [0, 0, 0])
    reasons = [Reason(r).name for r in reasons_to_trim(src, dst)]
    assert reasons == ["NEEDED", "POSE", "POSE", "BRIGHTNESS", "COLOR", "NEEDED"]
    off = Limits(yaw_deg=0.0, pitch_deg=0.0, brightness=0.0, color=0.0)
    assert not reasons_to_trim(src, dst, off).any()


def test_one_face_must_be_near_in_all_at_once() -> None:
    """A dst face of that direction and another of that light do not make one of both."""
    src = traits([0, 30], brightness=[128, 128])
    dst = traits([0, 30], brightness=[128, 250])
    limits = Limits(as_they_are=True)
    assert reasons_to_trim(src, dst, limits).tolist() == [Reason.NEEDED, Reason.BRIGHTNESS]


def test_sets_that_differ_as_a_whole_match() -> None:
    src = traits([0, 1, 2], brightness=[200, 210, 205], chroma=[(20, 20), (21, 20), (20, 22)])
    dst = traits([0, 1, 2], brightness=[60, 70, 65], chroma=[(0, 0), (1, 1), (0, 2)])
    assert not reasons_to_trim(src, dst).any()
    assert (reasons_to_trim(src, dst, Limits(as_they_are=True)) == Reason.BRIGHTNESS).all()


def test_mirrored_faces_count_on_demand() -> None:
    src, dst = traits([-40, 0]), traits([40, 0])
    assert reasons_to_trim(src, dst).tolist() == [Reason.POSE, Reason.NEEDED]
    assert not reasons_to_trim(src, dst, Limits(mirrored=True)).any()


def test_directions_src_lacks() -> None:
    src, dst = traits([0, 5]), traits([2, 60], brightness=[250, 128])
    assert uncovered(src, dst).tolist() == [False, True]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 600), st.integers(1, 80))
def test_as_told_by_a_plain_loop(seed: int, num_src: int, num_dst: int) -> None:
    rng = np.random.default_rng(seed)

    def some(count: int) -> Traits:
        return traits(
            rng.normal(0, 40, count).tolist(),
            rng.normal(0, 20, count).tolist(),
            rng.uniform(0, 255, count).tolist(),
            [tuple(pair) for pair in rng.normal(0, 10, (count, 2))],
        )

    src, dst, limits = some(num_src), some(num_dst), Limits(as_they_are=True)
    reasons = reasons_to_trim(src, dst, limits)
    for i in range(0, num_src, 37):
        pose = (np.abs(src.yaw_deg[i] - dst.yaw_deg) <= limits.yaw_deg) & (
            np.abs(src.pitch_deg[i] - dst.pitch_deg) <= limits.pitch_deg
        )
        light = pose & (np.abs(src.brightness[i] - dst.brightness) <= limits.brightness)
        color = light & (np.linalg.norm(src.chroma[i] - dst.chroma, axis=1) <= limits.color)
        expected = (
            Reason.POSE if not pose.any() else Reason.BRIGHTNESS if not light.any()
            else Reason.COLOR if not color.any() else Reason.NEEDED
        )  # fmt: skip
        assert reasons[i] == expected


def test_many_faces_take_little_memory() -> None:
    rng = np.random.default_rng(0)
    src, dst = traits(rng.normal(0, 30, 20000).tolist()), traits(rng.normal(0, 5, 2000).tolist())
    trimmed = (reasons_to_trim(src, dst) != Reason.NEEDED).mean()
    far = (np.abs(src.yaw_deg) > np.abs(dst.yaw_deg).max() + 12).mean()
    assert trimmed == pytest.approx(far, abs=0.05)
