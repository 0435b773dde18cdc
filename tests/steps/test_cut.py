"""A cut begins and ends on its frames, with the sound that was heard there."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from understudy.cli.main import main
from understudy.media.encode import Sound, encode_video
from understudy.media.images import write_image
from understudy.media.timing import later_timecode
from understudy.media.video import decode_frames, probe
from understudy.provenance.mark import MarkDetails, sign
from understudy.provenance.verify import verify

Told = Callable[..., str]
RATE = Fraction(30000, 1001)


def numbered(number: int) -> np.ndarray:
    """A picture that says its number in eight blocks."""
    picture = np.full((32, 128, 3), 90, np.uint8)
    for bit in range(8):
        picture[:, 16 * bit : 16 * bit + 16] = 225 if number >> bit & 1 else 30
    return picture


def number_of(picture: np.ndarray) -> int:
    blocks = picture[4:28].mean((0, 2)).reshape(8, 16)[:, 4:12].mean(1)
    return sum(1 << bit for bit in range(8) if blocks[bit] > 128)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 frames; two tracks of sound whose loudness says the tenth of a second."""
    folder = tmp_path_factory.mktemp("cut")
    sound = folder / "sound.mka"
    with av.open(str(sound), "w", format="matroska") as container:
        tracks = [container.add_stream("pcm_s16le", rate=48000, layout="mono") for _ in range(2)]
        for place in range(80):
            for number, track in enumerate(tracks):
                level = (100 * (place + 1)) * (1 if number == 0 else -1)
                frame = av.AudioFrame.from_ndarray(
                    np.full((1, 4800), level, np.int16), format="s16", layout="mono"
                )
                frame.sample_rate, frame.pts = 48000, 4800 * place
                container.mux(track.encode(frame))
        for track in tracks:
            container.mux(track.encode(None))
    path = folder / "clip.mov"
    encode_video(
        (numbered(n) for n in range(240)),
        path,
        timing=RATE,
        sound=Sound(sound),
        preset="ultrafast",
        timecode="01:00:59;20",
    )
    return path


