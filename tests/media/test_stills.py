"""Single pictures of each format and depth come back as they were stored."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import FormatError, OptionError
from understudy.media.stills import STILL_FORMATS, read_still, still_depth, write_still

CASES = [
    (name, depth, channels)
    for name, each in STILL_FORMATS.items()
    for depth, channels in each.pixel_formats
]


@pytest.mark.parametrize(("name", "depth", "channels"), CASES)
def test_what_is_written_is_read(name: str, depth: int, channels: int, tmp_path: Path) -> None:
    random = np.random.default_rng(depth * channels)
    path = tmp_path / f"Ünï 片{STILL_FORMATS[name].suffix}"
    if name == "exr":
        picture = random.normal(0.5, 1.0, (21, 33, channels)).astype(np.float32)
        wanted = picture.astype(np.float16).astype(np.float32) if depth == 16 else picture
    else:
        kind = np.uint8 if depth == 8 else np.uint16
        picture = random.integers(0, np.iinfo(kind).max, (21, 33, channels)).astype(kind)
        wanted = picture
        if depth == 10:
            picture = (picture >> 6) * 16400 // 256  # levels that ten bits hold
            picture = np.minimum((picture.astype(np.uint32) >> 6) * 65535 // 1023, 65535)
            picture = wanted = picture.astype(np.uint16)
    write_still(path, picture, bit_depth=depth)
    found = read_still(path)
    assert found.dtype == wanted.dtype
    if depth == 10:
        assert np.abs(found.astype(int) - wanted).max() <= 1
    else:
        assert np.array_equal(found, wanted)


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
def test_another_program_reads_them(tmp_path: Path) -> None:
    wanted = {
        ("png", 16, 4): "rgba64be",
        ("tiff", 16, 4): "rgba64le",
        ("exr", 16, 4): "gbrapf32le",
        ("exr", 32, 3): "gbrpf32le",
        ("dpx", 10, 3): "gbrp10le",
    }
    picture = np.full((16, 24, 4), 30000, np.uint16)
    for (name, depth, channels), pixel_format in wanted.items():
        path = tmp_path / f"x{depth}{channels}{STILL_FORMATS[name].suffix}"
        write_still(path, picture[..., :channels], bit_depth=depth)
        asked = ["-v", "error", "-show_entries", "stream=pix_fmt,width,height", "-of", "csv=p=0"]
        told = subprocess.run(
            ["ffprobe", *asked, str(path)], check=True, capture_output=True, text=True
        ).stdout
        assert told.strip() == f"24,16,{pixel_format}"


def test_depths_follow_the_pictures() -> None:
    assert [still_depth(name, None, is_deep=False) for name in STILL_FORMATS] == [8, 8, 16, 10]
    assert [still_depth(name, None, is_deep=True) for name in STILL_FORMATS] == [16, 16, 16, 16]
    assert still_depth("exr", 32, is_deep=False) == 32
    with pytest.raises(OptionError, match="8 or 16 for png"):
        still_depth("png", 32, is_deep=False)


def test_refusals(tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 4), np.uint16)
    with pytest.raises(OptionError, match="10 bits, 4 channels"):
        write_still(tmp_path / "x.dpx", picture, bit_depth=10)
    whole = tmp_path / "x.exr"
    write_still(whole, picture, bit_depth=16)
    whole.write_bytes(whole.read_bytes()[:200])
    with pytest.raises(FormatError, match="a whole exr picture"):
        read_still(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["x.exr"]
