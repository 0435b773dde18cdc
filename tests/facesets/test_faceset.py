"""Folders of faces: order, what counts, and laziness."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import FileError, FormatError, MaterialError
from understudy.facesets import faceset
from understudy.facesets.dfl import face_file, write_face
from understudy.facesets.faceset import Faceset
from understudy.types import FaceSample, FaceType


def _face(mark: int = 0) -> FaceSample:
    points = np.full((68, 2), float(mark))
    image = np.full((16, 16, 3), 0.5, np.float32)
    return FaceSample(load=lambda: image, landmarks=points, face_type=FaceType.FULL)


def _fill(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for mark, name in enumerate(names):
        write_face(folder / name, _face(mark), durable=False)


def test_the_golden_faceset(shared: Path) -> None:
    faces = Faceset.open(shared / "golden/imaging/faceset")
    files = sorted(p.name for p in (shared / "golden/imaging/faceset").iterdir())
    assert list(faces.names) == [name for name in files if name != "00902_0.jpg"]
    assert len(faces) == 61
    assert [failure.item for failure in faces.skipped] == ["00902_0.jpg"]
    assert "without any" in faces.skipped[0].reason
    read = list(faces)
    assert [face.name for face in read] == list(faces.names)
    np.testing.assert_array_equal(faces[3].landmarks, read[3].landmarks)
    assert sum(face.mask is not None for face in read) > 0
    assert sum(bool(face.polygons) for face in read) > 0


def test_order_and_what_counts(tmp_path: Path) -> None:
    folder = tmp_path / "含 faces"
    _fill(folder, "2.jpg", "10.jpg", "B.jpg", "a.jpg", "c.png")
    shutil.copy(folder / "a.jpg", folder / "d.JPEG")
    shutil.copy(folder / "a.jpg", folder / "a.jpg.bak")
    (folder / ".hidden.jpg").write_bytes(b"")
    (folder / "a.mask.png").write_bytes(b"")
    (folder / "notes.txt").write_text("")
    (folder / "x.tif").write_bytes(b"II*\0")
    faces = Faceset.open(folder)
    assert faces.names == ("10.jpg", "2.jpg", "B.jpg", "a.jpg", "c.png", "d.JPEG")
    assert [failure.item for failure in faces.skipped] == ["x.tif"]
    assert faces.persons == (None,) * 6


def test_person_folders(tmp_path: Path) -> None:
    _fill(tmp_path / "bob", "1.jpg")
    _fill(tmp_path / "alice", "2.jpg", "1.jpg")
    _fill(tmp_path / ".cache", "1.jpg")
    _fill(tmp_path, "z.jpg")
    faces = Faceset.open(tmp_path)
    assert faces.names == ("z.jpg", "alice/1.jpg", "alice/2.jpg", "bob/1.jpg")
    assert faces.persons == (None, "alice", "alice", "bob")
    assert [face.landmarks[0, 0] for face in faces] == [0, 1, 0, 0]
    assert [face.name for face in faces[1:3]] == ["1.jpg", "2.jpg"]


def test_folders_without_faces(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nothing"):
        Faceset.open(tmp_path / "none")
    with pytest.raises(MaterialError, match="no pictures"):
        Faceset.open(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(MaterialError, match="1 pictures without face metadata"):
        Faceset.open(tmp_path)


def test_a_face_that_turns_out_damaged_is_listed_and_passed_over(tmp_path: Path) -> None:
    _fill(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    data = (tmp_path / "b.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(data.replace(b"full_face", b"fool_face"))
    faces = Faceset.open(tmp_path)
    assert [face.name for face in faces] == ["a.jpg", "c.jpg"]
    assert [failure.item for failure in faces.skipped] == ["b.jpg"]
    with pytest.raises(FormatError, match=r"b\.jpg.*fool_face"):
        _ = faces[1]


def test_opening_reads_one_face_and_decodes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(tmp_path, *(f"{i:03d}.jpg" for i in range(20)))
    read: list[str] = []
    for name in ("read_header", "has_payload"):
        real = getattr(faceset.containers, name)

        def counting(stream: object, source: object, real: Callable[..., object] = real) -> object:
            read.append(str(source))
            return real(stream, source)

        monkeypatch.setattr(faceset.containers, name, counting)
    monkeypatch.setattr(face_file.cv2, "imdecode", lambda *_: pytest.fail("a picture was decoded"))
    faces = Faceset.open(tmp_path)
    assert len(read) == 1
    iterator = iter(faces)
    next(iterator)
    assert len(read) == 2
    assert len(faces) == 20 and len(faces.names) == 20
    assert len(read) == 22


def test_an_image_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    _fill(tmp_path, "a.jpg")
    face = Faceset.open(tmp_path)[0]
    brighter = dataclasses.replace(_face(), load=lambda: np.ones((16, 16, 3), np.float32))
    write_face(tmp_path / "a.jpg", brighter)
    assert face.image.mean() > 0.95
