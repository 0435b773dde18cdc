"""Every format written, decoded again and compared; its tags as another program reads them."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from understudy.errors import OptionError
from understudy.media.conversion import to_rgb
from understudy.media.encode import Sound, encode_video
from understudy.media.formats import VIDEO_FORMATS
from understudy.media.stored_frames import FrameMaker
from understudy.media.timing import Timing
from understudy.media.video import decode_frames, probe
from understudy.types import ColorTags

CASES = [
    (name, ending, depth, alpha)
    for name, each in VIDEO_FORMATS.items()
    for ending in each.endings
    for depth, alpha in each.pixel_formats
]
RATE = Fraction(24000, 1001)
HDR = ColorTags("bt2020", "smpte2084", "bt2020nc", "tv")
SDR = ColorTags("bt709", "bt709", "bt709", "tv")
FFPROBE = shutil.which("ffprobe")


def pictures(depth: int, *, alpha: bool, height: int = 120, width: int = 256) -> list[np.ndarray]:
    """Three soft pictures of rising brightness, as deep as the format."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    made = []
    for number in range(3):
        parts = [
            0.5 + 0.4 * np.sin(x / 31 + number),
            0.5 + 0.4 * np.cos(y / 23 - number / 2),
            0.1 + 0.8 * (x + y) / (height + width),
        ]
        if alpha:
            parts.append(x / (width - 1))
        kind = np.uint8 if depth == 8 else np.uint16
        made.append(np.rint(np.dstack(parts) * np.iinfo(kind).max).astype(kind))
    return made


def alpha_of(path: Path) -> np.ndarray:
    """Matte of the first frame, 0..1."""
    with av.open(str(path)) as container:
        frame = next(container.decode(container.streams.video[0]))
        kind, white = ("rgba", 255) if frame.format.name == "bgra" else ("rgba64le", 65535)
        return np.asarray(frame.reformat(format=kind).to_ndarray()[..., 3] / white)


def ffprobe(path: Path) -> dict[str, Any]:
    asked = [FFPROBE or "", "-v", "error", "-show_streams", "-show_format", "-of", "json"]
    told = subprocess.run([*asked, str(path)], check=True, capture_output=True, text=True).stdout
    return dict(json.loads(told))


@pytest.mark.parametrize(("name", "ending", "depth", "alpha"), CASES)
def test_every_format_comes_back(
    name: str, ending: str, depth: int, alpha: bool, tmp_path: Path
) -> None:
    given = pictures(depth, alpha=alpha)
    out = tmp_path / f"film{ending}"
    tags = SDR if depth == 8 else HDR
    if name == "dnxhr":  # its stream knows one matrix
        tags = replace(tags, matrix="bt709")
    result = encode_video(
        iter(given),
        out,
        timing=RATE,
        format_name=name,
        color=tags,
        bit_depth=depth,
        preset="veryfast",
        timecode="01:02:03:04",
    )
    assert (result.frames, result.height, result.width) == (3, 120, 256)
    info = probe(out)
    assert info.rate == RATE
    assert info.bit_depth >= min(depth, 10)
    if ending != ".avi":
        assert info.timecode == "01:02:03:04"
        assert (info.color.primaries, info.color.transfer) == (tags.primaries, tags.transfer)
        lossless = VIDEO_FORMATS[name].is_lossless
        assert info.color.matrix == ("gbr" if lossless else tags.matrix)
    decoded = [frame.pixels for frame in decode_frames(out)]
    assert len(decoded) == 3
    for before, after in zip(given, decoded, strict=True):
        if VIDEO_FORMATS[name].is_lossless:
            assert np.array_equal(after, before[..., :3])
        else:
            levels = 1 if after.dtype == np.uint8 else 257
            error = np.abs(
                after.astype(float) / levels - before[..., :3] / (257 if depth > 8 else 1)
            )
            assert error.mean() < 1.3
            assert error.max() < 16
    if alpha:
        wanted = given[0][..., 3] / np.iinfo(given[0].dtype).max
        assert np.abs(alpha_of(out) - wanted).max() <= (0 if name == "ffv1" else 1 / 800)
    if FFPROBE:
        compare_with_ffprobe(out, tags, is_rgb=VIDEO_FORMATS[name].is_lossless)


