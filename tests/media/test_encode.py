"""What goes in comes out: every picture once, at its moment, in its colour, with its sound."""

import itertools
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from understudy.errors import (
    Cancelled,
    FileError,
    FormatError,
    MaterialError,
    OptionError,
    StorageError,
)
from understudy.media.encode import Sound, encode_video
from understudy.media.frames import extract_frames
from understudy.media.timing import Timing
from understudy.media.video import decode_frames, probe
from understudy.types import ColorTags

Clip = Callable[..., Path]
NTSC = Fraction(30000, 1001)


def top_boxes(path: Path) -> list[str]:
    data, at, kinds = path.read_bytes(), 0, []
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        kinds.append(kind.decode())
        at += size
    return kinds


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), NTSC, Fraction(60)])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_frames_and_rate_are_exact(
    rate: Fraction, suffix: str, tmp_path: Path, numbered: Any, number_of: Any
) -> None:
    out = tmp_path / f"out 片{suffix}"
    done: list[int] = []
    result = encode_video(
        (numbered(n) for n in range(40)), out, timing=rate, preset="fast", on_frame=done.append
    )
    assert (result.frames, result.height, result.width, result.rate) == (40, 48, 96, rate)
    assert done == list(range(1, 41))
    frames = list(decode_frames(out))
    assert [number_of(frame.pixels) for frame in frames] == list(range(40))
    info = probe(out)
    assert (info.rate, info.start) == (rate, 0)
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    if suffix != ".mkv":  # Matroska's clock counts milliseconds
        assert info.average_rate == rate
        assert [frame.time for frame in frames] == [n / rate for n in range(40)]
        assert info.duration == 40 / rate
        assert top_boxes(out).index("moov") < top_boxes(out).index("mdat")
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_uneven_moments_are_reproduced(
    suffix: str, clip: Clip, tmp_path: Path, number_of: Any
) -> None:
    ticks = [0, 33, 66, 133, 150, 400, 433, 460]
    source = clip("vfr.mkv", ticks=ticks, time_base=Fraction(1, 1000), rate=Fraction(30))
    timing = extract_frames(source, tmp_path / "f").manifest.timing
    out = tmp_path / f"out{suffix}"
    encode_video((f.pixels for f in decode_frames(source)), out, timing=timing)
    frames = list(decode_frames(out))
    assert [number_of(frame.pixels) for frame in frames] == list(range(8))
    assert [frame.time * 1000 for frame in frames] == ticks


COLORS = [(200, 60, 30), (30, 180, 60), (40, 60, 210), (128, 128, 128), (235, 220, 30)]


