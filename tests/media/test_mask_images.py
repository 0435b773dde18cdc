"""Masks painted elsewhere are read from whatever channel holds them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.errors import FileError, FormatError
from understudy.media.mask_images import encode_cutout, encode_mask, read_mask, read_size

LEVELS = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (30, 1))


def save(path: Path, pixels: np.ndarray) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_grey_of_8_and_16_bits(suffix: str, tmp_path: Path) -> None:
    grey = save(tmp_path / f"a{suffix}", LEVELS)
    near = 0.02 if suffix == ".jpg" else 1e-6
    np.testing.assert_allclose(read_mask(grey), LEVELS / 255, atol=near)
    rgb = save(tmp_path / f"b{suffix}", np.dstack([LEVELS] * 3))
    np.testing.assert_allclose(read_mask(rgb), LEVELS / 255, atol=near)
    assert read_size(grey) == (30, 40)
    if suffix != ".jpg":
        deep = save(tmp_path / f"c{suffix}", LEVELS.astype(np.uint16) * 257)
        mask = read_mask(deep)
        np.testing.assert_allclose(mask, LEVELS / 255, atol=1e-6)
        assert mask.dtype == np.float32


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_counts_where_there_is_any(suffix: str, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    path = save(tmp_path / f"a{suffix}", np.dstack([picture, LEVELS]))
    np.testing.assert_allclose(read_mask(path), LEVELS / 255, atol=1e-6)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) / 255
    np.testing.assert_allclose(read_mask(path, "grey"), grey, atol=0.01)
    opaque = np.full_like(LEVELS, 255)
    white = save(tmp_path / f"b{suffix}", np.dstack([LEVELS, LEVELS, LEVELS, opaque]))
    np.testing.assert_allclose(read_mask(white), LEVELS / 255, atol=1e-6)
    assert read_mask(white, "alpha").min() == 1.0


def test_what_is_no_mask_is_told(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    photo = save(tmp_path / "photo.png", picture)
    with pytest.raises(FormatError, match=r"photo\.png.*found colours"):
        read_mask(photo)
    with pytest.raises(FormatError, match="alpha channel, found one without"):
        read_mask(photo, "alpha")
    assert read_mask(photo, "grey").shape == (30, 40)
    (tmp_path / "text.png").write_bytes(b"no picture")
    for read in (read_mask, read_size):
        with pytest.raises(FormatError):
            read(tmp_path / "text.png")
        with pytest.raises(FileError):
            read(tmp_path / "none.png")
    whole = photo.read_bytes()
    photo.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError):
        read_mask(photo, "grey")


def test_cutouts_and_masks_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (30, 40, 3)).astype(np.float32) / 255
    mask = LEVELS.astype(np.float32) / 255
    (tmp_path / "a.png").write_bytes(encode_cutout(picture, mask))
    np.testing.assert_allclose(read_mask(tmp_path / "a.png"), mask, atol=1e-6)
    stored = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored[..., 2::-1], np.rint(picture * 255))
    (tmp_path / "b.png").write_bytes(encode_mask(mask))
    np.testing.assert_allclose(read_mask(tmp_path / "b.png"), mask, atol=1e-6)
