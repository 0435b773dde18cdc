"""Denoising takes noise and leaves detail; originals are kept, and a kill loses nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.cli.main import main
from understudy.errors import Cancelled
from understudy.job import Job
from understudy.media.images import read_pixels, write_image
from understudy.steps.denoise import DenoiseOptions, denoise
from understudy.workspace import Workspace

Told = Callable[..., str]
COUNT = 8


def clean_frame(number: int) -> np.ndarray:
    """Stripes that move two pixels a frame behind a bar that stands still."""
    y, x = np.mgrid[0:96, 0:128].astype(np.float64)
    moving = 128 + 70 * np.sin((x - 2 * number) / 7) * np.cos(y / 11)
    picture = np.dstack([moving, moving * 0.8 + 20, 255 - moving])
    picture[30:60, 40:48] = (220, 40, 60)
    return picture


def frames_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    random = np.random.default_rng(4)
    folder = Workspace.create(tmp_path / "w").dst.frames_dir
    for number in range(COUNT):
        noisy = clean_frame(number) + random.normal(0, 6, (96, 128, 3))
        pixels = np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)
        write_image(folder / f"{number + 1:05d}.png", pixels)
    return tmp_path / "w"


def error_of(folder: Path) -> float:
    """Root of the mean squared difference to the noiseless frames, in levels."""
    differences = [
        read_pixels(path) - clean_frame(number) for number, path in enumerate(frames_in(folder))
    ]
    return float(np.sqrt(np.mean(np.square(differences))))


def test_noise_goes_and_the_originals_stay(workspace: Path) -> None:
    folder = workspace / "data_dst"
    before = {path.name: path.read_bytes() for path in frames_in(folder)}
    assert error_of(folder) == pytest.approx(6, abs=0.3)
    assert main(["denoise", "dst", "--workspace", str(workspace)]) == 0
    assert error_of(folder) < 3.6
    bar = np.mean([read_pixels(path)[30:60, 40:48] for path in frames_in(folder)], axis=(0, 1, 2))
    assert np.abs(bar - (220, 40, 60)).max() < 2
    kept = folder / "original"
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    first = {path.name: path.read_bytes() for path in frames_in(folder)}
    assert main(["denoise", "dst", "--workspace", str(workspace)]) == 0
    assert {path.name: path.read_bytes() for path in frames_in(folder)} == first
    assert main(["denoise", "dst", "--factor", "4", "--workspace", str(workspace)]) == 0
    assert first != {path.name: path.read_bytes() for path in frames_in(folder)}
    assert main(["denoise", "dst", "--factor", "7", "--workspace", str(workspace)]) == 0
    assert {path.name: path.read_bytes() for path in frames_in(folder)} == first
    assert main(["denoise", "dst", "--undo", "--workspace", str(workspace)]) == 0
    assert {path.name: path.read_bytes() for path in frames_in(folder)} == before
    assert not kept.exists()


def test_stopped_anywhere_it_goes_on(workspace: Path, tmp_path: Path) -> None:
    folder = workspace / "data_dst"
    options = DenoiseOptions(workspace=workspace, side="dst")
    denoise(options, Job("denoise"))
    whole = {path.name: path.read_bytes() for path in frames_in(folder)}
    assert main(["denoise", "dst", "--undo", "--workspace", str(workspace)]) == 0
    for stop_at in (1, 3, 6):
        job = Job("denoise", workers=1)
        replaced = 0

        def stop(event: object, stop_at: int = stop_at, job: Job = job) -> None:
            nonlocal replaced
            replaced += getattr(event, "kind", "") == "progress"
            if replaced >= stop_at:
                job.cancel()

        with job.heard_by(stop), pytest.raises(Cancelled):
            denoise(options, job)
            raise Cancelled
    denoise(options, Job("denoise"))
    assert {path.name: path.read_bytes() for path in frames_in(folder)} == whole


def test_frames_made_anew_are_not_taken_for_ours(workspace: Path, told: Told) -> None:
    folder = workspace / "data_dst"
    assert main(["denoise", "dst", "--workspace", str(workspace)]) == 0
    write_image(folder / "00003.png", np.full((96, 128, 3), 9, np.uint8))
    line = told("denoise", "dst", "--workspace", workspace)
    assert "the original of 00003.png" in line
    assert read_pixels(folder / "00003.png").max() == 9


def test_deep_frames_and_cuts(workspace: Path) -> None:
    """Sixteen bits stay sixteen, and a neighbour of another shot is left out."""
    folder = workspace / "data_dst"
    for path in frames_in(folder)[4:]:
        path.unlink()
    for number, path in enumerate(frames_in(folder)):
        pixels = read_pixels(path).astype(np.uint16) * 257
        write_image(path, pixels if number < 2 else (65535 - pixels))
    before = [read_pixels(path) for path in frames_in(folder)]
    assert main(["denoise", "dst", "--workspace", str(workspace)]) == 0
    for old, new in zip(before, [read_pixels(p) for p in frames_in(folder)], strict=True):
        assert new.dtype == np.uint16
        assert np.abs(new.astype(float) - old).mean() < 8 * 257
