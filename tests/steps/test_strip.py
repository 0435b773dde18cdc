"""Before and after: what lies on either side of the line, and that it carries its mark."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from merged_by_hand import COUNT, RATE, SIZE, workspace_with_merged, write_plate
from understudy.cli.main import main
from understudy.media.images import read_pixels
from understudy.media.video import decode_frames, probe
from understudy.provenance.verify import verify

Told = Callable[..., str]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strip")
    return workspace_with_merged(folder / "w", write_plate(folder / "plate.mp4"))


def picture(workspace: Path, number: int, *, merged: bool) -> np.ndarray:
    folder = workspace / "data_dst" / ("merged" if merged else ".")
    return read_pixels(folder / f"{number:05d}.png").astype(int)


@pytest.mark.parametrize("layout", ["split", "wipe", "side"])
def test_films(layout: str, workspace: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.mp4"
    options = ["--layout", layout, "--out", str(out), "--workspace", str(workspace)]
    assert main(["strip", *options, "--at", "40"]) == 0
    frames = [frame.pixels.astype(int) for frame in decode_frames(out)]
    assert len(frames) == COUNT
    info = probe(out)
    assert (info.rate, len(info.audio)) == (RATE, 2)
    width = SIZE[1]
    assert info.width == (2 * width + 6 if layout == "side" else width)
    before, after = picture(workspace, 3, merged=False), picture(workspace, 3, merged=True)
    shown = frames[2]
    if layout == "side":
        assert np.abs(shown[:, :width] - before).mean() < 2
        assert np.abs(shown[:, -width:] - after).mean() < 2
    if layout == "split":
        place = round(0.4 * width)
        assert np.abs(shown[:, : place - 4] - before[:, : place - 4]).mean() < 2
        assert np.abs(shown[:, place + 4 :] - after[:, place + 4 :]).mean() < 2
        assert shown[:, place - 1 : place + 1].min() > 200
    if layout == "wipe":  # it has hardly left the left rim
        assert np.abs(shown[:, 16:] - after[:, 16:]).mean() < 2
    assert verify(out).integrity == "intact"


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_pictures(ending: str, workspace: Path, tmp_path: Path, told: Told) -> None:
    out = tmp_path / f"strip{ending}"
    options = ["--out", str(out), "--workspace", str(workspace)]
    assert main(["strip", *options, "--count", "3", "--width", "128"]) == 0
    shown = read_pixels(out).astype(int)
    assert shown.shape == (2 * (34 + 65), 3 * 128 + 2 * 6, 3)
    before, after = shown[34:99], shown[133:]
    assert np.abs(before[:, :20] - after[:, :20]).mean() < 3, "far from the face they are the same"
    assert np.abs(before[22:42, 54:74] - after[22:42, 54:74]).mean() > 20
    assert verify(out).integrity == "intact"
    assert main(["strip", *options, "--count", "40"]) == 0
    (tmp_path / "mine.png").write_bytes(b"mine")
    line = told("strip", "--workspace", workspace, "--out", tmp_path / "mine.png")
    assert "--overwrite" in line
    assert "ending in" in told("strip", "--workspace", workspace, "--out", tmp_path / "x.gif")
