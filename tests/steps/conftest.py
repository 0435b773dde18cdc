"""Two very short clips with one face each, cut from the demo's."""

import re
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from short_clips import short_clip
from tiny_model import TINY
from understudy.cli.main import main
from understudy.media.encode import encode_video
from understudy.workspace import Workspace


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Options of the smallest model worth training."""
    return TINY


@pytest.fixture(scope="session", autouse=True)
def own_key_folder(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Signing keys of the tests stay out of the user's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Clips of 6 and 5 frames whose paths have spaces, accents and Chinese characters."""
    folder = tmp_path_factory.mktemp("Ünïcode 片段 clips")
    return short_clip("src", 6, folder / "the face.mp4"), short_clip("dst", 5, folder / "plate.mp4")


@pytest.fixture(scope="session")
def faceless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of soft noise."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (3, 40, 40, 3), np.uint8)
    frames = [cv2.resize(n, (160, 160), interpolation=cv2.INTER_CUBIC) for n in noise]
    out = tmp_path_factory.mktemp("faceless") / "noise.mp4"
    encode_video(frames, out, timing=Fraction(25))
    return out


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> object:
    """Runs a command that must fail on the user's input; gives its one line.

    Steps that went well before it may have told how far they were.
    """

    def run(*tokens: str | Path) -> str:
        capsys.readouterr()
        assert main([str(token) for token in tokens]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert all(re.match(r"[a-z][a-z -]*: \S", line) for line in lines), lines  # step: words
        assert [line for line in lines if line.startswith("understudy: ")] == lines[-1:], lines
        return lines[-1]

    return run


@pytest.fixture(scope="session")
def merged(clips: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
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
