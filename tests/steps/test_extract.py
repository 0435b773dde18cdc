"""Extraction as a step: stopped and gone on with, done again in part, asked for otherwise."""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.cli.main import main
from understudy.facesets.dfl import read_face
from understudy.media.images import read_pixels, write_image
from understudy.workspace import Workspace

Told = Callable[..., str]
SMALL = ["--image-size", "64"]


@pytest.fixture(scope="module")
def with_frames(clips: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("extract") / "w"
    Workspace.create(root)
    for side, clip in zip(("src", "dst"), clips, strict=True):
        assert main(["frames", side, "--video", str(clip), "--workspace", str(root)]) == 0
    assert main(["extract", "dst", *SMALL, "--workspace", str(root)]) == 0
    return root


@pytest.fixture
def workspace(with_frames: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(with_frames, tmp_path / "w"))


def extract(workspace: Path, side: str, *more: str) -> dict[str, object]:
    assert main(["extract", side, *SMALL, "--workspace", str(workspace), *more]) == 0
    report: dict[str, object] = json.loads((workspace / "reports" / "extract.json").read_text())
    return report


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


@pytest.mark.parametrize(("written", "found"), [(1, 3), (4, 4), (0, 2)])
def test_a_stopped_run_ends_with_the_same_faces(workspace: Path, written: int, found: int) -> None:
    aligned = workspace / "data_dst" / "aligned"
    whole = contents(aligned)
    for name, rows in (("extract_dst", written), ("found_dst", found)):
        path = workspace / "manifests" / f"{name}.jsonl"
        path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[: 1 + rows]) + b"\n{cut off")
    for path in sorted(aligned.iterdir())[written + 1 :]:
        path.unlink()
    assert extract(workspace, "dst")["done"] == 5 - written
    assert contents(aligned) == whole


def test_dst_has_debug_pictures_and_one_deleted_is_done_again(workspace: Path) -> None:
    debug, aligned = workspace / "data_dst" / "aligned_debug", workspace / "data_dst" / "aligned"
    assert len(contents(debug)) == 5
    before = contents(aligned)
    (aligned / "00002_0.jpg").rename(aligned / "renamed.jpg")  # sorting renames, too
    (debug / "00002.jpg").unlink()
    assert extract(workspace, "dst")["done"] == 0
    report = extract(workspace, "dst", "--redo", "deleted")
    assert report["done"] == 1
    after = contents(aligned)
    assert after.keys() == before.keys() and len(after.items() - before.items()) <= 1
    assert list(contents(workspace / "data_dst" / "aligned_trash")) == ["renamed.jpg"]
    assert (debug / "00002.jpg").exists()


def test_a_range_every_second_and_then_the_rest(workspace: Path) -> None:
    aligned = workspace / "data_src" / "aligned"
    assert extract(workspace, "src", "--first", "2", "--last", "00005.png", "--every", "2")
    assert list(contents(aligned)) == ["00002_0.jpg", "00004_0.jpg"]
    assert extract(workspace, "src")["done"] == 4
    assert len(contents(aligned)) == 6
    assert extract(workspace, "src", "--redo", "range", "--last", "3")["done"] == 3


def test_wrong_ranges_are_told(workspace: Path, told: Told) -> None:
    at = ["--workspace", workspace]
    assert "00001.png to 00006.png" in told("extract", "src", "--first", "77", *at)
    assert "--first" in told("extract", "src", "--first", "4", "--last", "2", *at)
    shutil.rmtree(workspace / "data_dst" / "aligned_debug")
    assert "debug" in told("extract", "dst", *SMALL, "--redo", "deleted", *at)


def test_other_options_are_refused_and_restart_moves_faces_away(
    workspace: Path, told: Told
) -> None:
    aligned = workspace / "data_dst" / "aligned"
    before = contents(aligned)
    line = told("extract", "dst", *SMALL, "--smooth", "0", "--workspace", workspace)
    assert "smooth 0.5 before, 0.0 now" in line and "--restart" in line
    assert contents(aligned) == before
    assert extract(workspace, "dst", "--smooth", "0", "--restart")["done"] == 5
    raw = contents(aligned)
    assert raw.keys() == before.keys() and raw != before
    assert contents(workspace / "data_dst" / "aligned_trash") == before


def test_restart_takes_masks_along_with_their_faces(workspace: Path) -> None:
    aligned = workspace / "data_dst" / "aligned"
    (aligned / "00002_0.mask.png").write_bytes(b"a mask")
    before = contents(aligned)
    report = extract(workspace, "dst", "--restart")
    assert report["details"]["faces"] == 5  # type: ignore[index]
    assert contents(workspace / "data_dst" / "aligned_trash") == before


def test_a_damaged_frame_fails_alone(workspace: Path) -> None:
    (workspace / "data_src" / "00003.png").write_bytes(b"no picture")
    code = main(["extract", "src", *SMALL, "--workspace", str(workspace)])
    report = json.loads((workspace / "reports" / "extract.json").read_text())
    assert code == 3
    assert [failure["item"] for failure in report["failed"]] == ["00003.png"]
    assert report["details"]["faces"] == 5