def compare_with_ffprobe(out: Path, tags: ColorTags, *, is_rgb: bool) -> None:
    told = ffprobe(out)
    stream = next(each for each in told["streams"] if each["codec_type"] == "video")
    assert Fraction(stream["r_frame_rate"]) == RATE
    assert abs(float(told["format"]["duration"]) - 3 / RATE) < 0.002
    if out.suffix == ".avi":
        return
    assert stream["color_primaries"] == tags.primaries
    assert stream["color_transfer"] == tags.transfer
    assert stream["color_space"] == ("gbr" if is_rgb else tags.matrix)
    assert stream["color_range"] == ("pc" if is_rgb else "tv")
    timecodes = {key.lower(): value for key, value in stream.get("tags", {}).items()}
    assert timecodes["timecode"] == "01:02:03:04"


@pytest.mark.skipif(FFPROBE is None, reason="ffprobe is not installed: no independent reader")
def test_another_program_reads_the_tags_of_hlg(tmp_path: Path) -> None:
    out = tmp_path / "hlg.mp4"
    tags = ColorTags("bt2020", "arib-std-b67", "bt2020nc", "tv")
    encode_video(
        pictures(16, alpha=False), out, timing=Fraction(50), format_name="h265", color=tags
    )
    stream = ffprobe(out)["streams"][0]
    assert (stream["pix_fmt"], stream["codec_tag_string"]) == ("yuv420p10le", "hvc1")
    assert (stream["color_transfer"], stream["r_frame_rate"]) == ("arib-std-b67", "50/1")


def test_deep_hdr_passes_within_a_level_of_ten_bits(tmp_path: Path) -> None:
    """Pixels that nobody touched, over RGB and back, differ by less than a level of 1023."""
    given = pictures(16, alpha=False)
    plate, again = tmp_path / "plate.mov", tmp_path / "again.mov"
    encode_video(given, plate, timing=RATE, format_name="prores-4444", color=HDR)
    shown = [frame.pixels for frame in decode_frames(plate)]
    encode_video(shown, again, timing=RATE, format_name="prores-4444", color=HDR)
    for before, after in zip(shown, decode_frames(again), strict=True):
        assert np.abs(after.pixels.astype(int) - before).mean() < 64  # 1 of 1023 levels


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p10le"])
def test_full_range_keeps_its_levels(pixel_format: str) -> None:
    picture = pictures(8, alpha=False)[0]
    tags = ColorTags(matrix="bt709", range="pc")
    maker = FrameMaker((120, 256), tags, pixel_format=pixel_format, is_full_range=True)
    frame = maker.make(picture)
    frame.colorspace, frame.color_range = 1, 2
    current = to_rgb(frame, threads=1)
    levels = 1 if current.dtype == np.uint8 else 257
    error = current / levels - picture
    assert np.abs(error).mean() < 0.8
    assert np.abs(error.mean((0, 1))).max() < 0.25


def test_full_range_plates_stay_full_range(tmp_path: Path) -> None:
    out = tmp_path / "full.mp4"
    tags = ColorTags("bt709", "bt709", "bt709", "pc")
    picture = pictures(8, alpha=False)[0]
    picture[:40], picture[80:] = 0, 255
    encode_video([picture] * 2, out, timing=RATE, color=tags, crf=2)
    assert probe(out).color.range == "pc"
    decoded = next(decode_frames(out)).pixels.astype(int)
    assert decoded[5].max() <= 1
    assert decoded[-5].min() >= 254
    assert np.abs(decoded - picture).mean() < 1.0


