"""What `video` delivers: films of each format, mattes, pictures, with sound, tags and marks."""

import json
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from merged_by_hand import COUNT, RATE, SIZE, workspace_with_merged, write_plate
from understudy.cli.main import main
from understudy.media.images import read_pixels
from understudy.media.stills import read_still
from understudy.media.video import decode_frames, probe
from understudy.provenance.verify import verify


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("delivery")
    return workspace_with_merged(folder / "w", write_plate(folder / "plate.mp4"))


@pytest.fixture(scope="module")
def deep_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deep")
    return workspace_with_merged(folder / "w", write_plate(folder / "plate.mov", deep=True))


def deliver(workspace: Path, out: Path, *options: str) -> dict[str, Any]:
    tokens = ["video", "--workspace", str(workspace), "--out", str(out), *options]
    assert main([*tokens, "--encoder-preset", "veryfast"]) == 0
    report = json.loads((workspace / "reports" / "video.json").read_text())
    return dict(report["details"])


def merged_of(workspace: Path) -> list[np.ndarray]:
    return [read_pixels(p) for p in sorted((workspace / "data_dst" / "merged").glob("*.png"))]


def mattes_of(workspace: Path) -> list[np.ndarray]:
    folder = workspace / "data_dst" / "merged_mask"
    return [read_pixels(p)[..., 0] for p in sorted(folder.glob("*.png"))]


