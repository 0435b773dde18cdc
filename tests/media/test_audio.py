"""Sound is carried bit for bit where the container holds it, and stays in step."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from understudy.media.encode import Sound, encode_video, first_moment
from understudy.media.video import decode_frames, probe

Clip = Callable[..., Path]


def carry(source: Path, out: Path, **settings: Any) -> Any:
    info = probe(source)
    frames = (frame.pixels for frame in decode_frames(source))
    return encode_video(
        frames, out, timing=info.rate, sound=Sound(source), preset="ultrafast", **settings
    )


def payloads(tracks: list[list[tuple[bytes, float]]]) -> list[list[bytes]]:
    return [[data for data, _ in track] for track in tracks]


@pytest.mark.parametrize(
    ("name", "sound", "video"),
    [
        ("a.mp4", "aac", "libx264"),
        ("a.mkv", "libmp3lame", "libx264"),
        ("a.avi", "libmp3lame", "mpeg4"),
        ("a.mkv", "ac3", "libx264"),
        ("a.mkv", "flac", "libx264"),
        ("a.webm", "libopus", "libvpx-vp9"),
        ("a.mpg", "mp2", "mpeg1video"),
        ("a.ts", "mp2", "mpeg2video"),
        ("a.mov", "alac", "libx264"),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_sound_is_copied_bit_for_bit(
    name: str, sound: str, video: str, suffix: str, clip: Clip, tmp_path: Path, sound_packets: Any
) -> None:
    source = clip(name, num=25, codec=video, sound=sound, sound_tracks=2)
    out = tmp_path / f"out{suffix}"
    result = carry(source, out)
    if suffix == ".mov" and sound in ("flac", "libopus"):  # QuickTime knows neither
        assert all("again as aac" in line for line in result.sound)
        return
    assert all("copied" in line for line in result.sound)
    before, after = sound_packets(source), sound_packets(out)
    assert len(after) == 2
    assert payloads(before) == payloads(after)
    start = float(first_moment(source))
    for old, new in zip(before, after, strict=True):
        for (_, was), (_, is_) in zip(old, new, strict=True):
            assert abs((was - start) - (is_ - float(first_moment(out)))) < 0.004


def test_real_mpeg_sound(shared: Path, tmp_path: Path, sound_packets: Any) -> None:
    source = shared / "media" / "grid_brbk7n.mpg"
    out = tmp_path / "out.mp4"
    result = carry(source, out)
    assert result.sound == ("track 1: mp2 copied",)
    before, after = sound_packets(source), sound_packets(out)
    assert payloads(before) == payloads(after)
    assert len(before[0]) == 114
    assert probe(out).frame_count == 75
    assert probe(out).rate == 25


@pytest.mark.parametrize("start", [Fraction(-1, 5), Fraction(3, 10)])
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_sound_that_starts_early_or_late_stays_in_step(
    start: Fraction, name: str, clip: Clip, tmp_path: Path, sound_packets: Any
) -> None:
    source = clip(
        name,
        ticks=range(1000, 3000, 40),
        time_base=Fraction(1, 1000),
        sound="ac3",
        sound_start=1 + start,
    )
    before = sound_packets(source)[0]
    offset = before[0][1] - float(first_moment(source))
    out = tmp_path / "out.mp4"
    carry(source, out)
    after = sound_packets(out)[0]
    assert payloads([before]) == payloads([after])
    assert abs(after[0][1] - float(first_moment(out)) - offset) < 0.003


def test_sound_the_container_lacks_is_encoded_again(
    clip: Clip, tmp_path: Path, sound_packets: Any
) -> None:
    source = clip("a.avi", codec="mpeg4", num=25, sound="pcm_s16le")
    out = tmp_path / "out.mp4"
    result = carry(source, out)
    assert result.sound == (
        "track 1: pcm_s16le encoded again as aac, for mp4 players take no pcm_s16le",
    )
    with av.open(str(out)) as container:
        heard = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], 1)
    seconds = heard.shape[1] / 48000
    assert abs(seconds - 1) < 0.06
    spectrum = np.abs(np.fft.rfft(heard[0, 4800:43200]))
    assert abs(np.argmax(spectrum) / 0.8 - 440) < 3
    kept = tmp_path / "out.mov"
    assert "copied" in carry(source, kept).sound[0]
    assert b"".join(d for d, _ in sound_packets(kept)[0]) == b"".join(
        d for d, _ in sound_packets(source)[0]
    )


@pytest.mark.parametrize("seconds", [0.3, 3.0])
def test_shorter_and_longer_sound_is_kept_whole(
    seconds: float, clip: Clip, tmp_path: Path, sound_packets: Any
) -> None:
    source = clip("a.mkv", num=25, sound="ac3", sound_seconds=seconds)
    out = tmp_path / "out.mp4"
    carry(source, out)
    assert payloads(sound_packets(source)) == payloads(sound_packets(out))
    assert probe(out).frame_count == 25


def test_language_and_audio_only_sources(
    clip: Clip, tmp_path: Path, numbered: Any, sound_packets: Any
) -> None:
    sound = tmp_path / "speech.m4a"
    with av.open(str(sound), "w", format="mp4") as container:
        track = container.add_stream("aac", rate=48000)
        track.metadata["language"] = "deu"
        for n in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp")
            frame.sample_rate, frame.pts = 48000, n * 1024
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    out = tmp_path / "out.mp4"
    encode_video((numbered(n) for n in range(9)), out, timing=Fraction(25), sound=Sound(sound))
    assert payloads(sound_packets(out)) == payloads(sound_packets(sound))
    assert [track.language for track in probe(out).audio] == ["deu"]
