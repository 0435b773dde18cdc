"""Every frame comes out once, in order, upright and in its true colours; junk is refused."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from understudy.errors import FileError, FormatError, MaterialError
from understudy.media.images import encode_picture
from understudy.media.video import decode_frames, probe
from understudy.types import ColorTags

Clip = Callable[..., Path]
NTSC = Fraction(30000, 1001)

KINDS: dict[str, dict[str, Any]] = {
    "b frames.mp4": {"options": {"bf": "3", "b-adapt": "0"}, "rate": NTSC},
    "open gop.mp4": {"options": {"x264-params": "open-gop=1:keyint=8:bframes=3:b-adapt=0"}},
    "b.mkv": {"options": {"bf": "3"}, "rate": NTSC},
    "b.mov": {"options": {"bf": "2"}},
    "xvid.avi": {"codec": "mpeg4", "options": {"bf": "2", "qscale": "2"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"lossless": "1", "cpu-used": "8"}},
    "mpeg1.mpg": {"codec": "mpeg1video", "options": {"bf": "2"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"bf": "2"}},
    "lossless.mkv": {"codec": "ffv1"},
    "moving.gif": {"codec": "gif", "pixel_format": "rgb8", "rate": Fraction(10)},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none:bframes=3"}},
}


@pytest.mark.parametrize("name", KINDS)
def test_each_frame_once_in_order(name: str, clip: Clip, number_of: Any) -> None:
    settings = {"num": 20, **KINDS[name]}
    path = clip(name, **settings)
    frames = list(decode_frames(path))
    assert [number_of(frame.pixels) for frame in frames] == list(range(20))
    assert [frame.index for frame in frames] == list(range(20))
    rate = settings.get("rate", Fraction(25))
    for frame in frames:
        expected = frames[0].time + frame.index / rate
        assert abs(frame.time - expected) <= Fraction(1, 1000)
    info = probe(path)
    assert info.rate == rate
    assert info.frame_count in (None, 20)
    assert (info.width, info.height) == (96, 48)
    assert info.start == frames[0].time


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(degrees: int, clip: Clip, numbered: Any) -> None:
    stored = numbered(37)
    path = clip("turned.mp4", num=3, rotation=degrees, picture=lambda _: stored)
    upright = np.rot90(stored, degrees // 90)
    info = probe(path)
    assert info.rotation_deg == degrees
    assert (info.height, info.width) == upright.shape[:2]
    frame = next(decode_frames(path))
    assert frame.pixels.shape == upright.shape
    assert np.abs(frame.pixels.astype(int) - upright).mean() < 6


COLORS = [(200, 60, 30), (30, 180, 60), (40, 60, 210), (128, 128, 128), (235, 220, 30)]


@pytest.mark.parametrize("height", [144, 720])
@pytest.mark.parametrize(
    ("tag", "matrix"), [(None, None), ("bt709", 1), ("smpte170m", 5), ("bt2020nc", 9)]
)
@pytest.mark.parametrize("full_range", [False, True])
def test_colors_follow_the_tags(
    height: int, tag: str | None, matrix: int | None, full_range: bool, clip: Clip
) -> None:
    """To two levels: 8-bit YUV can't say every colour exactly."""
    bars = np.repeat(np.repeat(np.array([COLORS], np.uint8), 32, 1), height, 0)
    numbers = {"smpte170m": 6, "bt709": 1, "bt2020nc": 9}
    tags = {"colorspace": numbers[tag]} if tag else {}
    if full_range:
        tags["color_range"] = 2
    path = clip(
        "bars.mkv",
        codec="ffv1",
        num=1,
        picture=lambda _: bars,
        matrix=matrix or (1 if height == 720 else 5),
        full_range=full_range,
        tags=tags,
    )
    pixels = next(decode_frames(path)).pixels
    for place, color in enumerate(COLORS):
        assert np.abs(pixels[height // 2, 16 + 32 * place].astype(int) - color).max() <= 2
    assert probe(path).color.matrix == tag
    assert probe(path).color.range == ("pc" if full_range else None)


def test_deep_sources_keep_their_levels(clip: Clip) -> None:
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 48, 0).repeat(3, 2)
    path = clip("deep.mkv", codec="ffv1", pixel_format="yuv444p10le", num=2, picture=lambda _: ramp)
    frame = next(decode_frames(path))
    assert probe(path).bit_depth == 10
    assert frame.pixels.dtype == np.uint16
    # One 10-bit level of luma is 75 of 65535; the clip was made from whole 8-bit levels.
    assert np.abs(frame.pixels.astype(int) - ramp.astype(int) * 257).max() <= 120
    assert frame.pixels[:, -1].min() >= 65535 - 75


def test_uneven_moments_come_as_they_are(clip: Clip, number_of: Any) -> None:
    ticks = [0, 33, 66, 133, 150, 400, 433]
    path = clip("vfr.mkv", ticks=ticks, time_base=Fraction(1, 1000), rate=Fraction(30))
    frames = list(decode_frames(path))
    assert [number_of(f.pixels) for f in frames] == list(range(7))
    assert [(f.time - frames[0].time) * 1000 for f in frames] == ticks
    path = clip("vfr.mp4", ticks=ticks, time_base=Fraction(1, 1000), rate=Fraction(30))
    assert probe(path).is_variable
    assert [(f.time - frames[0].time) * 1000 for f in decode_frames(path)] == ticks


def test_probe_tells_tracks_and_tags(clip: Clip) -> None:
    tags = {"color_primaries": 1, "color_trc": 1, "colorspace": 1, "color_range": 1}
    path = clip("tagged.mp4", rate=NTSC, num=30, sound="aac", sound_tracks=2, tags=tags, matrix=1)
    info = probe(path)
    assert info.color == ColorTags("bt709", "bt709", "bt709", "tv")
    assert (info.codec, info.rate, info.is_variable, info.frame_count) == ("h264", NTSC, False, 30)
    assert info.duration is not None
    assert abs(info.duration - 30 / NTSC) < Fraction(1, 100)
    assert [(t.codec, t.sample_rate, t.channels) for t in info.audio] == [("aac", 48000, 2)] * 2


def test_real_clips(shared: Path) -> None:
    counts = {
        "asl_man2_please.mkv": (73, 30),
        "grid_brbk7n.mpg": (75, 25),
        "headpose_male.gif": (62, 12),
        "film_tears_of_steel_10s.mp4": (240, 24),
    }
    for name, (count, rate) in counts.items():
        path = shared / "media" / name
        assert sum(1 for _ in decode_frames(path)) == count
        assert probe(path).rate == rate
    info = probe(shared / "media" / "grid_brbk7n.mpg")
    assert [(t.codec, t.sample_rate) for t in info.audio] == [("mp2", 44100)]


def test_damage_in_the_middle_is_told_and_costs_no_more(clip: Clip, number_of: Any) -> None:
    path = clip("hit.mp4", num=40)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 120] = bytes(120)
    path.write_bytes(data)
    told: list[str] = []
    frames = list(decode_frames(path, on_damage=told.append))
    assert len(told) == 1
    assert "hit.mp4: 3 damaged" in told[0]
    assert len(frames) == 37
    assert [number_of(f.pixels) for f in frames[:15]] == list(range(15))
    # What is left keeps its moments, so that the sound still fits.
    assert frames[-1].time - frames[0].time == Fraction(39, 25)


