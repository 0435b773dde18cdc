"""`kill -9` at twenty random moments of a run: it always goes on and ends with the same film."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from understudy.media.video import decode_frames
from understudy.provenance.verify import verify
from understudy.training.state.model_folder import open_model

Clips = tuple[Path, Path]
KILLS = 20
LONGEST = 9.0  # seconds; an undisturbed run takes longer


def tokens(clips: Clips, out: Path, workspace: Path) -> list[str]:
    src, dst = map(str, clips)
    command = [sys.executable, "-m", "understudy.cli.main", "run", "--src", src, "--dst", dst]
    command += ["--out", str(out), "--workspace", str(workspace)]
    return [*command, "--preset", "demo", "--target-iter", "12"]


@pytest.mark.slow
def test_twenty_kills(clips: Clips, tmp_path: Path) -> None:
    rng = random.Random(5)
    out, workspace = tmp_path / "result.mp4", tmp_path / "w"
    moments = []
    for kill in range(KILLS):
        if kill % 5 == 4 and workspace.exists():  # some kills meet a later stage, some an early one
            out, workspace = tmp_path / f"result{kill}.mp4", tmp_path / f"w{kill}"
        wait = rng.uniform(0.3, LONGEST)
        with subprocess.Popen(
            tokens(clips, out, workspace), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as run:
            time.sleep(wait)
            ended = run.poll()
            run.send_signal(signal.SIGKILL)
            errors = run.communicate()[1].decode()
        assert ended in (None, 0), errors
        moments.append(round(wait, 1))
    workspaces = [(tmp_path / "result.mp4", tmp_path / "w"), (out, workspace)]
    for film, folder in workspaces:
        last = subprocess.run(
            tokens(clips, film, folder), capture_output=True, text=True, check=False
        )
        assert last.returncode == 0, last.stderr
        assert sum(1 for _ in decode_frames(film)) == 5, moments
        assert verify(film).integrity == "intact"
        newest = open_model(folder / "model" / "new").newest(print)
        assert newest is not None
        assert newest.iteration == 12
