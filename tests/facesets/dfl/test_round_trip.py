"""Golden files, read by us and written again: the same to a reader that is not ours."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from face_files import write_meta
from strict_pickle import NUMPY_1, equal, read_pickle
from understudy.facesets.dfl import read_face, write_face
from understudy.types import Polygon


def app15(data: bytes) -> tuple[bytes, bytes, bytes]:
    """What stands before, in and after the one APP15 segment of a JPEG."""
    position, found = 2, []
    while data[position + 1] != 0xDA:
        size = int.from_bytes(data[position + 2 : position + 4], "big") + 2
        if data[position + 1] == 0xEF:
            found.append((position, size))
        position += size
    assert len(found) == 1
    at, size = found[0]
    return data[:at], data[at + 4 : at + size], data[at + size :]


def test_every_golden_face_is_the_same_after_a_rewrite(shared: Path, tmp_path: Path) -> None:
    paths = sorted((shared / "golden/files").glob("*/*_0.jpg"))
    paths += sorted((shared / "golden/imaging/faceset").glob("*.jpg"))
    checked = 0
    for path in paths:
        old = path.read_bytes()
        if path.name == "00902_0.jpg":  # a picture without metadata
            continue
        write_face(tmp_path / path.name, read_face(path))
        before, payload, after = app15(old)
        new_before, new_payload, new_after = app15((tmp_path / path.name).read_bytes())
        assert (new_before, new_after) == (before, after), path
        was, now = read_pickle(payload), read_pickle(new_payload)
        assert now.protocol == 4 and now.names <= NUMPY_1
        assert list(now.value) == list(was.value)
        assert equal(now.value, was.value), path
        assert type(now.value["landmarks"]) is list
        assert isinstance(now.value["source_rect"], np.ndarray)
        checked += 1
    assert checked == 17 + 61


def test_a_change_of_one_thing_keeps_the_form_of_the_others(shared: Path, tmp_path: Path) -> None:
    path = shared / "golden/files/aligned/00004_0.jpg"
    face = dataclasses.replace(read_face(path), source_name="other.png")
    write_face(tmp_path / "a.jpg", face)
    was = read_pickle(app15(path.read_bytes())[1]).value
    now = read_pickle(app15((tmp_path / "a.jpg").read_bytes())[1]).value
    assert now.pop("source_filename") == "other.png"
    del was["source_filename"]
    assert equal(now, was)
    drawn = Polygon(True, np.float32([[0, 0], [9, 0], [9, 9]]))
    write_face(tmp_path / "b.jpg", dataclasses.replace(face, polygons=(drawn,), brow_expand=1.0))
    now = read_pickle(app15((tmp_path / "b.jpg").read_bytes())[1]).value
    assert [entry["pts"].tolist() for entry in now["seg_ie_polys"]["polys"]] == [
        [[0, 0], [9, 0], [9, 9]]
    ]
    assert "eyebrows_expand_mod" not in now and equal(now["xseg_mask"], was["xseg_mask"])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_golden_face_is_the_same_through_a_png(
    protocol: int, shared: Path, tmp_path: Path
) -> None:
    path = shared / f"golden/files/special/protocol{protocol}_0.jpg"
    write_face(tmp_path / "a.png", read_face(path))
    write_face(tmp_path / "b.jpg", read_face(tmp_path / "a.png"))
    was = read_pickle(app15(path.read_bytes())[1])
    now = read_pickle(app15((tmp_path / "b.jpg").read_bytes())[1])
    assert was.protocol == protocol and now.protocol == 4
    assert equal(now.value, was.value)


def test_the_reader_of_the_tests_stops_at_code(tmp_path: Path) -> None:
    for data in (b"\x80\x04cos\nsystem\n.", b"\x80\x04\x8c\x02os\x8c\x06system\x93."):
        with pytest.raises(AssertionError, match="os system"):
            read_pickle(data)
    old = write_meta(tmp_path / "a.jpg", {"landmarks": [[0.0, 1.0]] * 68}, protocol=5)
    assert len(read_pickle(app15(old.read_bytes())[1]).value["landmarks"]) == 68
