"""Packed facesets: the predecessor's, and broken ones."""

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.errors import FormatError
from understudy.facesets.dfl import read_face
from understudy.facesets.faceset import Faceset
from understudy.facesets.pack import read_index


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


def _pak(configs: Any, faces: list[bytes], *, end: int | None = None, version: int = 1) -> bytes:
    index = pickle.dumps(configs, 4)
    start = 16 + len(index) + 8 * (len(faces) + 1)
    offsets = [sum(map(len, faces[:i])) for i in range(len(faces))]
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


def test_a_pak_takes_precedence_and_names_lead_nowhere(loose: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "loose.jpg").write_bytes(loose[0])
    configs = [
        {"filename": "../../a.jpg", "person_name": "..\\..\\bob"},
        {"filename": "/etc/b.jpg", "person_name": ".."},
        {"filename": 5},
    ]
    (tmp_path / "faceset.pak").write_bytes(_pak(configs, loose))
    assert Faceset.open(tmp_path).names == ("bob/a.jpg", "b.jpg", "00002.jpg")


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
        good[: len(good) - sum(map(len, loose))],
    ]
    for data in bad:
        (tmp_path / "faceset.pak").write_bytes(data)
        with pytest.raises(FormatError, match=r"faceset\.pak"):
            read_index(tmp_path / "faceset.pak")
