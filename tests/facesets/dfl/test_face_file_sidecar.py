"""Masks too large for a face's own file lie beside it, and nobody else's file is touched."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_files import MASK, MASK_PNG, assert_same_face, make_face, strict_meta
from understudy.errors import FormatError
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.dfl.containers import jpeg_with_payload
from understudy.facesets.dfl.face_file import sidecar_path
from understudy.types import Polygon


def _noise(size: int) -> np.ndarray:
    levels = np.random.default_rng(1).integers(0, 256, (size, size), np.uint8)
    return levels.astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("size", [300, 900])
def test_a_large_mask_lies_beside_the_face_and_keeps_every_level(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    face = make_face(mask=_noise(size))
    write_face(path, face)
    assert sidecar_path(path).name == "a.mask.png" and sidecar_path(path).is_file()
    assert_same_face(read_face(path), face)
    meta = strict_meta(path.read_bytes())
    if size == 300:  # the predecessor finds a copy that is nearly as good
        copy = cv2.imdecode(meta["xseg_mask"], cv2.IMREAD_UNCHANGED)
        assert np.abs(copy / 255 - face.mask).mean() < 0.1
    sidecar_path(path).unlink()
    with pytest.raises(FormatError, match=r"a\.mask\.png"):
        read_face(path)


def test_a_mask_the_predecessor_put_in_later_is_the_one_that_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_face(path, make_face(mask=_noise(300)))
    meta = strict_meta(path.read_bytes()) | {"xseg_mask": MASK_PNG}
    data = jpeg_with_payload(path.read_bytes(), pickle.dumps(meta, 4), path)
    path.write_bytes(data)
    face = read_face(path)
    np.testing.assert_array_equal(face.mask, MASK / np.float32(255))
    write_face(path, face)
    assert not sidecar_path(path).exists()
    assert_same_face(read_face(path), face)


def test_metadata_too_large_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_face(path, make_face())
    before = path.read_bytes()
    outline = Polygon(True, np.zeros((9000, 2), np.float32))
    with pytest.raises(FormatError, match=r"a\.jpg.*65533"):
        write_face(path, make_face(polygons=(outline,), mask=_noise(300)))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.jpg"]
    write_face(tmp_path / "a.png", make_face(polygons=(outline,)))
    assert len(read_face(tmp_path / "a.png").polygons[0].points) == 9000


def test_a_mask_leaves_with_its_face_only(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_face(path, make_face(mask=_noise(300)))
    write_face(tmp_path / "a.png", make_face())
    assert_same_face(read_face(path), make_face(mask=_noise(300)))
    write_face(path, make_face())
    assert not sidecar_path(path).exists()


def test_a_picture_that_is_named_like_a_mask_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    sidecar_path(path).write_bytes(b"of the user")
    write_face(path, make_face())
    path.write_bytes(b"no face")
    write_face(path, make_face())
    write_face(path, make_face())
    assert sidecar_path(path).read_bytes() == b"of the user"
