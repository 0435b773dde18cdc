"""Face files that are none, are damaged, or are built to do harm."""

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from face_files import MASK_PNG, make_face, make_meta, write_meta
from understudy.errors import FileError, FormatError, OptionError
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.dfl.containers import jpeg_with_payload


def _huge_png() -> bytes:
    data = MASK_PNG.tobytes()
    header = b"IHDR" + struct.pack(">II", 1 << 20, 1 << 20) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


SIGNALLING = np.full((3, 2), 0x7D01, np.uint16).view(np.float16)  # no numbers, and loud ones


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({}, "without any"),
        ([1, 2], "without any"),
        ({5: 6}, "without any"),
        (make_meta(landmarks=...), "68 landmarks"),
        (make_meta(landmarks=[[1, 2]]), "shape"),
        (make_meta(landmarks="many"), "numbers"),
        (make_meta(landmarks=[[float("nan"), 0.0]] * 68), "undefined"),
        (make_meta(face_type="face"), "'face'"),
        (make_meta(face_type=4), "4"),
        (make_meta(source_filename=5), "file name"),
        (make_meta(source_rect=[1, 2, 3]), "box"),
        (make_meta(source_rect=[1, 2, 3, float("inf")]), "box"),
        (make_meta(image_to_face_mat=np.eye(3)), "matrix"),
        (make_meta(eyebrows_expand_mod="a lot"), "factor"),
        (make_meta(seg_ie_polys={"polys": [{"type": 2, "pts": [[0, 0]]}]}), "type 0 or 1"),
        (make_meta(seg_ie_polys={"polys": [{"type": [1], "pts": [[0, 0]]}]}), "type 0 or 1"),
        (make_meta(seg_ie_polys={"polys": [{"type": np.ones(2), "pts": [[0, 0]]}]}), "type 0 or 1"),
        (make_meta(seg_ie_polys={"polys": [7]}), "polygons"),
        (make_meta(seg_ie_polys={"polys": [{"type": 1, "pts": 5}]}), "polygon"),
        (make_meta(seg_ie_polys=[(1, [[0, 0, 0]])]), "polygon"),
        (make_meta(seg_ie_polys=[(1, SIGNALLING)]), "undefined"),
        (make_meta(xseg_mask=5), "mask"),
        (make_meta(xseg_mask=b"not a picture"), "mask"),
        (make_meta(xseg_mask=np.zeros(50)), "mask"),
        (make_meta(xseg_mask=MASK_PNG[:40]), "mask"),
        (make_meta(xseg_mask=_huge_png()), "pixels"),
    ],
)
def test_metadata_without_sense_is_an_error_that_names_the_file(
    meta: Any, message: str, tmp_path: Path
) -> None:
    path = write_meta(tmp_path / "some face.jpg", meta)
    with pytest.raises(FormatError, match=f"some face.jpg.*{message}"):
        read_face(path)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nothing"):
        read_face(tmp_path / "no.jpg")
    (tmp_path / "text.jpg").write_text("hello")
    with pytest.raises(FormatError, match=r"text.jpg.*JPEG or PNG"):
        read_face(tmp_path / "text.jpg")
    with pytest.raises(OptionError, match=r"\.jpg or \.png"):
        write_face(tmp_path / "face.tif", make_face())
    with pytest.raises(FileError, match="no folder"):
        write_face(tmp_path / "no folder" / "face.jpg", make_face())


def test_a_damaged_picture_is_an_error_when_it_is_looked_at(tmp_path: Path) -> None:
    write_face(tmp_path / "a.png", make_face())
    data = (tmp_path / "a.png").read_bytes()
    face = read_face(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError, match=r"a\.png"):
        _ = face.image


def test_a_hostile_face_runs_nothing(tmp_path: Path) -> None:
    payload = b"\x80\x02cos\nsystem\nX\x09\0\0\0touch bad\x85R."
    picture = bytes(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1])
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_with_payload(picture, payload, path))
    with pytest.raises(FormatError, match=r"a\.jpg.*os\.system"):
        read_face(path)


def test_changed_bytes_are_an_error_or_another_face(shared: Path, tmp_path: Path) -> None:
    path, rng = tmp_path / "a.jpg", np.random.default_rng(0)
    for name in ("aligned/00004_0.jpg", "special/protocol2_0.jpg", "special/protocol5_0.jpg"):
        whole = (shared / "golden/files" / name).read_bytes()
        outcomes = set()
        for _ in range(150):
            data = bytearray(whole)
            at = int(rng.integers(6000))
            data[at : at + int(rng.integers(3))] = rng.bytes(int(rng.integers(3)))
            path.write_bytes(data)
            try:
                outcomes.add(read_face(path).image.ndim)
            except FormatError:
                outcomes.add(0)
        assert outcomes == {0, 3}