@pytest.mark.parametrize("height", [96, 720])
@pytest.mark.parametrize(
    "tags",
    [
        ColorTags(),
        ColorTags("bt709", "bt709", "bt709", "tv"),
        ColorTags("smpte170m", "smpte170m", "smpte170m", "pc"),
        ColorTags("bt2020", "bt2020-10", "bt2020nc", "tv"),
        ColorTags("bt709", "iec61966-2-1", "gbr", "pc"),
    ],
)
@pytest.mark.parametrize("depth", [8, 16])
def test_colors_stay_and_are_tagged(
    height: int, tags: ColorTags, depth: int, tmp_path: Path
) -> None:
    bars = np.repeat(np.repeat(np.array([COLORS], np.uint8), 32, 1), height, 0)
    picture = bars if depth == 8 else bars.astype(np.uint16) * 257
    out = tmp_path / "bars.mp4"
    encode_video([picture] * 3, out, timing=Fraction(25), color=tags, crf=4)
    color = probe(out).color
    assert color.matrix is not None
    assert None not in (color.primaries, color.transfer)
    assert color.range == ("pc" if tags.range == "pc" and tags.matrix != "gbr" else "tv")
    if tags.matrix not in (None, "gbr"):
        assert (color.primaries, color.transfer) == (tags.primaries, tags.transfer)
        assert color.matrix == tags.matrix
    decoded = next(decode_frames(out)).pixels
    for place, rgb in enumerate(COLORS):
        assert np.abs(decoded[height // 2, 16 + 32 * place].astype(int) - rgb).max() <= 3


def test_a_round_trip_moves_nothing(shared: Path, tmp_path: Path) -> None:
    """Real film decoded, encoded and decoded again: no drift of brightness or colour."""
    source = shared / "media" / "film_tears_of_steel_10s.mp4"
    plates = [f.pixels for f in itertools.islice(decode_frames(source), 24)]
    out = tmp_path / "film.mp4"
    encode_video(plates, out, timing=Fraction(24), crf=8, preset="veryfast")
    for plate, frame in zip(plates, decode_frames(out), strict=True):
        error = frame.pixels.astype(int) - plate
        assert np.abs(error.mean((0, 1))).max() < 0.3  # what x264 itself leaves
        assert np.abs(error).mean() < 1.2


@pytest.mark.parametrize(("height", "width"), [(75, 101), (76, 101), (75, 102)])
def test_odd_sizes(height: int, width: int, tmp_path: Path) -> None:
    ramp = np.linspace(20, 230, height * width * 3).reshape(height, width, 3).astype(np.uint8)
    out = tmp_path / "odd.mp4"
    result = encode_video([ramp] * 3, out, timing=Fraction(25), crf=4)
    assert (result.height, result.width) == (height + height % 2, width + width % 2)
    assert "is odd" in result.notices[0]
    decoded = next(decode_frames(out)).pixels
    assert decoded.shape == (result.height, result.width, 3)
    assert np.abs(decoded[:height, :width].astype(int) - ramp).mean() < 2
    exact = tmp_path / "exact.mp4"
    encode_video([ramp] * 3, exact, timing=Fraction(25), crf=4, chroma="4:4:4")
    assert next(decode_frames(exact)).pixels.shape == (height, width, 3)


def test_deep_output(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None, :, None].repeat(64, 0).repeat(3, 2)
    out = tmp_path / "deep.mp4"
    encode_video([ramp] * 2, out, timing=Fraction(25), bit_depth=10, crf=4)
    assert probe(out).bit_depth == 10
    decoded = next(decode_frames(out)).pixels
    assert np.abs(decoded / 65535 - ramp).max() < 0.01
    assert decoded[:, -1].min() > 65000


def test_pixel_shape_is_kept(tmp_path: Path, numbered: Any) -> None:
    out = tmp_path / "dv.mp4"
    encode_video([numbered(1)], out, timing=Fraction(25), sample_aspect=Fraction(16, 15))
    assert probe(out).sample_aspect == Fraction(16, 15)


def test_bad_input_leaves_nothing(tmp_path: Path, clip: Clip, numbered: Any) -> None:
    sound = clip("sound.mp4", num=3, sound="aac")
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / "x.mp4"

    def many() -> Iterator[np.ndarray]:
        yield from (numbered(n) for n in range(3))
        yield np.zeros((50, 96, 3), np.uint8)

    short = Timing(Fraction(30), 2, Fraction(1, 1000), ticks=(0, 50))
    with pytest.raises(MaterialError, match="96x50 at picture 4"):
        encode_video(many(), out, timing=Fraction(25), sound=Sound(sound))
    with pytest.raises(MaterialError, match="2 pictures"):
        encode_video([numbered(n) for n in range(3)], out, timing=short)
    with pytest.raises(MaterialError, match="at least one picture"):
        encode_video([], out, timing=Fraction(25))
    with pytest.raises(OptionError, match=r"\.mp4, \.mov, \.mkv"):
        encode_video([numbered(0)], folder / "x.wmv", timing=Fraction(25))
    with pytest.raises(FileError, match="nothing"):
        encode_video([numbered(0)], out, timing=Fraction(25), sound=Sound(folder / "none.mp4"))
    (tmp_path / "junk.mp4").write_bytes(b"junk" * 50)
    with pytest.raises(FormatError, match="expected a video"):
        encode_video([numbered(0)], out, timing=Fraction(25), sound=Sound(tmp_path / "junk.mp4"))
    with pytest.raises(FileError):
        encode_video([numbered(0)], folder / "none" / "x.mp4", timing=Fraction(25))
    assert not list(folder.iterdir())


def test_cancelling_keeps_the_old_file(tmp_path: Path, numbered: Any) -> None:
    out = tmp_path / "x.mp4"
    out.write_bytes(b"the old one")

    def stop(done: int) -> None:
        if done == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        encode_video((numbered(n) for n in range(9)), out, timing=Fraction(25), on_frame=stop)
    assert out.read_bytes() == b"the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["x.mp4"]


@pytest.mark.parametrize("limit", [20, 3000, 30_000, 60_000])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_full_disk_leaves_nothing(
    limit: int, suffix: str, tmp_path: Path, small_files: Any
) -> None:
    random = np.random.default_rng(0)
    noise = [random.integers(0, 255, (64, 96, 3), dtype=np.uint8) for _ in range(12)]
    out = tmp_path / f"x{suffix}"
    with small_files(limit), pytest.raises(StorageError):
        encode_video(noise, out, timing=Fraction(25), preset="ultrafast")
    assert not list(tmp_path.iterdir())
    encode_video(noise, out, timing=Fraction(25), preset="ultrafast")
    assert out.stat().st_size > 60_000


def test_gif_becomes_a_video(shared: Path, tmp_path: Path) -> None:
    source = shared / "media" / "headpose_male.gif"
    manifest = extract_frames(source, tmp_path / "f").manifest
    out = tmp_path / "out.mp4"
    frames = (f.pixels for f in decode_frames(source))
    result = encode_video(frames, out, timing=manifest.timing, sound=Sound(source), preset="fast")
    assert (result.frames, result.sound, result.rate) == (62, (), 12)
    with av.open(str(out)) as container:
        assert container.streams.video[0].average_rate == 12