@pytest.mark.parametrize(
    ("places", "first", "count"),
    [
        (["--start", "100f", "--end", "130f"], 100, 30),
        (["--start", "3.3367", "--end", "0:00:04.3377"], 100, 30),
        (["--start", "3.34", "--end", "5"], 101, 49),
        (["--end", "10f"], 0, 10),
        (["--start", "235f"], 235, 5),
    ],
)
def test_it_begins_and_ends_on_the_frame(
    places: list[str], first: int, count: int, clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "part.mov"
    tokens = ["cut", str(clip), *places, "--out", str(out), "--encoder-preset", "ultrafast"]
    assert main(tokens) == 0
    found = [number_of(frame.pixels) for frame in decode_frames(out)]
    assert found == list(range(first, first + count))
    info = probe(out)
    assert (info.rate, info.duration) == (RATE, count / RATE)
    assert info.timecode == later_timecode("01:00:59;20", first, RATE)
    assert len(info.audio) == 2
    assert heard_at(out, track=0, second=0.02) == pytest.approx(
        100 * (int((first / RATE + Fraction(1, 50)) * 10) + 1), abs=1
    )
    with av.open(str(out)) as container:
        for stream in container.streams.audio:
            packets = [p for p in container.demux(stream) if p.size]
            end = max((p.pts + p.duration) * p.time_base for p in packets)
            assert abs(end - count / RATE) < 1 / RATE
            container.seek(0)


def heard_at(path: Path, *, track: int, second: float) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.audio[track]
        for frame in container.decode(stream):
            start = float(frame.pts * frame.time_base)
            if start <= second < start + frame.samples / frame.sample_rate:
                return float(frame.to_ndarray().ravel()[int((second - start) * frame.sample_rate)])
    raise AssertionError(f"no sound at {second}")


def test_one_track_or_none(clip: Path, tmp_path: Path, told: Told) -> None:
    out = tmp_path / "x.mov"
    part = ["cut", str(clip), "--end", "20f", "--encoder-preset", "ultrafast"]
    assert main([*part, "--out", str(out), "--audio-track", "1"]) == 0
    assert len(probe(out).audio) == 1
    assert heard_at(out, track=0, second=0.05) == -100
    assert main([*part, "--out", str(out), "--audio-track", "-2", "--overwrite"]) == 0
    assert probe(out).audio == ()
    assert "which has 2" in told(*part, "--audio-track", "2")
    assert "--overwrite" in told(*part, "--out", out)
    assert "the clip itself" in told(*part, "--out", clip, "--overwrite")
    assert "120f" in told("cut", clip, "--start", "half past")
    assert "a clip of 240 frames, 8.008 s" in told("cut", clip, "--start", "9")
    assert [path.name for path in tmp_path.iterdir()] == ["x.mov"]


def test_beside_the_clip_and_with_coarse_clocks(clip: Path, tmp_path: Path) -> None:
    """Matroska rounds moments to a millisecond; the cut still falls on the frame."""
    source = tmp_path / "clip.mkv"
    frames = (frame.pixels for frame in decode_frames(clip))
    encode_video(frames, source, timing=RATE, preset="ultrafast")
    assert main(["cut", str(source), "--start", "61f", "--end", "90f"]) == 0
    found = list(decode_frames(tmp_path / "clip_cut.mkv"))
    assert [number_of(frame.pixels) for frame in found] == list(range(61, 90))
    assert probe(tmp_path / "clip_cut.mkv").rate == RATE


@pytest.mark.parametrize(
    ("before", "frames", "rate", "after"),
    [
        ("00:00:59;29", 1, RATE, "00:01:00;02"),
        ("00:09:59;29", 1, RATE, "00:10:00;00"),
        ("00:00:00;00", 107892, RATE, "01:00:00;00"),
        ("00:00:00:00", 107892, RATE, "00:59:56:12"),
        ("23:59:59:24", 1, Fraction(25), "00:00:00:00"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
        ("01:00:00:10", 38, Fraction(24000, 1001), "01:00:02:00"),
    ],
)
def test_timecodes_count_on(before: str, frames: int, rate: Fraction, after: str) -> None:
    assert later_timecode(before, frames, rate) == after


def test_a_part_carries_what_its_clip_came_with(clip: Path, tmp_path: Path) -> None:
    """It is marked as cut, not as a replaced face, and the camera's manifest goes along."""
    signed, out = tmp_path / "camera.mov", tmp_path / "part.mov"
    camera = MarkDetails(consent="consent: of the camera", tool="Camera")
    sign(clip, signed, details=camera)
    tokens = ["cut", str(signed), "--start", "100f", "--end", "104f", "--out", str(out)]
    assert main([*tokens, "--encoder-preset", "ultrafast"]) == 0
    verdict = verify(out)
    assert verdict.integrity == "intact"
    assert verdict.actions == ("c2pa.opened", "c2pa.trimmed", "c2pa.transcoded")
    assert verdict.ingredients == ("plate (parentOf, with provenance)",)
    assert b"Camera" in out.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["camera.mov", "part.mov"]


def test_a_workspace_may_turn_its_mark_off(clip: Path, tmp_path: Path) -> None:
    workspace, out = tmp_path / "w", tmp_path / "part.mov"
    assert main(["new", str(workspace)]) == 0
    assert main(["consent", "--workspace", str(workspace), "--marking", "off"]) == 0
    tokens = ["cut", str(clip), "--end", "3f", "--out", str(out), "--workspace", str(workspace)]
    assert main([*tokens, "--encoder-preset", "ultrafast"]) == 0
    assert verify(out).integrity == "absent"


@pytest.mark.parametrize("name", ["still.png", "still.jpg", "still.tif"])
def test_a_picture_is_called_one(name: str, tmp_path: Path, told: Told) -> None:
    picture = tmp_path / name
    write_image(picture, numbered(1))
    line = told("cut", picture)
    assert "found a still picture" in line
    assert "data_src or data_dst" in line
