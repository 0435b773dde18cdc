"""Steps started again: after a kill, after the user changed the folder, with other clips."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.cli.main import main
from understudy.files import temporary_path
from understudy.media.video import decode_frames
from understudy.provenance.verify import verify
from understudy.workspace import Workspace

Clips = tuple[Path, Path]
Told = Callable[..., str]


@pytest.fixture
def workspace(merged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(merged, tmp_path / "w"))


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_file())


def test_frames_of_another_clip_replace_the_old_ones_on_demand(
    workspace: Path, clips: Clips, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--workspace", str(workspace)]
    assert main(["frames", "dst", "--video", str(clips[0]), "--restart", *at]) == 0
    assert len(names(workspace / "data_dst")) == 6
    capsys.readouterr()
    extract = ["extract", "dst", "--image-size", "128", *at]
    assert main(extract) == 2, "the faces there are of the other clip's frames"
    assert "--restart" in capsys.readouterr().err
    assert main([*extract, "--restart"]) == 0
    assert len(names(workspace / "data_dst" / "aligned")) == 6


def test_a_frame_taken_away_comes_back(workspace: Path, clips: Clips) -> None:
    frame = workspace / "data_dst" / "00003.png"
    pixels = frame.read_bytes()
    frame.rename(frame.with_name("own.png"))
    assert main(["frames", "dst", "--video", str(clips[1]), "--workspace", str(workspace)]) == 0
    assert frame.read_bytes() == pixels


def test_faces_taken_away_stay_away_unless_all_are_gone(workspace: Path) -> None:
    aligned = workspace / "data_src" / "aligned"
    extract = ["extract", "src", "--image-size", "128", "--workspace", str(workspace)]
    (aligned / "00002_0.jpg").unlink()
    assert main(extract) == 0
    assert len(names(aligned)) == 5
    for path in aligned.iterdir():
        path.unlink()
    assert main(extract) == 0
    assert len(names(aligned)) == 6


def test_faces_sorted_by_person_are_the_users_own(workspace: Path) -> None:
    aligned = workspace / "data_src" / "aligned"
    (aligned / "alice").mkdir()
    for path in aligned.glob("*.jpg"):
        path.rename(aligned / "alice" / path.name)
    shutil.rmtree(workspace / "manifests")
    assert main(["extract", "src", "--workspace", str(workspace)]) == 0
    assert names(aligned) == []


def test_a_refused_option_deletes_no_face(workspace: Path, told: Told) -> None:
    before = names(workspace / "data_src" / "aligned")
    extract = ["extract", "src", "--restart", "--workspace", workspace]
    assert "nope" in told(*extract, "--detector", "nope")
    assert "cuda:99" in told(*extract, "--device", "cuda:99")
    assert names(workspace / "data_src" / "aligned") == before


def test_damaged_record_of_extraction_is_told_and_mended_by_restart(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (workspace / "manifests" / "extract_src.jsonl").open("a") as file:
        file.write("no json\n")
    extract = ["extract", "src", "--image-size", "128", "--workspace", str(workspace)]
    capsys.readouterr()
    assert main(extract) == 2
    assert "extract_src.jsonl" in capsys.readouterr().err
    assert main([*extract, "--restart"]) == 0
    assert len(names(workspace / "data_src" / "aligned")) == 6


def test_what_killed_writes_left_is_swept(workspace: Path, clips: Clips, tmp_path: Path) -> None:
    out = tmp_path / "result.mp4"
    nested = temporary_path(temporary_path(out))
    others = temporary_path(tmp_path / "result2.mp4")
    finished = ("data_dst/00009.png", "data_dst/aligned/00009_0.jpg", "data_dst/merged/00009.png")
    left = [temporary_path(workspace / name) for name in finished]
    for path in (*left, nested, others):
        path.write_bytes(b"half")
    at = ["--workspace", str(workspace)]
    assert main(["frames", "dst", "--video", str(clips[1]), *at]) == 0
    assert main(["extract", "dst", "--image-size", "128", *at]) == 0
    assert main(["merge", *at]) == 0
    assert main(["video", "--out", str(out), *at]) == 0
    assert [path for path in (*left, nested) if path.exists()] == []
    assert others.exists(), "another film's"


def test_a_changed_plate_is_merged_again(workspace: Path) -> None:
    plate = workspace / "data_dst" / "00002.png"
    plate.write_bytes((workspace / "data_dst" / "00004.png").read_bytes())
    before = {p.name: p.read_bytes() for p in (workspace / "data_dst" / "merged").iterdir()}
    assert main(["merge", "--workspace", str(workspace)]) == 0
    report = json.loads((workspace / "reports" / "merge.json").read_text())
    assert report["done"] == 1
    after = (workspace / "data_dst" / "merged" / "00002.png").read_bytes()
    assert after != before["00002.png"]


def test_a_damaged_face_of_dst_is_listed(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    face = workspace / "data_dst" / "aligned" / "00002_0.jpg"
    face.write_bytes(face.read_bytes()[:300])
    capsys.readouterr()
    assert main(["merge", "--workspace", str(workspace)]) == 3
    assert "00002_0.jpg" in capsys.readouterr().err


def test_faces_of_other_frames_are_told(workspace: Path, told: Told) -> None:
    aligned = workspace / "data_dst" / "aligned"
    face = workspace / "data_src" / "aligned" / "00006_0.jpg"
    for path in aligned.iterdir():
        path.unlink()
    shutil.copy(face, aligned)
    assert str(aligned) in told("merge", "--workspace", workspace)


def test_no_film_of_old_and_new_frames(workspace: Path, told: Told, tmp_path: Path) -> None:
    plate = workspace / "data_dst" / "00003.png"
    whole = plate.read_bytes()
    plate.write_bytes(whole[:500])
    at = ["--workspace", str(workspace)]
    assert main(["merge", "--erode-mask", "5", *at]) == 3
    out = tmp_path / "result.mp4"
    assert "understudy merge" in told("video", "--out", out, *at)
    plate.write_bytes(whole)
    assert main(["merge", "--erode-mask", "5", *at]) == 0
    assert main(["video", "--out", str(out), *at]) == 0
    assert sum(1 for _ in decode_frames(out)) == 5


def test_frames_merged_by_another_program_become_a_film(
    workspace: Path, told: Told, tmp_path: Path
) -> None:
    out = tmp_path / "result.mp4"
    (workspace / "merge.json").write_text("[1]")
    assert "merge.json" in told("video", "--out", out, "--workspace", workspace)
    (workspace / "merge.json").unlink()
    shutil.rmtree(workspace / "manifests")
    assert main(["video", "--out", str(out), "--fps", "24", "--workspace", str(workspace)]) == 0
    assert sum(1 for _ in decode_frames(out)) == 5
    assert verify(out).integrity == "intact"


def test_a_consent_recorded_later_is_in_the_film(workspace: Path, tmp_path: Path) -> None:
    at, out = ["--workspace", str(workspace)], tmp_path / "result.mp4"
    film = ["video", "--out", str(out), *at]
    assert main(film) == 0
    assert "not recorded" in verify(out).consent
    assert main(["consent", "--subject", "a", "--basis", "own-face", *at]) == 0
    assert main(film) == 0
    assert "not recorded" not in verify(out).consent


def test_no_clip_and_no_foreign_file_is_overwritten(
    workspace: Path, told: Told, clips: Clips, tmp_path: Path
) -> None:
    at = ["--workspace", str(workspace)]
    for clip in clips:
        before = clip.read_bytes()
        line = told("run", "--src", clips[0], "--dst", clips[1], "--out", clip, *at, "--overwrite")
        assert clip.name in line
        assert clip.name in told("video", "--out", clip, "--overwrite", *at)
        assert clip.read_bytes() == before
    out = tmp_path / "precious.mp4"
    out.write_bytes(b"precious")
    assert "--overwrite" in told("video", "--out", out, *at)
    assert out.read_bytes() == b"precious"
    assert main(["video", "--out", str(out), "--overwrite", *at]) == 0
    assert main(["video", "--out", str(out), "--crf", "20", *at]) == 0, "it is our own now"


def test_training_lists_faces_it_can_not_read(workspace: Path) -> None:
    face = workspace / "data_src" / "aligned" / "00002_0.jpg"
    face.write_bytes(face.read_bytes()[:300])
    assert main(["train", "--workspace", str(workspace), "--target-iter", "2"]) == 3


def test_damaged_record_of_frames_is_told(workspace: Path, told: Told, clips: Clips) -> None:
    record = workspace / "manifests" / "frames_dst.json"
    at = ["--workspace", workspace]
    for content in ("", '{"asked"', "{}", '{"asked": {}, "complete": true, "clips": []}', "[1]"):
        record.write_text(content)
        for step in (["frames", "dst", "--video", clips[1]], ["extract", "dst"], ["video"]):
            assert record.name in told(*step, *at)
    restart = ["frames", "dst", "--video", str(clips[1]), "--restart", *map(str, at)]
    record.write_text("{}")
    assert main(restart) == 0
    assert len(names(workspace / "data_dst")) == 5


def test_run_with_another_target_trains_on_and_makes_the_film_anew(
    clips: Clips, tmp_path: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out, workspace = tmp_path / "result.mp4", tmp_path / "w"
    Workspace.create(workspace)
    at = ["--workspace", str(workspace)]
    for side, clip in zip(("src", "dst"), clips, strict=True):
        assert main(["frames", side, "--video", str(clip), *at]) == 0
    assert main(["extract", "src", "--max-faces", "1", *at]) == 0
    assert main(["extract", "dst", *at]) == 0
    assert main(["train", *at, *tiny, "--target-iter", "1"]) == 0
    film = ["run", "--src", str(clips[0]), "--dst", str(clips[1]), "--out", str(out), *at]
    done = []
    for more in (["--target-iter", "2"], ["--target-iter", "3"], [], ["--preset", "saehd"]):
        capsys.readouterr()
        assert main([*film, *more]) == 0
        report = json.loads((workspace / "reports" / "run.json").read_text())
        parts = report["details"]["parts"]
        done.append([parts[name]["done"] for name in ("train", "merge", "video")])
    assert done == [[1, 5, 5], [1, 5, 5], [0, 0, 0], [0, 0, 0]]
    assert "stays as it was made" in capsys.readouterr().err


def test_steps_without_a_workspace_leave_their_report_where_asked(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    face = workspace / "data_src" / "00001.png"
    for name, given, code in (("verify", [str(face)], 3), ("weights", [], 0)):
        capsys.readouterr()
        assert main([name, *given, "--workspace", str(workspace)]) == code
        assert capsys.readouterr().out.splitlines()[-1].startswith("done: ")
        assert json.loads((workspace / "reports" / f"{name}.json").read_text())["step"] == name
