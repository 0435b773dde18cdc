"""Whose faces lie there: extraction takes no others for its own and overwrites none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.cli.main import main
from understudy.facesets.moves import transaction
from understudy.workspace import Workspace

Told = Callable[..., str]
SMALL = ["--image-size", "64"]
HEAD = ["--face-type", "head"]


@pytest.fixture(scope="module")
def extracted(clips: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("records") / "w"
    Workspace.create(root)
    at = ["--workspace", str(root)]
    assert main(["frames", "src", "--video", str(clips[0]), *at]) == 0
    assert main(["extract", "src", *SMALL, *at]) == 0
    return root


@pytest.fixture
def workspace(extracted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(extracted, tmp_path / "w"))


def extract(workspace: Path, *more: str) -> dict[str, object]:
    assert main(["extract", "src", *SMALL, "--workspace", str(workspace), *more]) == 0
    report: dict[str, object] = json.loads((workspace / "reports" / "extract.json").read_text())
    return report


def undo(workspace: Path) -> None:
    assert main(["faceset", "undo", "src", "--workspace", str(workspace)]) == 0


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


def faces(workspace: Path) -> dict[str, bytes]:
    return contents(workspace / "data_src" / "aligned")


def trash(workspace: Path) -> dict[str, bytes]:
    return contents(workspace / "data_src" / "aligned_trash")


def test_an_undone_restart_brings_back_faces_and_their_record(workspace: Path) -> None:
    old, records = faces(workspace), contents(workspace / "manifests")
    extract(workspace, "--restart", *HEAD, "--last", "3")
    (workspace / "data_src" / "aligned" / "00002_0.mask.png").write_bytes(b"a mask")
    new = faces(workspace)
    assert len(new) == 4 and new["00001_0.jpg"] != old["00001_0.jpg"]
    undo(workspace)
    assert faces(workspace) == old and trash(workspace) == new
    assert contents(workspace / "manifests").items() >= records.items()
    assert extract(workspace)["done"] == 0  # neither refused nor made again
    assert faces(workspace) == old


def test_restarts_are_undone_one_after_the_other(workspace: Path) -> None:
    first = faces(workspace)
    extract(workspace, "--restart", *HEAD)
    heads = faces(workspace)
    extract(workspace, "--restart", "--first", "6", "--last", "6")
    undo(workspace)
    assert faces(workspace) == heads
    assert extract(workspace, *HEAD)["done"] == 0
    assert main(["extract", "src", *SMALL, "--workspace", str(workspace)]) == 2  # no heads
    assert faces(workspace) == heads
    undo(workspace)
    assert faces(workspace) == first and set(heads.values()) <= set(trash(workspace).values())
    assert extract(workspace)["done"] == 0


def test_faces_without_a_record_are_the_users_after_an_undone_restart(workspace: Path) -> None:
    old = faces(workspace)
    shutil.rmtree(workspace / "manifests")
    extract(workspace, "--restart", *HEAD, "--last", "3")
    undo(workspace)
    assert faces(workspace) == old
    assert extract(workspace)["done"] == 0 and faces(workspace) == old


def test_an_undo_that_fails_leaves_the_record(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(workspace, "--restart", *HEAD, "--last", "3")
    new, record = faces(workspace), workspace / "manifests" / "extract_src.jsonl"
    before, rename = record.read_bytes(), transaction._rename

    def refuse(source: Path, target: Path) -> None:
        if target.name == "00005_0.jpg":
            raise PermissionError(13, "not allowed")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(transaction, "_rename", refuse)
        assert main(["faceset", "undo", "src", "--workspace", str(workspace)]) != 0
    assert faces(workspace) == new and record.read_bytes() == before


def test_a_killed_undo_is_finished_by_the_next_extraction(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = faces(workspace)
    extract(workspace, "--restart", *HEAD, "--last", "3")
    rename = transaction._rename

    def stop(source: Path, target: Path) -> None:
        if target.name == "00005_0.jpg":
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(transaction, "_rename", stop)
        main(["faceset", "undo", "src", "--workspace", str(workspace)])
    assert extract(workspace)["done"] == 0
    assert faces(workspace) == old and len(trash(workspace)) == 3


def test_an_undone_redo_brings_back_faces_under_their_names(workspace: Path) -> None:
    aligned = workspace / "data_src" / "aligned"
    (aligned / "00002_0.jpg").write_bytes((aligned / "00002_0.jpg").read_bytes() + b"touched")
    old = faces(workspace)
    extract(workspace, "--redo", "range", "--last", "2", "--min-score", "0.5")
    new = faces(workspace)
    undo(workspace)
    assert faces(workspace) == old
    assert trash(workspace)["00002_0.jpg"] == new["00002_0.jpg"]
    assert extract(workspace, "--min-score", "0.6", "--redo", "faceless")["done"] == 0


def test_a_face_of_that_name_is_never_overwritten(workspace: Path) -> None:
    aligned, manifests = workspace / "data_src" / "aligned", workspace / "manifests"
    for name in ("extract_src", "found_src"):  # a record that knows of frame 6 alone
        lines = (manifests / f"{name}.jsonl").read_bytes().splitlines(keepends=True)
        (manifests / f"{name}.jsonl").write_bytes(lines[0] + lines[-1])
    for path in sorted(aligned.glob("*.jpg")):
        path.write_bytes(path.read_bytes() + b"the user's")
    old = faces(workspace)
    assert extract(workspace)["done"] == 5
    assert trash(workspace) == {n: old[n] for n in old if n != "00006_0.jpg"}
    assert len(faces(workspace)) == 6
    undo(workspace)
    assert faces(workspace) == old


def test_faces_made_elsewhere_are_told_with_the_frames_they_lack(workspace: Path) -> None:
    shutil.rmtree(workspace / "manifests")
    aligned = workspace / "data_src" / "aligned"
    (aligned / "00003_0.jpg").unlink()
    old = faces(workspace)
    report = extract(workspace)
    details = report["details"]
    assert isinstance(details, dict)
    assert report["skipped"] == 0 and details["frames_without_face"] == 1
    assert "made elsewhere" in details["summary"] and "--redo faceless" in details["summary"]
    assert faces(workspace) == old
    assert extract(workspace, "--redo", "faceless")["done"] == 1
    assert faces(workspace).keys() == {*old, "00003_0.jpg"}
    assert old.items() <= faces(workspace).items()


def test_a_missing_picture_of_the_person_is_named(
    workspace: Path, told: Told, tmp_path: Path
) -> None:
    old = faces(workspace)
    nope = tmp_path / "nope.jpg"
    line = told("extract", "src", *SMALL, "--like", nope, "--workspace", workspace)
    assert "nope.jpg" in line and "no such file" in line
    assert faces(workspace) == old
