"""`kill -9` at twenty random moments of video and denoise: whole files, equal output."""

import hashlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from understudy.cli.main import main
from understudy.media.images import read_pixels
from understudy.provenance.verify import verify

KILLS = 20


def killed(tokens: list[str], wait: float) -> bool:
    """Whether the command was still at work when it was killed."""
    command = [sys.executable, "-m", "understudy.cli.main", *tokens]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        time.sleep(wait)
        ended = run.poll()
        run.send_signal(signal.SIGKILL)
        errors = run.communicate()[1].decode()
    assert ended in (None, 0), errors
    return ended is None


def seconds_of(tokens: list[str]) -> float:
    """How long the command takes if nobody disturbs it."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "understudy.cli.main", *tokens], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return time.monotonic() - begun


def film_content(film: Path) -> list[bytes]:
    """All packets of a film: what is in it but for its mark."""
    with av.open(str(film)) as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


def folder_content(folder: Path) -> dict[str, str]:
    """Hashes of all pictures and words in a folder; its mark holds random salts."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".c2pa"
    }


def disturb(tokens: list[str], longest: float, check: Callable[[], None], seed: int) -> int:
    """Kills the command twenty times and looks at what is there each time."""
    rng = random.Random(seed)
    met = 0
    for _ in range(KILLS):
        met += killed(tokens, rng.uniform(0.15 * longest, longest))
        check()
    return met


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("film.mp4", []),
        ("film.mkv", ["--format", "ffv1", "--matte", "alpha"]),
        ("film.mov", ["--format", "prores-hq", "--matte", "video"]),
    ],
)
def test_films(name: str, options: list[str], merged: Path, tmp_path: Path) -> None:
    work = Path(shutil.copytree(merged, tmp_path / "w"))
    (tmp_path / "whole").mkdir()
    whole, out = tmp_path / "whole" / name, tmp_path / "films" / name
    out.parent.mkdir()
    tokens = ["video", "--workspace", str(work), *options]
    longest = seconds_of([*tokens, "--out", str(whole)])

    def check() -> None:
        if out.exists():
            assert film_content(out) == film_content(whole)
            if verify(out).integrity != "intact":
                assert verify(out).integrity == "absent"
                assert out.suffix == ".mkv"
            out.unlink()

    met = disturb([*tokens, "--out", str(out)], longest, check, seed=1)
    assert met > 0
    assert main([*tokens, "--out", str(out)]) == 0
    assert film_content(out) == film_content(whole)
    assert verify(out).integrity == "intact"
    names = {path.name for path in whole.parent.iterdir()}
    assert {path.name for path in out.parent.iterdir()} == names


@pytest.mark.slow
def test_sequences(merged: Path, tmp_path: Path) -> None:
    work = Path(shutil.copytree(merged, tmp_path / "w"))
    whole, out = tmp_path / "whole", tmp_path / "pictures"
    tokens = ["video", "--workspace", str(work), "--format", "exr", "--matte", "alpha"]
    longest = seconds_of([*tokens, "--out", str(whole)])
    expected = folder_content(whole)

    def check() -> None:
        found = folder_content(out) if out.is_dir() else {}
        shown = {name: digest for name, digest in found.items() if not name.startswith(".")}
        assert shown.items() <= expected.items()

    disturb([*tokens, "--out", str(out)], longest, check, seed=2)
    assert main([*tokens, "--out", str(out)]) == 0
    assert folder_content(out) == expected
    assert verify(out).integrity == "intact"


@pytest.mark.slow
def test_denoise(merged: Path, tmp_path: Path) -> None:
    whole = Path(shutil.copytree(merged, tmp_path / "whole"))
    work = Path(shutil.copytree(merged, tmp_path / "w"))
    frames = sorted((work / "data_dst").glob("*.png"))
    before = {path.name: path.read_bytes() for path in frames}
    longest = seconds_of(["denoise", "dst", "--workspace", str(whole)])
    after = {name: (whole / "data_dst" / name).read_bytes() for name in before}
    tokens = ["denoise", "dst", "--workspace", str(work)]

    def check() -> None:
        for path in frames:
            assert path.read_bytes() in (before[path.name], after[path.name])
            read_pixels(path)
            kept = path.parent / "original" / path.name
            if path.read_bytes() == after[path.name]:
                assert kept.read_bytes() == before[path.name]

    disturb(tokens, longest, check, seed=4)
    assert main(tokens) == 0
    assert {path.name: path.read_bytes() for path in frames} == after
    assert main(["denoise", "dst", "--undo", "--workspace", str(work)]) == 0
    assert {path.name: path.read_bytes() for path in frames} == before
