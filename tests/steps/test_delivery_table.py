"""Each delivery format against an independent reader: one table, and what has to hold in it."""

import hashlib
import json
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from merged_by_hand import COUNT, RATE, SIZE, workspace_with_merged, write_plate
from understudy.cli.main import main
from understudy.media.images import read_pixels
from understudy.media.stills import read_still
from understudy.media.video import decode_frames
from understudy.provenance.verify import verify

needs_ffprobe = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe")

FILMS = [
    *[("h264", ending, False) for ending in ("mp4", "mov", "mkv", "avi")],
    ("h264", "mp4", True),
    *[("h265", ending, deep) for ending in ("mp4", "mov", "mkv") for deep in (False, True)],
    *[("h265-lossless", ending, deep) for ending in ("mp4", "mkv") for deep in (False, True)],
    *[("av1", ending, deep) for ending in ("mp4", "mkv") for deep in (False, True)],
    *[("lossless", ending, False) for ending in ("mp4", "mov", "mkv")],
    *[("prores-hq", "mov", deep) for deep in (False, True)],
    *[("prores-4444", ending, True) for ending in ("mov", "mkv")],
    *[("dnxhr", "mov", deep) for deep in (False, True)],
    *[("ffv1", ending, deep) for ending in ("mkv", "avi") for deep in (False, True)],
]
EXACT = ("lossless", "ffv1")
_ABOUT = {  # what it may be off by: mean of 255 levels, matte colours and all
    "h264": 2.0,
    "h265": 2.5,
    "h265-lossless": 1.0,
    "av1": 2.5,
    "prores-hq": 1.0,
    "prores-4444": 1.0,
    "dnxhr": 1.5,
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    folder = tmp_path_factory.mktemp("table")
    return {
        False: workspace_with_merged(folder / "w", write_plate(folder / "plate.mp4")),
        True: workspace_with_merged(folder / "d", write_plate(folder / "deep.mov", deep=True)),
    }


def probed(path: Path) -> dict[str, Any]:
    """What ffprobe says of the picture track, and of how long each track is."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-count_packets", "-show_streams"]
    done = subprocess.run([*command, str(path)], capture_output=True, check=True)
    streams = json.loads(done.stdout)["streams"]
    found = dict(next(s for s in streams if s["codec_type"] == "video"))
    found["sounds"] = [s["codec_name"] for s in streams if s["codec_type"] == "audio"]
    return found


def sound_hashes(path: Path) -> list[str]:
    """Hash of each sound track's packets, as ffprobe reads them."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-select_streams", "a"]
    command += ["-show_packets", "-show_data_hash", "sha256"]
    done = subprocess.run([*command, str(path)], capture_output=True, check=True)
    tracks: dict[int, list[str]] = {}
    for packet in json.loads(done.stdout)["packets"]:
        tracks.setdefault(packet["stream_index"], []).append(packet["data_hash"])
    return [hashlib.sha256("".join(each).encode()).hexdigest()[:8] for each in tracks.values()]


def row(text: str) -> None:
    """A line of the table: pytest -m slow -s shows it."""
    sys.stdout.write(text + "\n")


def deliver(workspace: Path, out: Path, *options: str) -> None:
    tokens = ["video", "--workspace", str(workspace), "--out", str(out), *options]
    assert main([*tokens, "--encoder-preset", "veryfast"]) == 0


def merged_of(workspace: Path) -> list[np.ndarray]:
    return [read_pixels(p) for p in sorted((workspace / "data_dst" / "merged").glob("*.png"))]


def unit(pixels: np.ndarray) -> np.ndarray:
    white = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    return np.asarray(pixels[..., :3].astype(np.float64) / white)


@pytest.mark.slow
@needs_ffprobe
@pytest.mark.parametrize(("name", "ending", "deep"), FILMS)
def test_films(
    name: str, ending: str, deep: bool, sources: dict[bool, Path], tmp_path: Path
) -> None:
    workspace, out = sources[deep], tmp_path / f"film.{ending}"
    deliver(workspace, out, "--format", name)
    told = probed(out)
    errors = [
        np.abs(unit(frame.pixels) - unit(merged))
        for frame, merged in zip(decode_frames(out), merged_of(workspace), strict=True)
    ]
    mean = 255 * float(np.mean([each.mean() for each in errors]))
    worst = 255 * float(max(each.max() for each in errors))
    plate = workspace.parent / ("deep.mov" if deep else "plate.mp4")
    sounds = sound_hashes(out)
    copied = sum(own == made for own, made in zip(sound_hashes(plate), sounds, strict=True))
    verdict = verify(out)
    tags = [told.get(f"color_{key}", "-") for key in ("space", "transfer", "primaries", "range")]
    seconds = float(told.get("duration") or 0)
    row(
        f"{name:14} {ending} {16 if deep else 8:2}  {told['codec_name']:6} {told['pix_fmt']:13}"
        f" {told['nb_read_packets']:>2} {told['r_frame_rate']:>11} {seconds:6.3f} s"
        f" {' '.join(tags):42} off {mean:5.3f} at most {worst:6.2f}"
        f" sound {copied}/{len(sounds)} copied {'+'.join(told['sounds'])}"
        f" {verdict.integrity} ({verdict.place})"
    )
    assert int(told["nb_read_packets"]) == COUNT
    assert (told["height"], told["width"]) == SIZE
    if ending != "mkv":
        assert Fraction(told["r_frame_rate"]) == RATE
        assert abs(seconds - COUNT / RATE) < 0.001
    assert verdict.integrity == "intact"
    assert len(sounds) == 2
    assert copied == (2 if ending != "avi" else 1)
    if name in EXACT:
        assert worst == 0
    else:
        assert mean < _ABOUT[name]
    if ending != "avi" and deep and name != "ffv1":
        matrix = "bt709" if name == "dnxhr" else "bt2020nc"
        assert tags[:3] == [matrix, "smpte2084", "bt2020"]


@pytest.mark.slow
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", ["png", "tiff", "exr", "dpx"])
def test_sequences(name: str, deep: bool, sources: dict[bool, Path], tmp_path: Path) -> None:
    workspace, out = sources[deep], tmp_path / "pictures"
    options = ["--bit-depth", "32"] if name == "exr" and deep else []
    deliver(workspace, out, "--format", name, *options)
    files = sorted(path for path in out.iterdir() if path.stem.isdecimal())
    errors = [
        np.abs(unit(read_still(path)) - unit(merged)).max()
        for path, merged in zip(files, merged_of(workspace), strict=True)
    ]
    worst = 255 * float(max(errors))
    verdict = verify(out)
    row(f"{name:14} {16 if deep else 8:2}  off at most {worst:.5f}  {verdict.integrity}")
    assert verdict.integrity == "intact"
    limit = {"png": 0, "tiff": 0, "exr": 255 / 4096, "dpx": 0 if deep else 255 / 2046}[name]
    if name == "exr" and deep:
        limit = 255e-7
    assert worst <= limit + 1e-9


@pytest.mark.slow
@needs_ffprobe
def test_a_mark_leaves_the_pictures_as_they_were(sources: dict[bool, Path], tmp_path: Path) -> None:
    """What a player shows of a marked film is what it shows of the same film unmarked."""
    marked, bare = tmp_path / "marked.mp4", tmp_path / "bare.mp4"
    plain = Path(shutil.copytree(sources[False], tmp_path / "w"))
    assert main(["consent", "--workspace", str(plain), "--marking", "off"]) == 0
    deliver(sources[False], marked)
    deliver(plain, bare)
    assert (verify(marked).integrity, verify(bare).integrity) == ("intact", "absent")
    for one, other in zip(decode_frames(marked), decode_frames(bare), strict=True):
        assert one.time == other.time
        assert one.pixels.tobytes() == other.pixels.tobytes()
    assert sound_hashes(marked) == sound_hashes(bare)
    player = shutil.which("ffmpeg")
    if player is not None:
        command = [player, "-v", "error", "-f", "framemd5", "-"]
        shown = [
            subprocess.run(
                [*command[:3], "-i", str(path), *command[3:]], capture_output=True, check=True
            ).stdout
            for path in (marked, bare)
        ]
        assert shown[0] == shown[1]
