"""Keyframes, ranges, single frames and previews; what is right is not merged again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.cli.main import main
from understudy.steps.merge_plan import plan_merge, read_session
from understudy.steps.preview import TILE_PX


@pytest.fixture
def work(merged: Path, tmp_path: Path) -> Path:
    root = tmp_path / "w"
    shutil.copytree(merged, root)
    return root


def merge(root: Path, *options: str) -> dict[str, object]:
    assert main(["merge", "--workspace", str(root), *options]) == 0
    report: dict[str, object] = json.loads((root / "reports/merge.json").read_text())
    return report


def done(report: dict[str, object]) -> tuple[object, object]:
    return report["done"], report["skipped"]


def frames(root: Path) -> list[Path]:
    return sorted((root / "data_dst/merged").glob("*.png"))


def test_only_what_changed_is_merged_again(work: Path) -> None:
    # copied plates have other times of change than those the first merge saw
    merge(work)
    count = len(frames(work))
    assert done(merge(work)) == (0, count)
    first, last = frames(work)[0].stem, frames(work)[-1].stem
    assert done(merge(work, "--at", first, "--blur-mask", "20")) == (count, 0)
    keyed = merge(work, "--at", last, "--blur-mask", "100")
    assert done(keyed) == (count - 1, 1)
    assert done(merge(work)) == (0, count)
    session = json.loads((work / "merge.json").read_text())
    blurs = [row["settings"]["blur_mask"] for row in session["keyframes"]]
    assert blurs == [20, 100]
    assert session["complete"]
    assert done(merge(work, "--at", last, "--drop-key")) == (count - 1, 1)
    frames(work)[1].unlink()
    assert done(merge(work)) == (1, count - 1)


def test_settings_beside_keyframes_need_a_place(work: Path, told: Callable[..., str]) -> None:
    merge(work, "--at", "1", "--blur-mask", "20")
    line = told("merge", "--workspace", work, "--mode", "seamless")
    assert "--mode: expected --at FRAME" in line
    assert "--replace-keys" in line
    assert "--at" in told("merge", "--workspace", work, "--at", "99")
    assert "another one left" in told("merge", "--workspace", work, "--at", "1", "--drop-key")
    merge(work, "--mode", "seamless", "--replace-keys")
    session = json.loads((work / "merge.json").read_text())
    assert [row["settings"]["mode"] for row in session["keyframes"]] == ["seamless"]


def test_a_range_leaves_the_rest_for_later(work: Path, told: Callable[..., str]) -> None:
    count = len(frames(work))
    assert done(merge(work, "--first", "2", "--last", "3", "--mode", "seamless")) == (2, 0)
    assert not json.loads((work / "merge.json").read_text())["complete"]
    assert "merge" in told("video", "--workspace", work, "--out", work / "film.mp4")
    assert done(merge(work, "--mode", "seamless")) == (count - 2, 2)
    assert json.loads((work / "merge.json").read_text())["complete"]


def test_one_frame_goes_to_a_file(work: Path, told: Callable[..., str]) -> None:
    merge(work)
    before = (work / "merge.json").read_bytes()
    out, second = work / "one.png", frames(work)[1]
    merge(work, "--frame", second.stem, "--out", str(out))
    assert np.array_equal(cv2.imread(str(out)), cv2.imread(str(second)))
    assert (work / "merge.json").read_bytes() == before
    line = told("merge", "--workspace", work, "--frame", second.stem, "--out", out)
    assert "--overwrite" in line


@pytest.mark.parametrize(
    ("show", "count"), [("modes", 8), ("color-transfers", 12), ("mask-modes", 7)]
)
def test_a_preview_shows_all_ways(work: Path, show: str, count: int) -> None:
    at = ["--workspace", str(work), "--frame", "2", "--show", show]
    assert main(["preview", *at, "--blur-mask", "30"]) == 0
    picture = cv2.imread(str(work / "preview_00002.png"))
    columns = int(np.ceil(np.sqrt(count)))
    assert picture.shape[1] == columns * TILE_PX
    tiles = [
        picture[y : y + TILE_PX, x : x + TILE_PX]
        for y in range(24, picture.shape[0], TILE_PX + 24)
        for x in range(0, picture.shape[1], TILE_PX)
    ]
    assert all(tile.any() for tile in tiles[:count])
    assert not any(tile.any() for tile in tiles[count:])


def test_cuts_are_found_once(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from understudy.job import Job
    from understudy.media.images import list_unique_images
    from understudy.workspace import Workspace

    merge(work, "--at", "1", "--blur-mask", "20")
    workspace = Workspace.open(work)
    assert read_session(workspace)["cuts"] == []
    monkeypatch.setattr("understudy.imaging.cuts.CutFinder.push", lambda *_: 1 / 0)
    paths = list_unique_images(workspace.dst.frames_dir).paths
    plan = plan_merge(workspace, paths, {}, job=Job("merge"))
    assert plan.cuts == ()
    assert plan.settings[0].blur_mask == 20
