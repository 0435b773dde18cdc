"""What `run` and `video` refuse, told with a remedy that works."""

import shlex
import shutil
from pathlib import Path

import pytest

from understudy.cli.main import main
from understudy.media.formats import CONTAINERS
from understudy.steps.run import RunOptions

Clips = tuple[Path, Path]


@pytest.fixture
def workspace(merged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(merged, tmp_path / "w"))


def command_in(line: str) -> list[str]:
    """Tokens of the command that an error tells to run."""
    return shlex.split(line.rpartition("understudy ")[2])


def test_a_device_that_is_not_there_is_told_before_any_work(
    told: object, clips: Clips, tmp_path: Path
) -> None:
    tokens = ["--src", clips[0], "--dst", clips[1], "--out", tmp_path / "films" / "film.mp4"]
    line = told("run", *tokens, "--device", "cuda:99")  # type: ignore[operator]
    assert "--device" in line and "cuda:99" in line
    assert list(tmp_path.iterdir()) == []


def test_another_src_in_the_same_workspace_is_told_with_remedies_that_work(
    told: object, clips: Clips, workspace: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copy(clips[1], tmp_path / "another face.mp4"))
    tokens = ["run", "--src", other, "--dst", clips[1], "--out", tmp_path / "film.mp4"]
    tokens += ["--workspace", workspace, "--target-iter", "1"]
    for step in ("frames", "extract"):  # of each step at its turn
        line = told(*tokens)  # type: ignore[operator]
        assert "Choose another --workspace" in line
        command = command_in(line)
        assert command[:3] == [step, "src", "--restart"]
        assert main(command) == 0
    assert main([str(token) for token in tokens]) == 0


def test_other_faces_than_before_are_told_with_a_remedy_that_works(
    told: object, clips: Clips, workspace: Path, tmp_path: Path
) -> None:
    tokens = ["run", "--src", clips[0], "--dst", clips[1], "--out", tmp_path / "film.mp4"]
    tokens += ["--workspace", workspace, "--target-iter", "1", "--max-faces", "2"]
    line = told(*tokens)  # type: ignore[operator]
    assert "max_faces 0 before, 2 now" in line
    command = command_in(line)
    assert command[:3] == ["extract", "dst", "--restart"]
    assert command[command.index("--image-size") + 1] == "128", "as these faces were made"
    assert main(command) == 0
    assert main([str(token) for token in tokens]) == 0


def test_a_missing_picture_of_the_person_is_told_before_any_work(
    told: object, clips: Clips, tmp_path: Path
) -> None:
    tokens = ["run", "--src", clips[0], "--dst", clips[1], "--out", tmp_path / "film.mp4"]
    line = told(*tokens, "--src-like", tmp_path / "nobody.png")  # type: ignore[operator]
    assert "nobody.png" in line
    assert list(tmp_path.iterdir()) == []


def test_a_clip_without_faces_is_told_with_a_command_that_works(
    told: object, clips: Clips, faceless: Path, tmp_path: Path
) -> None:
    tokens = ["run", "--src", clips[0], "--dst", faceless, "--out", tmp_path / "film.mp4"]
    line = told(*tokens)  # type: ignore[operator]
    assert "expected a face in at least one frame" in line
    command = command_in(line)
    assert command[:3] == ["extract", "dst", "--restart"]
    assert command[-2:] == ["--min-face-px", "12"]
    assert "none in 3 frames" in told(*command)  # type: ignore[operator]


def test_a_film_before_merging_asks_for_what_is_missing_only(
    told: object, workspace: Path, tmp_path: Path
) -> None:
    shutil.rmtree(workspace / "data_dst" / "merged")
    video = ["video", "--out", tmp_path / "film.mp4", "--workspace", workspace]
    line = told(*video)  # type: ignore[operator]
    assert line.endswith(f"First: understudy merge --workspace {workspace}")
    shutil.rmtree(workspace / "data_dst" / "aligned")
    line = told(*video)  # type: ignore[operator]
    assert "extract dst, merge" in line and "frames dst" not in line


def test_a_result_without_an_ending_is_refused_with_those_there_are(
    told: object, clips: Clips, tmp_path: Path
) -> None:
    out = tmp_path / "pictures"
    line = told("run", "--src", clips[0], "--dst", clips[1], "--out", out)  # type: ignore[operator]
    assert "found no ending" in line and "--format png" in line
    words = RunOptions.model_fields["out"].description or ""
    assert all(ending in line and ending in words for ending in CONTAINERS)
    assert list(tmp_path.iterdir()) == []
