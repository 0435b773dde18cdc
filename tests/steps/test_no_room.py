"""A disk that takes no more: one line that names the file the user knows, nothing half-written."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.cli.main import main
from understudy.workspace import Workspace

Clips = tuple[Path, Path]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")

LIMITED = """
import resource, signal, sys
from understudy.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(main(sys.argv[2:]))
"""


def limited(bytes_at_most: int, *tokens: str | Path) -> "subprocess.CompletedProcess[str]":
    """A command that can write no file larger than that."""
    command = [sys.executable, "-c", LIMITED, str(bytes_at_most), *map(str, tokens)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def workspace(merged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(merged, tmp_path / "w"))


def test_frames(clips: Clips, tmp_path: Path) -> None:
    Workspace.create(tmp_path)
    tokens = ["frames", "dst", "--video", str(clips[1]), "--workspace", str(tmp_path)]
    done = limited(20_000, *tokens)
    assert done.returncode == 2, done.stderr
    assert "data_dst" in done.stderr.splitlines()[-1]
    assert [p for p in (tmp_path / "data_dst").rglob("*") if p.is_file()] == []
    assert main(tokens) == 0, "with room again it goes on"


def test_merge(workspace: Path) -> None:
    tokens = ["merge", "--erode-mask", "5", "--workspace", str(workspace)]
    merged = workspace / "data_dst" / "merged"
    before = {p: p.read_bytes() for p in merged.iterdir()}
    done = limited(20_000, *tokens)
    assert done.returncode == 2, done.stderr
    assert str(merged) in done.stderr.splitlines()[-1]
    assert {p: p.read_bytes() for p in merged.iterdir()} == before, "nothing half-written, either"
    assert main(tokens) == 0


def test_training(workspace: Path) -> None:
    tokens = ["train", "--target-iter", "2", "--workspace", str(workspace)]
    saves = workspace / "model" / "new" / "saves"
    before = sorted(saves.rglob("*"))
    done = limited(200_000, *tokens)
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert str(workspace / "model") in last and "partial" not in last
    assert sorted(saves.rglob("*")) == before
    assert main(tokens) == 0


def test_film(workspace: Path, tmp_path: Path) -> None:
    out = tmp_path / "films" / "result.mp4"
    out.parent.mkdir()
    done = limited(20_000, "video", "--out", out, "--workspace", workspace)
    assert done.returncode == 2, done.stderr
    assert f"{out}: expected" in done.stderr.splitlines()[-1]
    assert list(out.parent.iterdir()) == []


def test_film_into_a_folder_that_is_none(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "films").write_text("")
    out = tmp_path / "films" / "result.mp4"
    done = limited(10**8, "video", "--out", out, "--workspace", workspace)
    assert done.returncode == 2, done.stderr
    assert str(out) in done.stderr.splitlines()[-1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_events_file(workspace: Path) -> None:
    done = limited(10**8, "info", workspace, "--events", "/dev/full")
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("understudy: /dev/full: expected free disk")
    assert "Traceback" not in done.stderr
