"""What nobody changed keeps the plate's own samples, its first moment and its light."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from understudy.media.encode import Sound, encode_video
from understudy.media.frames import FrameManifest, extract_frames
from understudy.media.images import read_pixels
from understudy.media.light import MasteringLight
from understudy.media.video import decode_frames, probe

Clip = Callable[..., Path]
SIZE = (96, 128)
COUNT = 3
CHANGED = (slice(30, 61), slice(41, 80))
LIGHT = MasteringLight(
    tuple(
        Fraction(each)
        for each in (".68", ".32", ".265", ".69", ".15", ".06", ".3127", ".329", ".005", "1000")
    ),
    (1000, 400),
)


def planes(path: Path) -> list[list[np.ndarray]]:
    """The samples of each frame, as stored."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            kind = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
            size = np.dtype(kind).itemsize
            found.append(
                [
                    np.frombuffer(memoryview(plane), kind)
                    .reshape(plane.height, plane.line_size // size)[:, : plane.width]
                    .copy()
                    for plane in frame.planes
                ]
            )
    return found


def write_samples(path: Path, pixel_format: str, *, transfer: int) -> None:
    """A clip of coloured noise, its samples over nearly the whole range of numbers."""
    rng = np.random.default_rng(3)
    depth = 10 if "10" in pixel_format else 8
    kind = np.uint16 if depth == 10 else np.uint8
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(24))
        stream.height, stream.width = SIZE
        stream.pix_fmt = pixel_format
        context = stream.codec_context
        context.color_primaries, context.color_trc = 9, transfer
        context.colorspace, context.color_range = 9, 1
        for number in range(COUNT):
            frame = av.VideoFrame(SIZE[1], SIZE[0], pixel_format)
            for plane in frame.planes:
                coarse = rng.uniform(0.1, 0.9, (6, 8)).astype(np.float32)
                soft = cv2.resize(coarse, (plane.width, plane.height))
                levels = soft * (1 << depth) + rng.normal(0, 2, soft.shape)
                row = np.zeros((plane.height, plane.line_size // np.dtype(kind).itemsize), kind)
                row[:, : plane.width] = np.clip(levels, 1, (1 << depth) - 2)
                plane.update(row.tobytes())
            frame.pts, frame.time_base = number, Fraction(1, 24)
            frame.color_primaries, frame.color_trc = 9, transfer
            frame.colorspace, frame.color_range = 9, 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("transfer", [16, 18], ids=["pq", "hlg"])
@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p"])
def test_untouched_samples_of_hdr_plates(pixel_format: str, transfer: int, tmp_path: Path) -> None:
    """Also those of colours that RGB can't hold: what a conversion there and back would clip."""
    plate, out = tmp_path / "plate.mkv", tmp_path / "out.mp4"
    write_samples(plate, pixel_format, transfer=transfer)
    folder = tmp_path / "frames"
    names = extract_frames(plate, folder).manifest.names
    merged = [read_pixels(folder / name) for name in names]
    for picture in merged:
        picture[CHANGED] = np.iinfo(picture.dtype).max - picture[CHANGED]
    told = encode_video(
        merged,
        out,
        timing=Fraction(24),
        format_name="h265-lossless",
        color=probe(plate).color,
        plate=plate,
        preset="ultrafast",
    )
    assert (told.pixel_format, told.plate_frames) == (pixel_format, COUNT)
    assert probe(out).color == probe(plate).color
    for own, stored in zip(planes(plate), planes(out), strict=True):
        for before, after in zip(own, stored, strict=True):
            steps = [full // part for full, part in zip(SIZE, before.shape, strict=True)]
            face = np.zeros(before.shape, bool)
            face[
                tuple(
                    slice(place.start // step, -(-place.stop // step))
                    for place, step in zip(CHANGED, steps, strict=True)
                )
            ] = True
            assert np.array_equal(before[~face], after[~face])
            assert (before[face] != after[face]).mean() > 0.8


def test_a_plate_of_another_kind_changes_nothing(tmp_path: Path) -> None:
    plate = tmp_path / "plate.mkv"
    write_samples(plate, "yuv422p10le", transfer=16)
    merged = [frame.pixels for frame in decode_frames(plate)]
    films = [tmp_path / "with.mp4", tmp_path / "without.mp4"]
    for film, given in zip(films, (plate, None), strict=True):
        told = encode_video(
            merged,
            film,
            timing=Fraction(24),
            format_name="h265",
            color=probe(plate).color,
            plate=given,
            preset="ultrafast",
        )
        assert told.plate_frames == 0
    assert planes(films[0])[0][0].tobytes() == planes(films[1])[0][0].tobytes()


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("start", [Fraction(1, 2), Fraction(21, 1000), Fraction(1001, 30000)])
def test_the_first_moment_is_kept(
    suffix: str, start: Fraction, clip: Clip, tmp_path: Path, numbered: Any
) -> None:
    """The picture begins later than the sound, as it does in the plate."""
    sound = clip("sound.mkv", num=2, sound="ac3", sound_seconds=2)
    plate, again = tmp_path / f"plate{suffix}", tmp_path / f"again{suffix}"
    pictures = [numbered(n) for n in range(12)]
    rate = Fraction(30000, 1001)
    encode_video(
        pictures, plate, timing=rate, start=start, sound=Sound(sound, start=start), preset="fast"
    )
    info = probe(plate)
    assert abs(info.shown_from - start) <= Fraction(1, 1000)
    assert info.rate == rate
    manifest = extract_frames(plate, tmp_path / "f").manifest
    assert FrameManifest.from_json(manifest.to_json()) == manifest
    encode_video(
        pictures, again, timing=manifest.timing, start=manifest.shown_from, sound=Sound(plate)
    )
    assert abs(probe(again).start - info.start) <= Fraction(1, 1000)
    moments = [[frame.time for frame in decode_frames(path)] for path in (plate, again)]
    assert max(abs(a - b) for a, b in zip(*moments, strict=True)) <= Fraction(1, 1000)
    tracks = [probe(path).audio[0].start for path in (plate, again)]
    assert abs(tracks[0] - tracks[1]) <= Fraction(1, 1000)
    assert abs(tracks[0]) < Fraction(1, 100)


def test_streams_whose_clock_began_earlier(clip: Clip, tmp_path: Path, numbered: Any) -> None:
    plate, out = clip("plate.ts", num=12, sound="mp2"), tmp_path / "out.mp4"
    info = probe(plate)
    assert 0 <= info.shown_from < info.start
    pictures = [frame.pixels for frame in decode_frames(plate)]
    encode_video(pictures, out, timing=Fraction(25), start=info.shown_from, sound=Sound(plate))
    apart = info.audio[0].start - info.start
    made = probe(out)
    assert abs(made.audio[0].start - made.start - apart) <= Fraction(1, 1000)


@pytest.mark.parametrize(
    ("name", "codec"), [("h264", "mp4"), ("h265", "mkv"), ("h265-lossless", "mp4"), ("av1", "mp4")]
)
def test_the_light_of_the_mastering_display(name: str, codec: str, tmp_path: Path) -> None:
    picture = np.full((*SIZE, 3), 30000, np.uint16)
    out = tmp_path / f"out.{codec}"
    encode_video(
        [picture] * 2, out, timing=Fraction(24), format_name=name, light=LIGHT, preset="ultrafast"
    )
    light = probe(out).light
    assert light is not None
    assert light.content == LIGHT.content
    assert light.display is not None
    assert LIGHT.display is not None
    for found, given in zip(light.display, LIGHT.display, strict=True):
        assert abs(found - given) <= Fraction(1, 5000)  # AV1 counts in parts of 2 to the 16th
    manifest = extract_frames(out, tmp_path / "f").manifest
    assert FrameManifest.from_json(manifest.to_json()).light == light
    told = encode_video(
        [picture] * 2,
        tmp_path / "out.mov",
        timing=Fraction(24),
        light=LIGHT,
        format_name="prores-hq",
    )
    assert "the mastering display's light" in told.notices[0]
