"""Packed facesets: the predecessor's, and broken ones."""

import json
import pickle
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strict_pickle import NUMPY_1, equal, read_pickle
from understudy.errors import FileError, FormatError, StorageError, UnsafeFileError
from understudy.facesets.dfl import read_face
from understudy.facesets.dfl.pack import PackedFace, PakItem, read_index, write_pak
from understudy.facesets.faceset import Faceset, list_loose
from understudy.facesets.moves.packing import look_at, unpack_face


def test_golden_paks_hold_the_loose_faces(shared: Path) -> None:
    folder = shared / "golden/files"
    expected = json.loads((folder / "expected.json").read_text())["paks"]
    for name, entry in expected.items():
        faces = Faceset.open((folder / name).parent)
        assert len(faces) == entry["count"] and not faces.skipped
        assert faces.persons == tuple(config["person_name"] for config in entry["configs"])
        for face, config in zip(faces, entry["configs"], strict=True):
            loose = folder / "aligned" / config["filename"]
            assert face.name is not None and face.name.endswith(config["filename"])
            assert face.encoded is not None and face.encoded() == loose.read_bytes()
            np.testing.assert_array_equal(face.image, read_face(loose).image)
            assert face.source_name == config["source_filename"]


def _pak(
    configs: Any,
    faces: list[bytes],
    *,
    end: int | None = None,
    version: int = 1,
    offsets: list[int] | None = None,
) -> bytes:
    index = pickle.dumps(configs, 4)
    start = 16 + len(index) + 8 * (len(faces) + 1)
    offsets = offsets or [sum(map(len, faces[:i])) for i in range(len(faces))]
    last = start + sum(map(len, faces)) if end is None else end
    table = struct.pack(f"<{len(faces) + 1}Q", *offsets, last)
    return struct.pack("<QQ", version, len(index)) + index + table + b"".join(faces)


@pytest.fixture
def loose(shared: Path) -> list[bytes]:
    folder = shared / "golden/files/aligned"
    return [(folder / f"0000{i}_0.jpg").read_bytes() for i in (1, 2, 3)]


def test_both_forms_of_the_last_offset_read(loose: list[bytes], tmp_path: Path) -> None:
    configs = [{"filename": f"{i}.jpg"} for i in range(3)]
    for end in (None, sum(map(len, loose)), 0):
        (tmp_path / "faceset.pak").write_bytes(_pak(configs, loose, end=end))
        faces = [face.encoded and face.encoded() for face in Faceset.open(tmp_path)]
        assert faces == loose


def test_a_pak_takes_precedence(loose: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "loose.jpg").write_bytes(loose[0])
    configs = [{"filename": "a.jpg", "person_name": "bob"}, {"filename": "b.jpg"}, {"filename": 5}]
    (tmp_path / "faceset.pak").write_bytes(_pak(configs, loose))
    assert Faceset.open(tmp_path).names == ("bob/a.jpg", "b.jpg", "00002.jpg")


BAD_NAMES = ["../a.jpg", "..", "/etc/a.jpg", "a/b.jpg", "..\\a.jpg", "C:a.jpg", "C:\\a.jpg",
             "\\\\host\\share\\a.jpg",
             "con.jpg", "LPT1", "nul .txt", "a\0.jpg", "a\n.jpg", "a.jpg.",
             " ", "x" * 300, ""]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_lead_somewhere_are_refused(
    name: str, loose: list[bytes], tmp_path: Path
) -> None:
    for entry in ({"filename": name}, {"filename": "a.jpg", "person_name": name or "."}):
        (tmp_path / "faceset.pak").write_bytes(_pak([entry], loose[:1]))
        with pytest.raises(UnsafeFileError, match=r"faceset\.pak.*plain file names"):
            read_index(tmp_path / "faceset.pak")


def test_broken_paks_are_errors(loose: list[bytes], tmp_path: Path) -> None:
    configs = [{"filename": f"{i}.jpg"} for i in range(3)]
    good = _pak(configs, loose)
    huge = struct.pack("<QQ", 1, 1 << 60) + good[16:]
    bad = [
        good[:10],
        good[:40],
        huge,
        _pak(configs, loose, version=2),
        _pak({"a": 1}, loose),
        _pak([1, 2, 3], loose),
        _pak(configs * 1000, loose),
        _pak([{"filename": "a.jpg"}] * 3, loose),
        _pak(configs, loose, offsets=[0, 1 << 63, 5]),
        _pak(configs, loose, offsets=[0, 20_000, 10_000]),
        _pak(configs, loose, offsets=[5, 10, 20]),
        _pak(configs, loose, offsets=[0, 10, 1 << 40]),
        good[: len(good) - sum(map(len, loose))],
    ]
    for data in bad:
        (tmp_path / "faceset.pak").write_bytes(data)
        with pytest.raises(FormatError, match=r"faceset\.pak"):
            read_index(tmp_path / "faceset.pak")