def test_bit_rate_takes_the_place_of_quality(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    noise = [random.integers(0, 255, (96, 128, 3), dtype=np.uint8) for _ in range(50)]
    sizes = []
    for rate in (200_000, 2_000_000):
        out = tmp_path / f"{rate}.mp4"
        encode_video(noise, out, timing=Fraction(25), bit_rate=rate, preset="veryfast")
        sizes.append(out.stat().st_size * 8 / 2)
    assert 0.4 * 200_000 < sizes[0] < 4 * 200_000
    assert 0.5 * 2_000_000 < sizes[1] < 1.6 * 2_000_000


@pytest.mark.parametrize(
    ("name", "file", "settings", "complaint"),
    [
        ("prores-hq", "x.mp4", {}, r"expected \.mov or \.mkv for prores-hq"),
        ("lossless", "x.avi", {}, r"\.avi holds h264, ffv1"),
        ("h264", "x.wmv", {}, r"ending in \.mp4"),
        ("vp9", "x.mkv", {}, "one of h264"),
        ("prores-hq", "x.mov", {"bit_depth": 8}, "expected 10 for prores-hq, found 8"),
        ("av1", "x.mkv", {"height": 32}, "at least 64x64"),
    ],
)
def test_what_a_format_can_not_do(
    name: str, file: str, settings: dict[str, int], complaint: str, tmp_path: Path
) -> None:
    height = settings.pop("height", 120)
    with pytest.raises(OptionError, match=complaint):
        encode_video(
            pictures(8, alpha=False, height=height),
            tmp_path / file,
            timing=RATE,
            format_name=name,
            **settings,
        )
    assert not list(tmp_path.iterdir())


def test_what_would_be_lost_is_said(tmp_path: Path) -> None:
    deep, plain = pictures(16, alpha=False), pictures(8, alpha=False)
    with pytest.raises(OptionError, match="--format ffv1"):
        encode_video(deep, tmp_path / "x.mp4", timing=RATE, format_name="lossless")
    with pytest.raises(OptionError, match="without alpha"):
        encode_video(pictures(8, alpha=True), tmp_path / "x.mp4", timing=RATE)
    told = encode_video(deep, tmp_path / "x.mp4", timing=RATE).notices
    assert "the 16 bits of the pictures become 8" in told[0]
    wide = {"sample_aspect": Fraction(16, 15), "timecode": "10:00:00:00"}
    told = encode_video(plain, tmp_path / "x.avi", timing=RATE, format_name="ffv1", **wide).notices
    assert "does not keep the timecode and the colour tags and the pixel shape 16/15" in told[0]
    uneven = Timing(Fraction(30), 3, Fraction(1, 1000), ticks=(0, 33, 100))
    with pytest.raises(OptionError, match="avi, which knows one rate"):
        encode_video(plain, tmp_path / "y.avi", timing=uneven)


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".avi"])
def test_sound_of_each_container(
    ending: str, clip: Callable[..., Path], tmp_path: Path, sound_packets: Any
) -> None:
    source = clip("source.mkv", num=25, sound="pcm_s16le", sound_tracks=2)
    out = tmp_path / f"out{ending}"
    frames = [frame.pixels for frame in decode_frames(source)]
    told = encode_video(frames, out, timing=Fraction(25), sound=Sound(source)).sound
    assert len(told) == 2
    if ending == ".mp4":
        assert "encoded again as aac, for mp4 players take no pcm_s16le" in told[0]
        return
    assert all("copied" in line for line in told)
    before, after = sound_packets(source), sound_packets(out)
    for old, new in zip(before, after, strict=True):
        assert b"".join(data for data, _ in old) == b"".join(data for data, _ in new)


def test_avi_gets_plain_sound_where_it_can_hold_no_other(
    clip: Callable[..., Path], tmp_path: Path
) -> None:
    source = clip("source.mp4", num=25, sound="aac")
    out = tmp_path / "out.avi"
    frames = [frame.pixels for frame in decode_frames(source)]
    told = encode_video(frames, out, timing=Fraction(25), sound=Sound(source)).sound
    assert told == ("track 1: aac encoded again as pcm_s16le, for avi players take no aac",)
    assert probe(out).audio[0].codec == "pcm_s16le"


def test_dnxhr_converts_to_the_matrix_it_knows(tmp_path: Path) -> None:
    """Its decoders read BT.709 from the stream itself: another matrix would shift all colours."""
    bars = np.repeat(
        np.repeat(np.array([[(200, 60, 30), (40, 60, 210)]], np.uint8), 128, 1), 128, 0
    )
    out = tmp_path / "x.mov"
    told = encode_video(
        [bars.astype(np.uint16) * 257] * 2,
        out,
        timing=Fraction(25),
        format_name="dnxhr",
        color=ColorTags("bt2020", "smpte2084", "bt2020nc", "tv"),
    )
    assert "converted to that from bt2020nc" in told.notices[0]
    color = probe(out).color
    assert (color.primaries, color.transfer, color.matrix) == ("bt2020", "smpte2084", "bt709")
    shown = next(decode_frames(out)).pixels / 257
    assert np.abs(shown[64, [60, 200]] - bars[64, [60, 200]]).max() < 2