def sound_of(path: Path) -> list[bytes]:
    """The payload of each sound track."""
    with av.open(str(path)) as container:
        tracks: dict[int, list[bytes]] = {s.index: [] for s in container.streams.audio}
        for packet in container.demux(*container.streams.audio):
            if packet.size:
                tracks[packet.stream.index].append(bytes(packet))
    return [b"".join(parts) for parts in tracks.values()]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", ["--format", "h265", "--bit-depth", "10"]),
        ("a.mp4", ["--format", "av1"]),
        ("a.mp4", ["--format", "lossless"]),
        ("a.mp4", ["--bitrate", "4"]),
        ("a.mov", ["--format", "prores-hq"]),
        ("a.mov", ["--format", "prores-4444", "--matte", "alpha"]),
        ("a.mov", ["--format", "dnxhr"]),
        ("a.mkv", ["--format", "ffv1", "--matte", "alpha"]),
        ("a.avi", []),
        ("a.avi", ["--format", "ffv1"]),
    ],
)
def test_films(name: str, options: list[str], source: Path, tmp_path: Path) -> None:
    out = tmp_path / name
    facts = deliver(source, out, *options)
    info = probe(out)
    assert (info.rate, info.height, info.width) == (RATE, *SIZE)
    if out.suffix != ".avi":
        assert info.timecode == "01:00:00:00"
    merged = merged_of(source)
    decoded = [frame.pixels for frame in decode_frames(out)]
    assert len(decoded) == COUNT
    lossless = "lossless" in options or "ffv1" in options
    for before, after in zip(merged, decoded, strict=True):
        if lossless:
            assert np.array_equal(before, after)
        else:
            scaled = after.astype(float) / (257 if after.dtype == np.uint16 else 1)
            assert np.abs(scaled - before).mean() < 2
    assert len(facts["sound"]) == 2
    plate = source.parent / "plate.mp4"
    if out.suffix == ".avi":
        assert "aac encoded again as pcm_s16le" in facts["sound"][0]
        assert sound_of(plate)[1] == sound_of(out)[1]
    else:
        assert sound_of(plate) == sound_of(out)
    verdict = verify(out)
    assert (verdict.integrity, verdict.place) == (
        "intact",
        "sidecar" if out.suffix == ".mkv" else "file",
    )
    assert verdict.ingredients[0].startswith("plate (parentOf")
    with out.open("r+b") as file:  # a bit of the picture
        file.seek(out.stat().st_size // 3)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    assert verify(out).integrity == "altered"


def test_the_matte_as_a_film_of_its_own(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.mp4"
    facts = deliver(source, out, "--matte", "video")
    beside = tmp_path / "result_mask.mp4"
    found = [frame.pixels for frame in decode_frames(beside)]
    for matte, frame in zip(mattes_of(source), found, strict=True):
        assert np.array_equal(np.dstack([matte] * 3), frame)
    assert probe(beside).audio == ()
    assert facts["matte"]["format"] == "lossless"
    assert verify(beside).integrity == "intact"
    again = deliver(source, out, "--matte", "video")
    assert again["outputs"] == [str(out), str(beside)]
    beside.unlink()
    deliver(source, out, "--matte", "video")
    assert beside.exists()


def test_deep_hdr_plates(deep_source: Path, tmp_path: Path) -> None:
    out = tmp_path / "hdr.mp4"
    facts = deliver(deep_source, out, "--format", "h265")
    info = probe(out)
    assert (info.bit_depth, facts["stored_as"]) == (10, "yuv420p10le")
    assert (info.color.primaries, info.color.transfer) == ("bt2020", "smpte2084")
    exact = tmp_path / "hdr.mkv"
    deliver(deep_source, exact, "--format", "ffv1")
    for before, after in zip(merged_of(deep_source), decode_frames(exact), strict=True):
        assert np.array_equal(before, after.pixels)
    # H.264 keeps ten bits for HDR, for eight would show bands
    assert deliver(deep_source, tmp_path / "hdr.mov")["stored_as"] == "yuv420p10le"


@pytest.mark.parametrize(
    ("options", "suffix", "depth"),
    [
        (["--format", "png"], "png", 8),
        (["--format", "png", "--bit-depth", "16", "--matte", "alpha"], "png", 16),
        (["--format", "tiff", "--bit-depth", "16", "--matte", "alpha"], "tif", 16),
        (["--format", "exr", "--matte", "alpha"], "exr", 16),
        (["--format", "exr", "--bit-depth", "32"], "exr", 32),
        (["--format", "dpx"], "dpx", 10),
    ],
)
def test_sequences(
    options: list[str], suffix: str, depth: int, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pictures"
    facts = deliver(source, out, *options)
    assert facts["bit_depth"] == depth
    names = [f"{n:05d}.{suffix}" for n in range(1, COUNT + 1)]
    marks = ["frames.sha256", "frames.sha256.c2pa"]
    assert sorted(path.name for path in out.iterdir()) == [*names, *marks]
    for name, pixels, matte in zip(names, merged_of(source), mattes_of(source), strict=True):
        still = read_still(out / name)
        white = 1 if still.dtype == np.float32 else np.iinfo(still.dtype).max
        colours = still[..., :3].astype(np.float64) / white
        tolerance = {8: 0, 10: 0.5 / 1023, 16: 1e-9, 32: 1e-7}[depth]
        tolerance = 1 / 4096 if suffix == "exr" and depth == 16 else tolerance
        assert np.abs(colours - pixels / 255).max() <= tolerance + 1e-9
        if "alpha" in options:
            assert np.abs(still[..., 3] / white - matte / 255).max() <= max(tolerance, 1e-9)
    assert verify(out).integrity == "intact"
    assert verify(out / names[2]).integrity == "intact"
    (out / names[2]).write_bytes((out / names[3]).read_bytes())
    assert verify(out).reasons[0] == f"understudy.frames.changed: {names[2]}"
    assert verify(out / names[2]).integrity == "altered"
    assert verify(out / names[1]).integrity == "intact"
    (out / names[2]).unlink()
    assert verify(out).reasons[0] == f"understudy.frames.missing: {names[2]}"
    deliver(source, out, *options, "--overwrite")


def test_a_folder_of_others_is_not_written_into(source: Path, tmp_path: Path, told: Any) -> None:
    out = tmp_path / "holiday"
    out.mkdir()
    (out / "00001.png").write_bytes(b"mine")
    line = told("video", "--workspace", source, "--out", out)
    assert "--overwrite" in line
    assert (out / "00001.png").read_bytes() == b"mine"
    for options, complaint in (
        (["--out", tmp_path / "x.mp4", "--format", "prores-hq"], ".mov or .mkv for prores-hq"),
        (["--out", tmp_path / "x.mp4", "--format", "exr"], "expected a folder for pictures"),
        (["--out", tmp_path / "x.mp4", "--matte", "alpha"], "--format"),
        (["--out", tmp_path / "x.mp4", "--timecode", "1:2"], "--timecode"),
        (["--out", tmp_path / "x.mov", "--timecode", "01:00:00;02"], "drop-frame"),
        (["--out", tmp_path / "x.mov", "--timecode", "01:00:00:24"], "no time of day"),
    ):
        assert complaint in told("video", "--workspace", source, *options)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday"]


def test_without_sound_and_with_another_timecode(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "quiet.mov"
    deliver(source, out, "--no-sound", "--timecode", "10:00:00:02")
    info = probe(out)
    assert info.audio == ()
    assert info.timecode == "10:00:00:02"


def test_unmarked_where_the_workspace_says_so(source: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(source, tmp_path / "w"))
    assert main(["consent", "--workspace", str(workspace), "--marking", "off"]) == 0
    facts = deliver(workspace, tmp_path / "pictures")
    assert facts["provenance"] == "provenance: off by the workspace's setting"
    assert verify(tmp_path / "pictures").integrity == "absent"
