"""Frames reach the folder once each, whole, and a killed run goes on where it was."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.errors import Cancelled, FormatError, StorageError
from understudy.media.frames import FrameManifest, extract_frames
from understudy.media.images import list_images, read_pixels
from understudy.media.video import decode_frames, probe
from understudy.types import ColorTags

Clip = Callable[..., Path]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_frames_and_manifest(clip: Clip, tmp_path: Path, number_of: Any) -> None:
    tags = {"color_primaries": 1, "color_trc": 1, "colorspace": 1, "color_range": 1}
    rate = Fraction(24000, 1001)
    path = clip(
        "片 a.mp4", num=20, rate=rate, tags=tags, matrix=1, sound="aac", options={"bf": "3"}
    )
    folder = tmp_path / "data dst" / "é"
    seen: list[tuple[int, int | None]] = []
    result = extract_frames(path, folder, on_frame=lambda done, total: seen.append((done, total)))
    assert [p.name for p in list_images(folder)] == [f"{n:05d}.png" for n in range(1, 21)]
    assert names_in(folder) == list(result.manifest.names)
    assert seen == [(n, 20) for n in range(1, 21)]
    for frame, picture in zip(decode_frames(path), list_images(folder), strict=True):
        np.testing.assert_array_equal(read_pixels(picture), frame.pixels)
        assert number_of(frame.pixels) == frame.index
    manifest = result.manifest
    assert (result.written, result.kept) == (20, 0)
    assert (manifest.timing.rate, manifest.timing.count) == (rate, 20)
    assert manifest.timing.is_constant
    assert (manifest.height, manifest.width, manifest.bit_depth) == (48, 96, 8)
    assert manifest.color == ColorTags("bt709", "bt709", "bt709", "tv")
    assert manifest.audio_tracks == 1
    assert FrameManifest.from_json(json.loads(json.dumps(manifest.to_json()))) == manifest


def test_interrupted_work_is_taken_up(clip: Clip, tmp_path: Path) -> None:
    path = clip("a.mkv", num=20)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    expected = extract_frames(path, whole)

    def stop(done: int, _: int | None) -> None:
        if done == 9:
            raise Cancelled

    with pytest.raises(Cancelled):
        extract_frames(path, resumed, on_frame=stop)
    there = names_in(resumed)
    assert 0 < len(there) < 20
    assert all(read_pixels(resumed / name).shape == (48, 96, 3) for name in there)
    stamps = {name: (resumed / name).stat().st_mtime_ns for name in there}
    result = extract_frames(path, resumed)
    assert (result.written, result.kept) == (20 - len(there), len(there))
    assert result.manifest == expected.manifest
    assert {name: (resumed / name).stat().st_mtime_ns for name in there} == stamps
    for name in result.manifest.names:
        assert (resumed / name).read_bytes() == (whole / name).read_bytes()


def test_frames_of_another_clip_are_not_mixed_in(clip: Clip, tmp_path: Path, numbered: Any) -> None:
    extract_frames(clip("a.mkv", num=3), tmp_path / "frames")
    other = clip("b.mkv", num=5, picture=lambda n: numbered(n + 9))
    with pytest.raises(FormatError, match="another picture"):
        extract_frames(other, tmp_path / "frames")


def test_jpeg_frames(clip: Clip, tmp_path: Path, number_of: Any) -> None:
    path = clip("deep.mkv", codec="ffv1", pixel_format="yuv422p10le", num=4)
    result = extract_frames(path, tmp_path / "f", picture_format="jpg", jpeg_quality=90)
    pictures = [read_pixels(tmp_path / "f" / name) for name in result.manifest.names]
    assert [number_of(picture) for picture in pictures] == [0, 1, 2, 3]
    assert pictures[0].dtype == np.uint8
    assert result.manifest.bit_depth == 8
    assert extract_frames(path, tmp_path / "f", picture_format="jpg").kept == 4


def test_deep_and_turned_frames(clip: Clip, tmp_path: Path) -> None:
    path = clip("deep.mkv", codec="ffv1", pixel_format="yuv422p10le", num=2)
    manifest = extract_frames(path, tmp_path / "deep").manifest
    assert manifest.bit_depth == 16
    assert read_pixels(tmp_path / "deep" / "00001.png").dtype == np.uint16
    path = clip("turned.mp4", num=2, rotation=90)
    manifest = extract_frames(path, tmp_path / "turned").manifest
    assert (manifest.height, manifest.width, manifest.rotation_deg) == (96, 48, 90)
    assert read_pixels(tmp_path / "turned" / "00002.png").shape == (96, 48, 3)


def test_uneven_moments_are_kept_in_the_manifest(clip: Clip, tmp_path: Path) -> None:
    ticks = [0, 33, 66, 133, 150, 400]
    path = clip("vfr.mkv", ticks=ticks, time_base=Fraction(1, 1000), rate=Fraction(30))
    timing = extract_frames(path, tmp_path / "f").manifest.timing
    assert timing.ticks == tuple(ticks)
    assert timing.time_base == Fraction(1, 1000)


def test_a_stream_that_changes_its_size_keeps_the_first(
    clip: Clip, tmp_path: Path, numbered: Any, number_of: Any
) -> None:
    small = clip("small.mpg", codec="mpeg1video", num=4)
    large = clip("large.mpg", codec="mpeg1video", num=4, picture=lambda n: _doubled(numbered(n)))
    path = tmp_path / "joined.mpg"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    manifest = extract_frames(path, tmp_path / "f").manifest
    pictures = [read_pixels(tmp_path / "f" / name) for name in manifest.names]
    assert {picture.shape for picture in pictures} == {(48, 96, 3)}
    assert [number_of(picture) for picture in pictures[-3:]] == [1, 2, 3]
    assert any("another size" in notice for notice in manifest.notices)
    assert extract_frames(path, tmp_path / "f").written == 0


def _doubled(picture: np.ndarray) -> np.ndarray:
    return picture.repeat(2, axis=0).repeat(2, axis=1)


def test_full_disk_leaves_whole_frames_only(
    clip: Clip, tmp_path: Path, small_files: Any, numbered: Any
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    path = clip(
        "a.mkv", codec="ffv1", num=6, picture=lambda n: numbered(n) if n < 3 else noise[:48, :96]
    )
    with small_files(2000), pytest.raises(StorageError):
        extract_frames(path, tmp_path / "f")
    there = names_in(tmp_path / "f")
    assert not [name for name in there if "partial" in name]
    for name in there:
        read_pixels(tmp_path / "f" / name)
    assert extract_frames(path, tmp_path / "f").kept == len(there)


def test_no_frames_no_folder_content(tmp_path: Path) -> None:
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"no video" * 100)
    with pytest.raises(FormatError):
        extract_frames(junk, tmp_path / "frames")
    assert not (tmp_path / "frames").exists()


@pytest.mark.parametrize(
    "value", [{}, {"version": 99}, {"version": 1, "source": "x"}, [], None, "x"]
)
def test_foreign_manifests_are_refused(value: Any) -> None:
    with pytest.raises(FormatError):
        FrameManifest.from_json(value, name="frames.json")


def test_real_clip_with_a_dropped_frame(shared: Path, tmp_path: Path) -> None:
    path = shared / "media" / "asl_man1_brother.mkv"
    result = extract_frames(path, tmp_path)
    timing = result.manifest.timing
    assert (result.written, timing.is_constant) == (65, False)
    steps = [int((b - a) * 1000) for a, b in zip(timing.times, timing.times[1:], strict=False)]
    assert sorted(set(steps)) == [33, 34, 67]
    assert probe(path).frame_count is None


@pytest.mark.parametrize(
    ("fps", "kept"),
    [
        (Fraction(10), [0, 3, 6, 9, 12, 15, 18, 21]),
        (Fraction(15), [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]),
        (Fraction(1), [0]),
        (Fraction(60), list(range(24))),
    ],
)
def test_some_frames_of_each_second(
    fps: Fraction, kept: list[int], clip: Clip, tmp_path: Path, number_of: Any
) -> None:
    source = clip("clip.mkv", num=24, rate=Fraction(30))
    result = extract_frames(source, tmp_path / "f", fps=fps)
    names = sorted((tmp_path / "f").iterdir())
    assert [number_of(read_pixels(path)) for path in names] == kept
    assert tuple(path.name for path in names) == result.manifest.names
    assert result.manifest.notices == ()
    if len(kept) > 2:
        assert result.manifest.timing.rate == min(fps, 30)