def test_cut_off_files(clip: Clip, number_of: Any) -> None:
    whole = clip("cut.mp4", num=12)
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) // 2])  # its index is at the end
    with pytest.raises(FormatError, match=r"cut\.mp4: expected a video"):
        probe(whole)
    for sound in ({}, {"sound": "aac"}):
        early = clip("cut.mkv", codec="ffv1", num=30, **sound)
        _check_cut_off(early, number_of)


def _check_cut_off(early: Path, number_of: Any) -> None:
    early.write_bytes(early.read_bytes()[: early.stat().st_size * 2 // 3])
    told: list[str] = []
    numbers = [number_of(f.pixels) for f in decode_frames(early, on_damage=told.append)]
    assert numbers[:18] == list(range(18))
    assert len(numbers) < 30
    assert "before its announced end" in told[-1]


def test_what_is_no_video_is_refused(tmp_path: Path, clip: Clip, numbered: Any) -> None:
    with pytest.raises(FileError, match="nothing"):
        probe(tmp_path / "none.mp4")
    with pytest.raises(FileError, match="folder"):
        list(decode_frames(tmp_path))
    listed = clip("listed.mp4", num=2)
    junk = {
        "empty.mp4": b"",
        "text.txt": b"hello\n" * 100,
        "zeros.mp4": bytes(5000),
        "picture.png": encode_picture(numbered(1), ".png"),
        "picture.jpg": encode_picture(numbered(1), ".jpg"),
        "list.m3u8": f"#EXTM3U\n#EXTINF:1,\n{listed}\n#EXT-X-ENDLIST\n".encode(),
        "list.txt": f"ffconcat version 1.0\nfile '{listed.name}'\n".encode(),
    }
    for name, data in junk.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(FormatError, match="expected a video"):
            probe(path)
        with pytest.raises(FormatError, match="expected a video"):
            list(decode_frames(path))


def test_clips_without_a_picture_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        track = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp")
        frame.sample_rate = 48000
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    with pytest.raises(MaterialError, match="sound only"):
        probe(path)
    empty = tmp_path / "empty.mkv"
    with av.open(str(empty), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    for read in (probe, lambda p: list(decode_frames(p))):
        with pytest.raises(MaterialError, match="at least one frame"):
            read(empty)


def test_names_of_any_kind(clip: Clip) -> None:
    for name in ("a b/c d.mp4", "é ü.mkv", "视频 王.mov", "concat:x.mp4", "50%d.avi", "-v.mp4"):
        codec = "mpeg4" if name.endswith("avi") else "libx264"
        path = clip(name.replace("mp4", "mp4"), num=2, codec=codec)
        assert sum(1 for _ in decode_frames(path)) == 2
