"""A kill or a full disk in the middle of mask training or painting loses nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from labelled import labelled_workspace, pixels_of
from understudy.cli.main import main
from understudy.facesets.faceset import Faceset
from understudy.training.state.model_folder import open_model
from understudy.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills and limits are POSIX")

TINY = ["--resolution", "64", "--base-dims", "2", "--batch-size", "2", "--threads", "1"]
LIMITED = """
import resource, signal, sys
from understudy.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(main(sys.argv[2:]))
"""
KILLED_WHILE_WRITING = """
import os, signal, sys
from understudy.facesets.dfl import face_file
from understudy.cli.main import main
write, count = face_file.write_face, 0
def write_face(path, sample, **rest):
    global count
    count += 1
    if count > int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, sample, **rest)
face_file.write_face = write_face
main(sys.argv[2:])
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = labelled_workspace(tmp_path / "w", src=6, labelled=(1, 3, 4, 5, 6))
    (workspace.src.aligned_dir / "00002_0.jpg").unlink()  # it has a mask from elsewhere
    train = ["mask", "train", "--workspace", str(workspace.root), *TINY, "--target-iter", "2"]
    assert main(train) == 0
    return workspace


def run(code: str, *tokens: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *tokens], capture_output=True, text=True, check=False
    )


def num_masked(folder: Path) -> int:
    return sum(face.mask is not None for face in Faceset.open(folder))


def test_painting_goes_on_after_a_kill(workspace: Workspace) -> None:
    src = workspace.src.aligned_dir
    pixels = {p: pixels_of(p) for p in src.glob("*.jpg")}
    tokens = ["mask", "apply", "src", "--workspace", str(workspace.root)]
    assert run(KILLED_WHILE_WRITING, "2", *tokens).returncode == -signal.SIGKILL
    masked = num_masked(src)
    assert 0 < masked < 5
    assert main(tokens) == 0, "the masks painted before the kill are not taken for another's"
    assert num_masked(src) == 5
    assert {p: pixels_of(p) for p in src.glob("*.jpg")} == pixels
    assert [p.name for p in src.iterdir() if p.name.startswith(".")] == []
    again = {p: p.read_bytes() for p in src.glob("*.jpg")}
    assert main([*tokens, "--restart"]) == 0
    for path, data in again.items():
        assert path.read_bytes() == data, "in one go the same masks come out"


def test_a_full_disk_stops_painting_and_keeps_the_faces(workspace: Workspace) -> None:
    src = workspace.src.aligned_dir
    before = {p: p.read_bytes() for p in src.glob("*.jpg")}
    tokens = ["mask", "apply", "src", "--workspace", str(workspace.root)]
    done = run(LIMITED, "4000", *tokens)
    assert done.returncode == 2, done.stderr
    assert {p: p.read_bytes() for p in src.glob("*.jpg")} == before
    assert main(tokens) == 0


def test_training_goes_on_after_a_kill_and_a_full_disk(workspace: Workspace) -> None:
    tokens = ["mask", "train", "--workspace", str(workspace.root), "--threads", "1"]
    command = [sys.executable, "-m", "understudy.cli.main", *tokens, "--save-minutes", "0.0001"]
    with subprocess.Popen(
        [*command, "--target-iter", "100000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    ) as training:
        saves = workspace.model_dir / "XSeg" / "current.json"
        first, deadline = saves.stat().st_mtime_ns, time.monotonic() + 120
        while saves.stat().st_mtime_ns == first and time.monotonic() < deadline:
            time.sleep(0.05)
        training.send_signal(signal.SIGKILL)
    state = open_model(workspace.model_dir / "XSeg").load(pytest.fail)
    assert state.iteration > 2
    assert np.isfinite(list(state.history.curves["mask"])).all()
    wanted = ["--target-iter", str(state.iteration + 1)]
    done = run(LIMITED, "20000", *tokens, *wanted)
    assert done.returncode == 2, done.stderr
    kept = open_model(workspace.model_dir / "XSeg").load(pytest.fail)
    assert kept.iteration == state.iteration
    assert main([*tokens, *wanted]) == 0
    assert (
        open_model(workspace.model_dir / "XSeg").load(pytest.fail).iteration == kept.iteration + 1
    )
