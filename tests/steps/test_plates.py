"""Plates of every depth through merging and out again: nothing outside the matte changes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.cli.main import main
from understudy.media.images import read_pixels, write_image
from understudy.media.plates import read_plate
from understudy.media.stills import read_still, write_still
from understudy.media.video import decode_frames, probe
from understudy.provenance.verify import verify

Told = Callable[..., str]


def scene(pixels: np.ndarray, seed: int) -> np.ndarray:
    """The picture as floats with alpha, and outside of the middle what only a scene has."""
    rng = np.random.default_rng(seed)
    colors = pixels.astype(np.float32) / 255 + rng.normal(0, 1e-3, pixels.shape)
    colors[:20] = rng.uniform(-2, 50, colors[:20].shape)
    colors[:2, :2] = np.inf
    alpha = rng.uniform(0, 1, (*pixels.shape[:2], 1))
    whole = np.dstack([colors, alpha]).astype(np.float32)
    return whole.astype(np.float16).astype(np.float32)


@pytest.fixture
def work(merged: Path, tmp_path: Path) -> Path:
    """A workspace whose frames are the user's own pictures, of no clip."""
    root = Path(shutil.copytree(merged, tmp_path / "w"))
    (root / "manifests" / "frames_dst.json").unlink()
    for folder in ("merged", "merged_mask"):
        shutil.rmtree(root / "data_dst" / folder)
    return root


def put_plates(root: Path, kind: str) -> None:
    for number, path in enumerate(sorted((root / "data_dst").glob("*.png"))):
        pixels = read_pixels(path)
        rng = np.random.default_rng(number)
        if kind in ("half", "float"):
            path.unlink()
            bits = 16 if kind == "half" else 32
            floats = scene(pixels, number)
            if kind == "float":
                floats[..., 0] += rng.normal(0, 1e-6, floats.shape[:2]).astype(np.float32)
            write_still(path.with_suffix(".exr"), floats, bit_depth=bits)
        elif kind == "deep":
            noise = rng.integers(0, 257, pixels.shape)
            write_image(path, (pixels.astype(np.uint16) * 255 + noise).astype(np.uint16))
        elif kind == "tiff":
            path.unlink()
            write_image(path.with_suffix(".tif"), pixels.astype(np.uint16) * 257)


@pytest.mark.parametrize("kind", ["eight", "deep", "tiff", "half", "float"])
def test_outside_the_matte_every_bit_is_the_plates(kind: str, work: Path, tmp_path: Path) -> None:
    put_plates(work, kind)
    assert main(["merge", "--workspace", str(work)]) == 0
    is_exr = kind in ("half", "float")
    plates = [p for p in sorted((work / "data_dst").iterdir()) if p.is_file()]
    merged = sorted((work / "data_dst" / "merged").iterdir())
    assert [path.stem for path in merged] == [path.stem for path in plates]
    assert {path.suffix for path in merged} == {".exr" if is_exr else ".png"}
    for plate_path, merged_path in zip(plates, merged, strict=True):
        plate, result = read_plate(plate_path), read_plate(merged_path)
        assert (plate.bits, plate.colors.dtype) == (result.bits, result.colors.dtype)
        mask = read_pixels(work / "data_dst" / "merged_mask" / f"{plate_path.stem}.png")[..., 0]
        outside = mask == 0
        assert 0.2 < outside.mean() < 0.95
        assert plate.colors[outside].tobytes() == result.colors[outside].tobytes()
        assert (plate.colors[~outside] != result.colors[~outside]).any()
        if plate.alpha is not None:
            assert result.alpha is not None
            assert plate.alpha.tobytes() == result.alpha.tobytes()
    report = json.loads((work / "reports" / "merge.json").read_text())
    assert (report["done"], report["failed"]) == (len(plates), [])


def test_exr_goes_out_as_it_came_in(work: Path, tmp_path: Path, told: Told) -> None:
    put_plates(work, "half")
    at = ["--workspace", str(work)]
    assert main(["merge", *at]) == 0
    assert main(["merge", *at]) == 0, "and what is right is not merged again"
    assert json.loads((work / "reports" / "merge.json").read_text())["done"] == 0
    merged = sorted((work / "data_dst" / "merged").iterdir())
    out = tmp_path / "pictures"
    assert main(["video", *at, "--out", str(out), "--format", "exr"]) == 0
    for path in merged:
        assert read_still(path).tobytes() == read_still(out / path.name).tobytes()
    assert verify(out).integrity == "intact"
    film = tmp_path / "film.mkv"
    assert main(["video", *at, "--out", str(film), "--format", "ffv1"]) == 0
    assert probe(film).bit_depth == 16
    for path, frame in zip(merged, decode_frames(film), strict=True):
        colors = np.clip(read_plate(path).colors, 0, 1)
        assert np.abs(frame.pixels / 65535 - colors).max() < 1e-4
    comp = tmp_path / "comp"
    assert main(["deliver", *at, "--out", str(comp)]) == 0
    for path in merged:
        plate = read_plate(work / "data_dst" / path.name).colors
        final = read_still(comp / "final" / path.name)
        finite = np.isfinite(plate).all(axis=-1)
        over = plate[finite] * (1 - final[finite][:, 3:]) + final[finite][:, :3]
        assert np.abs(over - read_plate(path).colors[finite]).max() < 1e-4
    assert "OpenEXR" in told("denoise", "dst", *at)
    assert main(["strip", *at, "--out", str(tmp_path / "strip.png")]) == 0
    assert main(["preview", *at, "--frame", path.stem]) == 0
