"""A faceset made anew: beside the old one, in its place, after a stop, and taken back."""

from pathlib import Path

import pytest

from made_faceset import make_workspace
from understudy.cli.main import main
from understudy.facesets.dfl import read_face
from understudy.facesets.moves.edit import undo
from understudy.steps.faceset.derived import JOURNAL
from understudy.types import FaceType


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.name[0] != "."}


def run(root: Path, *tokens: str) -> int:
    return main(["faceset", "resize", *tokens, "--workspace", str(root)])


def test_into_a_new_folder_and_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = make_workspace(tmp_path / "w")
    before = content(workspace.src.aligned_dir)
    root, out = workspace.root, workspace.src.frames_dir / "aligned_resized"
    assert run(root, "src", "--size", "96", "--face-type", "full_face") == 0
    assert content(workspace.src.aligned_dir) == before
    made = content(out)
    assert sorted(made) == sorted(before)
    face = read_face(out / "00002_0.jpg")
    assert face.image.shape == (96, 96, 3)
    assert face.face_type is FaceType.FULL
    assert face.mask is not None
    # As if stopped after the second face: the rest is made, what is there stays.
    journal = (out / JOURNAL).read_bytes().splitlines(keepends=True)
    (out / JOURNAL).write_bytes(b"".join(journal[:3]))
    times = {p.name: p.stat().st_mtime_ns for p in out.glob("*.jpg")}
    assert run(root, "src", "--size", "96", "--face-type", "full_face") == 0
    assert content(out) == made
    kept = [name for name, time in times.items() if (out / name).stat().st_mtime_ns == time]
    assert sorted(kept) == ["00001_0.jpg", "00002_0.jpg"]
    capsys.readouterr()
    assert run(root, "src", "--size", "64") == 2
    assert "size 96 before, 64 now" in capsys.readouterr().err
    assert run(root, "src", "--size", "64", "--restart") == 0
    assert read_face(out / "00002_0.jpg").image.shape == (64, 64, 3)


def test_in_place_and_taken_back(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w")
    aligned = workspace.src.aligned_dir
    before = content(aligned)
    assert run(workspace.root, "src", "--size", "96", "--replace") == 0
    after = content(aligned)
    assert sorted(after) == sorted(before)
    assert read_face(aligned / "00001_0.jpg").image.shape == (96, 96, 3)
    assert content(workspace.src.frames_dir / "aligned_trash") == before
    out = workspace.src.frames_dir / "aligned_resized"
    assert not content(out)
    assert run(workspace.root, "src", "--size", "96", "--replace") == 0
    assert content(aligned) == after, "faces that are so already stay, byte for byte"
    undone = undo(aligned)
    assert (undone.moved, undone.returned) == (2 * len(before), len(before))
    assert content(aligned) == before
    assert content(out) == after
    # Thought again: what is made is used, and another size begins anew once the folder is empty.
    assert run(workspace.root, "src", "--size", "96", "--replace") == 0
    assert content(aligned) == after
    assert run(workspace.root, "src", "--size", "64", "--replace") == 0
    assert read_face(aligned / "00001_0.jpg").image.shape == (64, 64, 3)


def test_nothing_is_replaced_when_a_face_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_workspace(tmp_path / "w")
    aligned = workspace.src.aligned_dir
    broken = aligned / "00003_0.jpg"
    broken.write_bytes(broken.read_bytes()[:-1500])
    before = content(aligned)
    assert run(workspace.root, "src", "--size", "96", "--replace") == 3
    assert "the faceset stays as it is" in capsys.readouterr().err
    assert content(aligned) == before


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = make_workspace(tmp_path / "w")
    root, aligned = workspace.root, workspace.src.aligned_dir
    for tokens, reason in (
        (["src"], "at least one"),
        (["src", "--face-type", "head"], "holds all a head shows, found a whole_face"),
        (["src", "--size", "64", "--out", str(aligned)], "another folder"),
        (["src", "--size", "64", "--out", str(workspace.dst.aligned_dir)], "an empty folder"),
        (["src", "--size", "64", "--replace", "--out", "x"], "either"),
        (["src", "--size", "5000"], "2048"),
    ):
        capsys.readouterr()
        assert run(root, *tokens) == 2, tokens
        assert reason in capsys.readouterr().err
    assert not (workspace.src.frames_dir / "aligned_resized").exists()
