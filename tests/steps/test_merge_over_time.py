"""Colours and masks measured over the frames around: steadier, the same in any order, per shot."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.cli.main import main
from understudy.job import Job
from understudy.media.images import read_pixels, write_image
from understudy.merging.settings import MergeSettings
from understudy.steps.merge import faces_by_frame, frames_of
from understudy.steps.merge_kin import Kin, Seen, kin_of, shots_of
from understudy.steps.merge_networks import load_predictor
from understudy.steps.merge_work import FrameWork, Merger, keys_of, work_along
from understudy.workspace import Workspace


@pytest.fixture
def work(merged: Path, tmp_path: Path) -> Path:
    root = tmp_path / "w"
    shutil.copytree(merged, root)
    return root


class Clip:
    """Frames, faces and the model of a workspace."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace.open(root)
        self.frames = frames_of(self.workspace)
        self.faces = faces_by_frame(self.workspace, self.frames, Job("merge"))
        self.predictor, _ = load_predictor(
            self.workspace, "new", averaged=True, device="cpu", job=Job("merge")
        )

    def work(self, *, cuts: tuple[int, ...] = (), **values: Any) -> list[FrameWork]:
        settings = [MergeSettings(mask_mode="dst", **values)] * len(self.frames)
        return work_along(self.frames, self.faces, settings, cuts=cuts)

    def render(self, work: list[FrameWork], order: list[int]) -> dict[int, np.ndarray]:
        from understudy.merging.predict import NO_NETWORKS

        merger = Merger(self.workspace, work, self.predictor, NO_NETWORKS)
        return {place: merger.render(work[place])[0] for place in order}


@pytest.mark.parametrize(
    "values",
    [
        {"temporal": 2},
        {"temporal": 1, "color_transfer": "idt-m", "smooth_mask": 2},
        {"temporal": 2, "mode": "hist-match", "match_grain": 100},
        {"temporal": 2, "color_transfer": "mix-m"},
    ],
)
def test_a_frame_is_the_same_in_whatever_order(work: Path, values: dict[str, Any]) -> None:
    clip = Clip(work)
    frames = clip.work(**values)
    forth, back = (clip.render(frames, order) for order in ([0, 1, 2, 3, 4], [4, 2, 0]))
    alone = clip.render(frames, [3])
    for place, picture in (back | alone).items():
        np.testing.assert_array_equal(picture, forth[place])
    usual = clip.render(clip.work(**values | {"temporal": 0, "smooth_mask": 0}), [2])[2]
    assert (usual != forth[2]).any()


def test_nothing_leaks_over_a_cut(work: Path) -> None:
    clip = Clip(work)
    dark = read_pixels(clip.frames[0]) // 3
    before = clip.render(clip.work(temporal=4, smooth_mask=4, cuts=(2,)), [2, 3])
    uncut = clip.render(clip.work(temporal=4, smooth_mask=4), [2])[2]
    for place in (0, 1):
        write_image(clip.frames[place], dark)
    after = clip.render(clip.work(temporal=4, smooth_mask=4, cuts=(2,)), [2, 3])
    for place, picture in after.items():
        np.testing.assert_array_equal(picture, before[place])
    assert (clip.render(clip.work(temporal=4, smooth_mask=4), [2])[2] != uncut).any()


def test_colours_flicker_less_when_the_plate_does(work: Path) -> None:
    clip = Clip(work)
    for place, frame in enumerate(clip.frames):
        light = 1.0 + 0.15 * (-1) ** place
        levels = np.clip(read_pixels(clip.frames[place]) * light, 0, 255)
        write_image(frame, levels.astype(np.uint8))

    def flicker(**values: Any) -> float:
        pictures = clip.render(clip.work(**values), [0, 1, 2, 3, 4])
        face = clip.faces[clip.frames[2].stem][0][36:48].astype(int)
        (left, top), (right, bottom) = face.min(0), face.max(0)
        means = np.array([p[top:bottom, left:right].mean() for p in pictures.values()])
        return float(np.abs(np.diff(means, 2)).mean())

    assert flicker(temporal=4) < 0.6 * flicker()


def test_a_changed_neighbour_makes_a_frame_stale(work: Path) -> None:
    clip = Clip(work)

    def keys(**values: Any) -> list[str]:
        return list(keys_of(clip.work(**values), {}).values())

    before, plain = keys(temporal=1), keys()
    write_image(clip.frames[4], read_pixels(clip.frames[4]) // 2)
    changed = [old != new for old, new in zip(before, keys(temporal=1), strict=True)]
    assert changed == [False, False, False, True, True]
    changed = [old != new for old, new in zip(plain, keys(), strict=True)]
    assert changed == [False, False, False, False, True]
    cut = keys(temporal=1, cuts=(4,))
    assert [a != b for a, b in zip(keys(temporal=1), cut, strict=True)] == [
        *(False, False, False),
        *(True, True),
    ]


def test_the_step_finds_cuts_and_merges_once(work: Path) -> None:
    at = ["--workspace", str(work)]
    assert main(["merge", *at, "--temporal", "2"]) == 0
    assert json.loads((work / "merge.json").read_text())["cuts"] == []
    assert main(["merge", *at, "--temporal", "2"]) == 0
    assert json.loads((work / "reports/merge.json").read_text())["done"] == 0


def face_at(x: float) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 60, (68, 2)) + np.array([x, 0])


def test_faces_are_followed_until_they_are_lost() -> None:
    one, other = [face_at(10 * k) for k in range(5)], [face_at(300 - 10 * k) for k in range(5)]
    each = [[one[0], other[0]], [other[1], one[1]], [one[2], other[2]], [other[3]], [other[4]]]
    kin = kin_of(2, each, reach=3, shot=(0, 5))
    assert kin[0] == [Kin(1, 1, 1), Kin(0, 0, 2)]
    assert kin[1] == [Kin(1, 0, 1), Kin(0, 1, 2), Kin(3, 0, 1), Kin(4, 0, 2)]
    assert kin_of(2, each, reach=3, shot=(2, 4)) == [[], [Kin(3, 0, 1)]]
    assert shots_of(5, (2, 9, 0)) == [(0, 2), (0, 2), (2, 5), (2, 5), (2, 5)]


def test_what_was_seen_is_made_once_and_errors_are_told() -> None:
    made: list[int] = []
    seen: Seen[int, int] = Seen(2)

    def make(value: int) -> int:
        made.append(value)
        return value

    assert [seen.get(key, lambda: make(1)) for key in (0, 1, 0, 2, 0, 1)] == [1] * 6
    assert len(made) == 4
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            seen.get(9, lambda: 1 // 0)
