"""Pack, unpack, save and restore metadata, inspect: as a user starts them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_files import assert_same_face
from understudy.cli.main import main
from understudy.facesets.dfl import read_face
from understudy.facesets.faceset import Faceset
from understudy.facesets.moves.edit import undo
from understudy.workspace import Workspace


@pytest.fixture
def faceset(shared: Path, tmp_path: Path) -> Path:
    """The golden faces as src of a workspace, with a picture that is none and two persons."""
    folder = Workspace.create(tmp_path / "w").src.aligned_dir
    for path in sorted((shared / "golden/files/aligned").iterdir()):
        shutil.copy(path, folder)
    (folder / "alice").mkdir()
    shutil.copy(folder / "00001_0.jpg", folder / "alice/00001_0.jpg")
    shutil.copy(shared / "golden/files/special/plain.jpg", folder)
    return folder


def _run(*words: str, faceset: Path) -> int:
    return main(["faceset", *words, "--workspace", str(faceset.parents[1])])


def _files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_pack_and_unpack_lose_nothing(
    faceset: Path, told: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    before, names = _files(faceset), Faceset.open(faceset).names
    assert _run("pack", "src", "--delete-originals", faceset=faceset) == 0
    assert "9 faces in faceset.pak, 1 picture without metadata left out" in capsys.readouterr().out
    assert sorted(_files(faceset)) == ["faceset.pak", "plain.jpg"]
    assert Faceset.open(faceset).names == names
    line = told("faceset", "pack", "src", "--workspace", faceset.parents[1])
    assert "--replace" in line
    assert _run("unpack", "src", faceset=faceset) == 0
    assert _files(faceset) == before
    undo(faceset)  # the pak is back; below it, the faces as they were packed
    assert (faceset / "faceset.pak").is_file()
    assert Faceset.open(faceset).names == names


def test_what_a_pak_can_not_hold_stays(faceset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (faceset / "00002_0.jpg").read_bytes()
    (faceset / "00002_0.jpg").write_bytes(whole[:-500])
    assert _run("pack", "src", "--delete-originals", faceset=faceset) == 3
    assert "00002_0.jpg" in capsys.readouterr().err
    assert sorted(_files(faceset)) == ["00002_0.jpg", "faceset.pak", "plain.jpg"]
    assert _run("pack", "src", "--replace", faceset=faceset) == 2
    assert len(Faceset.open(faceset)) == 8  # nothing to pack: the old pak stays


def test_metadata_survive_an_editor(faceset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: read_face(path) for path in faceset.glob("0*.jpg")}
    assert _run("save-meta", "src", faceset=faceset) == 0
    for place, path in enumerate(sorted(faceset.glob("0*.jpg"))):
        picture = cv2.imread(str(path))
        if place == 1:
            picture = cv2.resize(picture, None, fx=2, fy=2)
        path.unlink()
        cv2.imwrite(str(path.with_suffix(".png") if place == 2 else path), picture)
    (faceset / "00008_0.jpg").unlink()
    capsys.readouterr()
    assert _run("restore-meta", "src", faceset=faceset) == 0
    assert "(7 as saved, 1 scaled, 1 gone)" in capsys.readouterr().out
    assert_same_face(read_face(faceset / "00001_0.jpg"), before["00001_0.jpg"])
    assert_same_face(read_face(faceset / "00003_0.png"), before["00003_0.jpg"])
    scaled = read_face(faceset / "00002_0.jpg")
    np.testing.assert_allclose(scaled.landmarks, before["00002_0.jpg"].landmarks * 2)
    assert (faceset / "meta.dat").is_file()


def test_inspect_tells_what_a_file_holds(faceset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faceset", "inspect", str(faceset / "00004_0.jpg")]) == 0
    out = capsys.readouterr().out
    for said in ("256x256", "whole_face", "00004.png", "covers 41%", "2 include", "by 1.5"):
        assert said in out
    assert main(["faceset", "inspect", str(faceset / "00004_0.jpg"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    face = read_face(faceset / "00004_0.jpg")
    assert facts["kind"] == "face" and facts["pickle_protocol"] == 4
    assert facts["metadata"]["landmarks"] == face.landmarks.tolist()
    assert facts["metadata"]["image_to_face_mat"] == face.frame_to_face.tolist()
    assert _run("save-meta", "src", faceset=faceset) == 0
    assert _run("pack", "src", faceset=faceset) == 0
    capsys.readouterr()
    for path, kind, count in (
        (faceset, "folder", 9),
        (faceset / "faceset.pak", "pak", 9),
        (faceset / "meta.dat", "meta", 9),
    ):
        assert main(["faceset", "inspect", str(path), "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert (facts["kind"], facts["count"], facts["with_mask"]) == (kind, count, 2)
        assert facts["persons"] == {"alice": 1} and len(facts["faces"]) == count
        assert facts["face_types"]["whole_face"] == 5
        assert main(["faceset", "inspect", str(path)]) == 0
        assert "9 faces from 8 frames" in capsys.readouterr().out


def test_inspect_names_what_is_wrong(tmp_path: Path, told: Callable[..., str]) -> None:
    (tmp_path / "faceset.pak").write_bytes(bytes(1000))
    assert "version 0" in told("faceset", "inspect", tmp_path / "faceset.pak")
    (tmp_path / "meta.dat").write_bytes(bytes(1000))
    assert "pickle" in told("faceset", "inspect", tmp_path / "meta.dat")
    assert "nothing" in told("faceset", "inspect", tmp_path / "none.jpg")
