"""Steps started again: after a kill, after the user changed the folder, with other clips."""

import shutil
from pathlib import Path

import pytest

from understudy.cli.main import main
from understudy.workspace import Workspace

Clips = tuple[Path, Path]
TINY = ["--resolution", "64", "--ae-dims", "16", "--e-dims", "8", "--d-dims", "8"]
TINY += ["--d-mask-dims", "4", "--batch-size", "2", "--threads", "1"]


@pytest.fixture(scope="module")
def merged(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with all but the film."""
    root = tmp_path_factory.mktemp("merged") / "w"
    Workspace.create(root)
    at = ["--workspace", str(root)]
    for side, clip in zip(("src", "dst"), clips, strict=True):
        assert main(["frames", side, "--video", str(clip), *at]) == 0
        assert main(["extract", side, "--image-size", "128", *at]) == 0
    assert main(["train", *at, *TINY, "--target-iter", "1"]) == 0
    assert main(["merge", *at]) == 0
    return root


@pytest.fixture
def workspace(merged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(merged, tmp_path / "w"))


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_file())


def test_frames_of_another_clip_replace_the_old_ones_on_demand(
    workspace: Path, clips: Clips, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--workspace", str(workspace)]
    assert main(["frames", "dst", "--video", str(clips[0]), "--restart", *at]) == 0
    assert len(names(workspace / "data_dst")) == 6
    capsys.readouterr()
    extract = ["extract", "dst", "--image-size", "128", *at]
    assert main(extract) == 2, "the faces there are of the other clip's frames"
    assert "--restart" in capsys.readouterr().err
    assert main([*extract, "--restart"]) == 0
    assert len(names(workspace / "data_dst" / "aligned")) == 6


def test_a_frame_taken_away_comes_back(workspace: Path, clips: Clips) -> None:
    frame = workspace / "data_dst" / "00003.png"
    pixels = frame.read_bytes()
    frame.rename(frame.with_name("own.png"))
    assert main(["frames", "dst", "--video", str(clips[1]), "--workspace", str(workspace)]) == 0
    assert frame.read_bytes() == pixels


def test_faces_taken_away_stay_away_unless_all_are_gone(workspace: Path) -> None:
    aligned = workspace / "data_src" / "aligned"
    extract = ["extract", "src", "--image-size", "128", "--workspace", str(workspace)]
    (aligned / "00002_0.jpg").unlink()
    assert main(extract) == 0
    assert len(names(aligned)) == 5
    for path in aligned.iterdir():
        path.unlink()
    assert main(extract) == 0
    assert len(names(aligned)) == 6


def test_faces_sorted_by_person_are_the_users_own(workspace: Path) -> None:
    aligned = workspace / "data_src" / "aligned"
    (aligned / "alice").mkdir()
    for path in aligned.glob("*.jpg"):
        path.rename(aligned / "alice" / path.name)
    shutil.rmtree(workspace / "manifests")
    assert main(["extract", "src", "--workspace", str(workspace)]) == 0
    assert names(aligned) == []


def test_damaged_record_of_extraction_is_told_and_mended_by_restart(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (workspace / "manifests" / "extract_src.jsonl").open("a") as file:
        file.write("no json\n")
    extract = ["extract", "src", "--image-size", "128", "--workspace", str(workspace)]
    capsys.readouterr()
    assert main(extract) == 2
    assert "extract_src.jsonl" in capsys.readouterr().err
    assert main([*extract, "--restart"]) == 0
    assert len(names(workspace / "data_src" / "aligned")) == 6
