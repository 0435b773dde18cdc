"""What goes wrong is told in one line that names the thing, with exit code 2; nothing breaks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.cli.main import main
from understudy.workspace import Workspace

Clips = tuple[Path, Path]


def film(src: Path, dst: Path, out: Path, *more: str) -> list[str | Path]:
    return ["run", "--src", src, "--dst", dst, "--out", out, "--preset", "demo", *more]


def test_missing_clip(told, clips: Clips, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert "no such 文件.mp4" in told(
        *film(tmp_path / "no such 文件.mp4", clips[1], tmp_path / "o.mp4")
    )
    assert list(tmp_path.glob("o*")) == [], "nothing was begun"


@pytest.mark.parametrize("content", [b"", b"hello world" * 100, b"\x00" * 5000])
def test_file_that_is_no_video(told, clips: Clips, tmp_path: Path, content: bytes) -> None:  # type: ignore[no-untyped-def]
    fake = tmp_path / "fake.mp4"
    fake.write_bytes(content)
    assert "fake.mp4" in told(*film(clips[0], fake, tmp_path / "o.mp4"))


def test_folder_instead_of_a_clip(told, clips: Clips, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert str(tmp_path) in told(*film(tmp_path, clips[1], tmp_path / "o.mp4"))


def test_clip_without_any_face(told, faceless: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    workspace = tmp_path / "w"
    Workspace.create(workspace)
    assert main(["frames", "src", "--video", str(faceless), "--workspace", str(workspace)]) == 0
    assert main(["extract", "src", "--workspace", str(workspace)]) == 2


def test_wrong_ending_of_the_result(told, clips: Clips, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert ".mp4" in told(*film(*clips, tmp_path / "result.txt"))


@pytest.mark.parametrize(
    ("tokens", "named"),
    [
        (["train", "--colour", "red"], ["--colour"]),
        (["train", "--batch-size", "0"], ["--batch-size", "found 0"]),
        (["train", "--batch-size", "many"], ["--batch-size", "many"]),
        (["extract", "sideways"], ["sideways", "src", "dst"]),
        (["extract"], ["SIDE"]),
        (["merge", "--erode-mask", "1000"], ["--erode-mask", "400", "1000"]),
        (["merge", "--mode", "magic"], ["--mode", "magic", "overlay"]),
        (["dance"], ["dance"]),
    ],
)
def test_unknown_options_and_values(told, tokens: list[str], named: list[str]) -> None:  # type: ignore[no-untyped-def]
    line = told(*tokens)
    for word in named:
        assert word.lower() in line.lower()


def test_values_that_do_not_go_together(told) -> None:  # type: ignore[no-untyped-def]
    line = told("bench", "train", "--resolution", "33")
    assert "--resolution: expected a resolution that is a multiple of 32 for this archi" in line
    assert "found resolution 33, archi df-ud. See" in line


def test_missing_workspace(told, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for step in (["frames", "src"], ["extract", "dst"], ["train"], ["merge"], ["video"]):
        line = told(*step, "--workspace", tmp_path / "nowhere")
        assert "nowhere" in line
        assert "understudy new" in line


def test_step_out_of_order_names_the_one_before(told, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    Workspace.create(tmp_path)
    at = ["--workspace", tmp_path]
    assert "--video" in told("frames", "src", *at)
    assert "understudy frames" in told("extract", "src", *at)
    assert "aligned" in told("train", *at)
    assert "understudy frames dst" in told("merge", *at)


def test_newer_workspace(told, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    Workspace.create(tmp_path)
    (tmp_path / "workspace.json").write_text(json.dumps({"version": 99}))
    assert "newer" in told("info", tmp_path)


def test_two_processes_on_one_workspace(told, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    workspace = Workspace.create(tmp_path)
    code = (
        "import sys\nfrom pathlib import Path\nfrom understudy.workspace import Workspace\n"
        "with Workspace.open(Path(sys.argv[1])).lock():\n print('x', flush=True)\n sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(workspace.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert str(other.pid) in told("train", "--workspace", tmp_path)
        other.kill()


def test_other_clip_in_the_same_workspace(told, clips: Clips, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    Workspace.create(tmp_path)
    at = ["--workspace", str(tmp_path)]
    assert main(["frames", "dst", "--video", str(clips[1]), *at]) == 0
    names = sorted((tmp_path / "data_dst").iterdir())
    line = told("frames", "dst", "--video", clips[0], *at)
    assert "plate.mp4" in line
    assert "--restart" in line
    assert sorted((tmp_path / "data_dst").iterdir()) == names
