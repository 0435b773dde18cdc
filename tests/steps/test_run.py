"""The whole way on two very short clips: from files to a signed film, and again."""

import json
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from understudy.cli.main import main
from understudy.faces.regions import hull_mask
from understudy.facesets.faceset import Faceset
from understudy.media.encode import encode_video
from understudy.media.images import write_image
from understudy.media.video import decode_frames, probe
from understudy.provenance.consent import Marking, write_marking
from understudy.provenance.verify import verify
from understudy.steps.demo import mark_strip, write_strip

Clips = tuple[Path, Path]


def run_tokens(clips: Clips, out: Path, workspace: Path, *more: str) -> list[str]:
    src, dst = map(str, clips)
    tokens = ["run", "--src", src, "--dst", dst, "--out", str(out)]
    tokens += ["--workspace", str(workspace), "--preset", "demo", "--target-iter", "3"]
    return [*tokens, *more]


@pytest.fixture(scope="module")
def finished(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("film 影片")
    out, workspace = folder / "résult.mp4", folder / "work space"
    assert main(run_tokens(clips, out, workspace)) == 0
    return out, workspace


def test_film_has_every_frame_at_the_plates_rate_with_its_sound(
    finished: tuple[Path, Path], clips: Clips
) -> None:
    info, plate = probe(finished[0]), probe(clips[1])
    assert str(info.rate) == "30000/1001"
    assert (info.width, info.height) == (plate.width, plate.height)
    assert sum(1 for _ in decode_frames(finished[0])) == 5
    assert [track.codec for track in info.audio] == ["aac"]


def test_film_is_signed(finished: tuple[Path, Path]) -> None:
    verdict = verify(finished[0])
    assert (verdict.integrity, verdict.signer) == ("intact", "unknown")
    assert main(["verify", str(finished[0])]) == 0


def test_the_strip_of_the_demo_is_signed(
    finished: tuple[Path, Path], clips: Clips, tmp_path: Path
) -> None:
    film, workspace = finished
    strip = tmp_path / "strip.png"
    write_strip(strip, *clips, film)
    mark_strip(strip, film, workspace)
    verdict = verify(strip)
    assert verdict.integrity == "intact"
    assert [action.split()[0] for action in verdict.actions] == ["c2pa.opened", "c2pa.edited"]
    assert "plate (parentOf, with provenance)" in verdict.ingredients[0], (
        "the film's own mark is carried on"
    )
    write_strip(strip, *clips, film)
    write_marking(workspace, Marking(enabled=False))
    mark_strip(strip, film, workspace)
    write_marking(workspace, Marking(enabled=True))
    assert verify(strip).integrity == "absent"


def test_one_changed_byte_is_told(finished: tuple[Path, Path], tmp_path: Path) -> None:
    data = bytearray(finished[0].read_bytes())
    data[data.index(b"mdat") + 2000] ^= 1
    changed = tmp_path / "changed.mp4"
    changed.write_bytes(data)
    assert verify(changed).integrity == "altered"
    assert main(["verify", str(changed)]) == 3


def test_outside_the_face_the_plate_is_untouched(finished: tuple[Path, Path]) -> None:
    from understudy.media.images import read_pixels

    dst = finished[1] / "data_dst"
    for path in sorted((dst / "merged").glob("*.png")):
        plate, merged = read_pixels(dst / path.name), read_pixels(path)
        mask = read_pixels(dst / "merged_mask" / path.name)[..., 0]
        assert mask.any()
        assert (plate[mask == 0] == merged[mask == 0]).all()
        most = mask == mask.max()
        assert (plate[most] != merged[most]).any()


def test_every_step_left_its_report(finished: tuple[Path, Path]) -> None:
    for name in ("run", "frames", "frames_src", "extract_dst", "train", "merge", "video"):
        report = json.loads((finished[1] / "reports" / f"{name}.json").read_text())
        assert report["failed"] == []
        assert report["details"]["consent"] == "consent: not recorded"


def test_faces_get_the_mask_that_ships_where_asked_for(
    finished: tuple[Path, Path], clips: Clips, tmp_path: Path
) -> None:
    hulls = list(Faceset.open(finished[1] / "data_dst" / "aligned"))
    assert hulls and all(face.mask is None for face in hulls)
    out, workspace = tmp_path / "film.mp4", tmp_path / "w"
    assert main(run_tokens(clips, out, workspace, "--masks", "generic")) == 0
    for side in ("data_src", "data_dst"):
        for face in Faceset.open(workspace / side / "aligned"):
            assert face.mask is not None
            hull = hull_mask(face.landmarks, face.mask.shape, face.brow_expand)
            assert 0.1 < face.mask.mean() < 0.6
            assert not np.array_equal(face.mask, hull)


def test_second_run_repeats_nothing(
    finished: tuple[Path, Path], clips: Clips, capsys: pytest.CaptureFixture[str]
) -> None:
    out, workspace = finished
    before = {
        p: p.stat().st_mtime_ns for p in workspace.rglob("*.*") if p.suffix in (".png", ".jpg")
    }
    assert main(run_tokens(clips, out, workspace)) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("done: ")
    report = json.loads((workspace / "reports" / "run.json").read_text())
    assert (report["done"], report["skipped"]) == (0, 5), "frames of the film, and nothing else"
    for path, when in before.items():
        assert path.stat().st_mtime_ns == when, path


def test_the_last_word_counts_frames_of_the_film_and_names_what_to_look_at(
    clips: Clips, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blank = np.full((256, 256, 3), 90, np.uint8)
    frames = [f.pixels for f in decode_frames(clips[1])][:3]
    plate = tmp_path / "plate.mp4"
    encode_video([blank, *frames], plate, timing=Fraction(25))
    tokens = run_tokens((clips[0], plate), tmp_path / "film.mp4", tmp_path / "w")
    assert main([*tokens, "--minutes", "0.00001"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert "  To train on from there: the same command with more --minutes" in shown
    assert "  dst: 1 frame without a face: 00001.png" in shown
    assert shown[-1].startswith("done: 4 frames in the film -> ")
    (row,) = (line for line in shown if line.startswith("  train "))
    assert row.split()[1:3] == ["1", "iterations"]


def test_one_person_is_taken_where_asked_for(clips: Clips, tmp_path: Path) -> None:
    out, workspace = tmp_path / "film.mp4", tmp_path / "w"
    like = tmp_path / "the person.png"
    write_image(like, next(iter(decode_frames(clips[1]))).pixels)
    assert main(run_tokens(clips, out, workspace, "--dst-like", str(like))) == 0
    report = json.loads((workspace / "reports" / "extract_dst.json").read_text())
    assert (report["options"]["like"], report["details"]["faces"]) == ([str(like)], 5)
    assert main(run_tokens(clips, out, workspace)) == 0, "what was chosen once holds"


def test_same_seed_same_film(finished: tuple[Path, Path], clips: Clips, tmp_path: Path) -> None:
    out = tmp_path / "again.mp4"
    assert main(run_tokens(clips, out, tmp_path / "w")) == 0
    one = [f.pixels for f in decode_frames(finished[0])]
    two = [f.pixels for f in decode_frames(out)]
    assert all((a == b).all() for a, b in zip(one, two, strict=True))


def test_killed_run_goes_on(clips: Clips, tmp_path: Path) -> None:
    out, workspace = tmp_path / "result.mp4", tmp_path / "w"
    command = [sys.executable, "-m", "understudy.cli.main", *run_tokens(clips, out, workspace)]
    for seconds in (1.5, 5.0, 6.5):  # somewhere in frames, in extraction, in training or later
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as run:
            time.sleep(seconds)
            run.kill()
    assert subprocess.run(command, check=False).returncode == 0
    assert sum(1 for _ in decode_frames(out)) == 5
    assert verify(out).integrity == "intact"
    left = [p for p in tmp_path.rglob("*.partial*") if "saves" not in p.parts]
    assert left == [], "the finished film's folder holds nothing half-written"


def test_run_takes_over_faces_extracted_by_hand(clips: Clips, tmp_path: Path) -> None:
    out, workspace = tmp_path / "film.mp4", tmp_path / "w"
    at = ["--workspace", str(workspace)]
    assert main(["new", str(workspace)]) == 0
    assert main(["frames", "src", "--video", str(clips[0]), *at]) == 0
    assert main(["extract", "src", "--image-size", "192", "--face-type", "full_face", *at]) == 0
    assert main(run_tokens(clips, out, workspace)) == 0
    report = json.loads((workspace / "reports" / "extract_src.json").read_text())
    assert (report["done"], report["skipped"]) == (0, 6)
