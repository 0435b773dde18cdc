"""What is told of a workspace, and what comes next, must be true."""

import json
import shutil
from pathlib import Path

import pytest

from understudy.cli.main import main
from understudy.workspace import Workspace


@pytest.fixture
def workspace(merged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(merged, tmp_path / "w"))


def facts(root: Path) -> dict[str, object]:
    assert main(["info", str(root)]) == 0
    return json.loads((root / "reports" / "info.json").read_text())["details"]  # type: ignore[no-any-return]


def test_a_folder_that_is_no_workspace_is_told(told: object, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    line = told("info", tmp_path)  # type: ignore[operator]
    assert "workspace.json" in line and "data_src" in line
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_dfl_workspace_of_faces_only_is_trained_next(workspace: Path, tmp_path: Path) -> None:
    root = tmp_path / "dfl"
    for side in ("src", "dst"):
        aligned = f"data_{side}/aligned"
        shutil.copytree(workspace / aligned, root / aligned)
    told = facts(root)
    assert (told["src_frames"], told["src_faces"], told["next"]) == (0, 6, "train")
    shutil.copytree(workspace / "model", root / "model")
    assert facts(root)["next"] == "frames dst"


def test_faces_in_a_pak_are_counted(workspace: Path) -> None:
    assert main(["faceset", "pack", "src", "--workspace", str(workspace)]) == 0
    told = facts(workspace)
    assert (told["src_faces"], told["src_faces_in"]) == (6, "faceset.pak")
    (workspace / "data_src" / "aligned" / "faceset.pak").write_bytes(b"damaged")
    assert "unreadable" in str(facts(workspace)["src_faces_in"])


def test_an_interrupted_training_goes_on_before_merging(workspace: Path) -> None:
    (options,) = workspace.glob("model/new/saves/*/options.json")
    values = json.loads(options.read_text())
    options.write_text(json.dumps(values | {"target_iter": 100}))
    told = facts(workspace)
    assert told["next"] == "train"
    assert "iteration 1 of 100" in str(told["models"])
    options.write_text(json.dumps(values | {"target_iter": 0, "minutes": 60.0}))
    assert facts(workspace)["next"] == "train"


def test_a_film_older_than_its_frames_is_made_again(workspace: Path, tmp_path: Path) -> None:
    at = ["--workspace", str(workspace)]
    video = ["video", "--out", str(tmp_path / "film.mp4"), *at]
    assert facts(workspace)["next"] == "video"
    assert main(video) == 0
    assert str(facts(workspace)["next"]).startswith("nothing: the film is ")
    assert main(["merge", "--erode-mask", "5", *at]) == 0
    told = facts(workspace)
    assert (told["next"], told["film_is_old"]) == ("video", True)
    assert main(video) == 0
    assert facts(workspace)["film_is_old"] is False
    assert main(["train", "--target-iter", "2", *at]) == 0
    assert facts(workspace)["next"] == "merge"


def test_frames_that_were_stopped_are_told_and_not_worked_on(
    told: object, clips: tuple[Path, Path], tmp_path: Path
) -> None:
    root = Workspace.create(tmp_path / "w").root
    at = ["--workspace", str(root)]
    assert main(["frames", "dst", "--video", str(clips[1]), *at]) == 0
    record = root / "manifests" / "frames_dst.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {"complete": False, "clips": []}))
    (root / "data_dst" / "00005.png").unlink()
    facts_then = facts(root)
    assert (facts_then["next"], facts_then["dst_unfinished"]) == ("frames dst", True)
    line = told("extract", "dst", *at)  # type: ignore[operator]
    assert f"understudy frames dst --workspace {root}" in line
    assert main(["frames", "dst", *at]) == 0, "the remedy works, without naming the clip again"
    facts_then = facts(root)
    assert (facts_then["next"], facts_then["dst_frames"]) == ("frames src", 5)
