"""Labelled faces are gathered, and nothing is lost on the way."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelled import LABEL, content, label_faces, labelled_workspace
from made_faceset import make_workspace
from understudy.cli.main import main
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.dfl.face_file import sidecar_path


def test_labelled_faces_are_copied_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = labelled_workspace(tmp_path / "w")
    aligned = workspace.src.aligned_dir
    before, at = content(aligned), ["--workspace", str(workspace.root)]
    assert main(["mask", "fetch", "src", *at]) == 0
    assert "2 labelled faces fetched" in capsys.readouterr().out
    fetched = content(workspace.src.frames_dir / "aligned_xseg")
    assert fetched == {name: before[name] for name in ("00002_0.jpg", "00003_0.jpg")}
    assert content(aligned) == before
    assert main(["mask", "fetch", "src", *at]) == 0
    assert "0 labelled faces fetched, 2 kept from an earlier run" in capsys.readouterr().out


def test_originals_go_only_when_asked_and_come_back(tmp_path: Path) -> None:
    workspace = labelled_workspace(tmp_path / "w")
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    before = content(aligned)
    assert main(["mask", "fetch", "src", "--delete-originals", *at]) == 0
    assert sorted(content(aligned)) == ["00001_0.jpg", "00004_0.jpg"]
    assert sorted(content(workspace.src.frames_dir / "aligned_xseg")) == [
        "00002_0.jpg",
        "00003_0.jpg",
    ]
    assert main(["faceset", "undo", "src", *at]) == 0
    assert content(aligned) == before


def test_another_version_is_replaced_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = labelled_workspace(tmp_path / "w")
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    out = workspace.src.frames_dir / "aligned_xseg"
    assert main(["mask", "fetch", "src", *at]) == 0
    older = content(out)
    path = aligned / "00002_0.jpg"
    write_face(path, replace(read_face(path), polygons=LABEL[:1]), durable=False)
    capsys.readouterr()
    assert main(["mask", "fetch", "src", *at]) == 3
    assert "00002_0.jpg: aligned_xseg holds another version" in capsys.readouterr().err
    assert content(out) == older
    assert main(["mask", "fetch", "src", "--replace", *at]) == 0
    assert content(out) == older | {"00002_0.jpg": path.read_bytes()}
    trash = content(workspace.src.frames_dir / "aligned_xseg_trash")
    assert trash == {"00002_0.jpg": older["00002_0.jpg"]}


def test_a_large_mask_comes_with_its_face(tmp_path: Path) -> None:
    workspace = labelled_workspace(tmp_path / "w")
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    noise = np.random.default_rng(1).integers(0, 256, (400, 400)).astype(np.float32) / 255
    path = aligned / "00003_0.jpg"
    write_face(path, replace(read_face(path), mask=noise), durable=False)
    assert main(["mask", "fetch", "src", *at]) == 0
    copy = workspace.src.frames_dir / "aligned_xseg" / "00003_0.jpg"
    assert sidecar_path(copy).is_file()
    np.testing.assert_array_equal(read_face(copy).mask, read_face(path).mask)


def test_a_pak_gives_copies_but_no_originals(tmp_path: Path, told: object) -> None:
    workspace = labelled_workspace(tmp_path / "w")
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    before = content(aligned)
    assert main(["faceset", "pack", "src", "--delete-originals", *at]) == 0
    pak = content(aligned)
    line = told("mask", "fetch", "src", "--delete-originals", *at)  # type: ignore[operator]
    assert "a pak" in line and "understudy faceset unpack src" in line
    assert main(["mask", "fetch", "src", *at]) == 0
    fetched = content(workspace.src.frames_dir / "aligned_xseg")
    assert fetched == {name: before[name] for name in ("00002_0.jpg", "00003_0.jpg")}
    assert content(aligned) == pak


def test_without_labels_it_says_so_and_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_workspace(tmp_path / "w", src=3)
    assert main(["mask", "fetch", "src", "--workspace", str(workspace.root)]) == 2
    line = capsys.readouterr().err
    assert "3 faces without any" in line and "mask suggest src" in line
    assert not (workspace.src.frames_dir / "aligned_xseg").exists()


def test_copies_never_go_among_the_faces(tmp_path: Path, told: object) -> None:
    workspace = labelled_workspace(tmp_path / "w")
    aligned = workspace.src.aligned_dir
    at = ("--workspace", workspace.root)
    line = told("mask", "fetch", "src", "--out", aligned, *at)  # type: ignore[operator]
    assert "another folder" in line


def test_persons_keep_their_folders(tmp_path: Path) -> None:
    workspace = labelled_workspace(tmp_path / "w")
    aligned = workspace.src.aligned_dir
    (aligned / "alice").mkdir()
    (aligned / "00001_0.jpg").rename(aligned / "alice" / "00002_0.jpg")
    label_faces(aligned, ["alice/00002_0.jpg"])
    assert main(["mask", "fetch", "src", "--workspace", str(workspace.root)]) == 0
    fetched = content(workspace.src.frames_dir / "aligned_xseg")
    assert sorted(fetched) == ["00002_0.jpg", "00003_0.jpg", "alice/00002_0.jpg"]