def _items(folder: Path) -> list[PakItem]:
    return [look_at(face.name, face.path) for face in list_loose(folder)]


@pytest.mark.parametrize("name", ["pak_plain", "pak_persons"])
def test_a_golden_pak_unpacked_and_packed_again_is_the_same(
    name: str, shared: Path, tmp_path: Path
) -> None:
    golden = shared / "golden/files" / name / "faceset.pak"
    for face in read_index(golden):
        assert unpack_face(face, tmp_path).read_bytes() == face.encoded()
        unpack_face(face, tmp_path)  # there already
    names = write_pak(tmp_path / "faceset.pak", _items(tmp_path))
    old, new = golden.read_bytes(), (tmp_path / "faceset.pak").read_bytes()
    (_, old_size), (version, new_size) = (struct.unpack("<QQ", data[:16]) for data in (old, new))
    was, now = read_pickle(old[16 : 16 + old_size]), read_pickle(new[16 : 16 + new_size])
    assert version == 1 and now.protocol == 4 and now.names <= NUMPY_1
    assert equal(now.value, was.value)
    assert [type(v) for v in now.value[0].values()] == [type(v) for v in was.value[0].values()]
    assert (
        new[16 + new_size + 8 * (len(names) + 1) :] == old[16 + old_size + 8 * (len(names) + 1) :]
    )
    table = struct.unpack_from(f"<{len(names) + 1}Q", new, 16 + new_size)
    assert table[:-1] == struct.unpack_from(f"<{len(names)}Q", old, 16 + old_size)
    assert table[-1] == len(new)
    assert [face.name for face in read_index(tmp_path / "faceset.pak")] == names


def test_only_what_was_looked_at_is_packed(loose: list[bytes], tmp_path: Path) -> None:
    for i, data in enumerate(loose):
        (tmp_path / f"{i}.jpg").write_bytes(data)
    items = _items(tmp_path)
    (tmp_path / "2.jpg").write_bytes(loose[0])
    pak = tmp_path / "faceset.pak"
    pak.write_bytes(b"the old one")
    with pytest.raises(FormatError, match=r"2\.jpg.*another one"):
        write_pak(pak, items)
    assert pak.read_bytes() == b"the old one" and len(list(tmp_path.iterdir())) == 4
    (tmp_path / "cut.jpg").write_bytes(loose[1][:-200])
    with pytest.raises(FormatError, match="without an end"):
        look_at("cut.jpg", tmp_path / "cut.jpg")


def test_a_disk_that_forgets_leaves_the_old_pak(
    loose: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0.jpg").write_bytes(loose[0])
    real = PackedFace.encoded
    monkeypatch.setattr(PackedFace, "encoded", lambda face: real(face)[:-1] + b"?")
    with pytest.raises(StorageError, match="read back"):
        write_pak(tmp_path / "faceset.pak", _items(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["0.jpg"]


def test_unpacking_overwrites_nothing_and_stays_inside(loose: list[bytes], tmp_path: Path) -> None:
    pak, folder, elsewhere = tmp_path / "faceset.pak", tmp_path / "out", tmp_path / "elsewhere"
    pak.write_bytes(_pak([{"filename": "a.jpg", "person_name": "bob"}], loose[:1]))
    (face,) = read_index(pak)
    (folder / "bob").mkdir(parents=True)
    (folder / "bob/a.jpg").write_bytes(b"of the user")
    with pytest.raises(FileError, match="another file"):
        unpack_face(face, folder)
    assert (folder / "bob/a.jpg").read_bytes() == b"of the user"
    shutil.rmtree(folder / "bob")
    elsewhere.mkdir()
    (folder / "bob").symlink_to(elsewhere)
    with pytest.raises(UnsafeFileError, match="a link"):
        unpack_face(face, folder)
    assert not list(elsewhere.iterdir())


def test_names_of_a_pak_are_known_without_reading_its_faces(
    loose: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faceset.pak").write_bytes(
        _pak([{"filename": f"{i}.jpg"} for i in range(3)], loose)
    )
    monkeypatch.setattr(PackedFace, "read", lambda *_: pytest.fail("a face was read"))
    monkeypatch.setattr(PackedFace, "header", lambda *_: pytest.fail("a face was read"))
    faces = Faceset.open(tmp_path)
    assert len(faces) == 3 and faces.names == ("0.jpg", "1.jpg", "2.jpg")