def test_lossless_heads(workspace: Path) -> None:
    where = ["--workspace", str(workspace), "--first", "1", "--last", "1"]
    assert main(["extract", "src", "--face-type", "head", "--lossless", *where]) == 0
    face = read_face(workspace / "data_src" / "aligned" / "00001_0.png")
    assert face.image.shape == (768, 768, 3) and face.source_name == "00001.png"


def test_frames_without_a_face_are_listed_and_tried_again(workspace: Path) -> None:
    frames = workspace / "data_src"
    empty = np.full((64, 64, 3), 90, np.uint8)
    face = (frames / "00004.png").read_bytes()
    write_image(frames / "00004.png", empty)
    report = extract(workspace, "src")
    look = json.loads((workspace / "manifests" / "look_src.json").read_text())
    assert look["without_face"] == ["00004.png"]
    assert "1 frame without a face" in str(report["details"])
    (frames / "00004.png").write_bytes(face)
    assert extract(workspace, "src")["done"] == 0
    assert extract(workspace, "src", "--redo", "faceless", "--min-score", "0.5")["done"] == 1
    tracks = json.loads((workspace / "manifests" / "tracks_src.json").read_text())["tracks"]
    assert set(tracks) == {f"0000{i}_0.jpg" for i in range(1, 7)}


def test_faces_of_another_program_can_be_done_again(workspace: Path) -> None:
    shutil.rmtree(workspace / "manifests")
    aligned, debug = workspace / "data_dst" / "aligned", workspace / "data_dst" / "aligned_debug"
    before = contents(aligned)
    assert extract(workspace, "dst")["done"] == 0
    (debug / "00005.jpg").unlink()
    assert extract(workspace, "dst", "--redo", "deleted")["done"] == 1
    assert contents(aligned).keys() == before.keys()


def test_faces_of_another_program_keep_their_kind(workspace: Path, told: Told) -> None:
    assert extract(workspace, "src")["done"] == 6
    shutil.rmtree(workspace / "manifests")
    aligned = workspace / "data_src" / "aligned"
    (aligned / "00003_0.jpg").unlink()
    before = contents(aligned)
    line = told("extract", "src", "--redo", "range", "--workspace", workspace)
    assert "--image-size 64" in line and contents(aligned) == before
    assert extract(workspace, "src", "--redo", "faceless")["done"] == 1
    assert len(contents(aligned)) == 6
    (aligned / "alice").mkdir()
    for path in aligned.glob("*.jpg"):
        path.rename(aligned / "alice" / path.name)
    assert extract(workspace, "src", "--redo", "range", "--last", "2")["done"] == 2
    assert sorted(contents(aligned)) == ["00001_0.jpg", "00002_0.jpg"]
    assert len(contents(aligned / "alice")) == 4
    assert main(["faceset", "pack", "src", "--workspace", str(workspace)]) == 0
    assert "unpack src" in told(
        "extract", "src", *SMALL, "--redo", "range", "--workspace", workspace
    )


def test_faces_of_one_frame_are_told_apart_by_their_looks(workspace: Path, tmp_path: Path) -> None:
    """What follows them when they come near each other; it is recorded for a stopped run."""
    two = Workspace.create(tmp_path / "two").root
    for name in ("00001.png", "00003.png"):
        sides = [read_pixels(workspace / f"data_{side}" / name) for side in ("src", "dst")]
        write_image(two / "data_src" / name, np.hstack(sides))
    shutil.copy(workspace / "data_src" / "00002.png", two / "data_src" / "00004.png")
    assert extract(two, "src")["done"] == 3
    lines = (two / "manifests" / "found_src.jsonl").read_text().splitlines()[1:]
    first, second, alone = (json.loads(line)["faces"] for line in lines)
    assert "looks" not in alone[0] and len(first) == len(second) == 2

    def looks(face: dict[str, str]) -> np.ndarray:
        vector = np.frombuffer(base64.b64decode(face["looks"]), np.int8).astype(float)
        return vector / np.linalg.norm(vector)

    by_place = [sorted(faces, key=lambda face: face["box"]) for faces in (first, second)]
    likeness = np.array([[looks(a) @ looks(b) for b in by_place[1]] for a in by_place[0]])
    assert likeness.diagonal().min() > 0.5 > 0.3 > max(likeness[0, 1], likeness[1, 0])


def test_only_one_person_is_taken(workspace: Path, tmp_path: Path) -> None:
    me = tmp_path / "me.png"
    shutil.copy(workspace / "data_src" / "00001.png", me)
    assert extract(workspace, "src", "--like", str(me))["done"] == 6
    assert len(contents(workspace / "data_src" / "aligned")) == 6
    again = ["extract", "src", *SMALL, "--workspace", str(workspace), "--restart", "--like"]
    assert main([*again, str(workspace / "manifests" / "look_src.json")]) == 2


def test_tracks_that_never_look_like_a_face_are_listed(workspace: Path) -> None:
    path = workspace / "manifests" / "found_dst.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows[1:]:
        row["faces"][0]["score"] = 0.6
    for best, listed in ((0.6, 5), (0.9, 0)):  # one sure look at it speaks for all of a track
        rows[3]["faces"][0]["score"] = best
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        details = extract(workspace, "dst")["details"]
        assert isinstance(details, dict) and len(details["doubtful_faces"]) == listed
