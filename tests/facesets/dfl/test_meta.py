"""Metadata kept apart from the pictures, and put back after these were edited or resized."""

import io
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from face_files import assert_same_face, make_face, make_meta
from strict_pickle import NUMPY_1, equal, read_pickle
from understudy.errors import FormatError, UnsafeFileError
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.dfl.containers import read_header
from understudy.facesets.dfl.face_file import sidecar_path
from understudy.facesets.dfl.meta import read_meta, restore_face, save_face, write_meta
from understudy.types import Polygon


def _without_metadata(path: Path, *, size: tuple[int, int] | None = None) -> bytes:
    """What an editor leaves of a face, at another (width, height) if asked for."""
    picture = cv2.imread(str(path))
    if size is not None:
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    path.write_bytes(bytes(cv2.imencode(path.suffix, picture)[1]))
    return path.read_bytes()


def test_the_golden_file_is_the_same_after_a_rewrite(shared: Path, tmp_path: Path) -> None:
    golden = shared / "golden/files/meta/meta.dat"
    saved = read_meta(golden)
    assert write_meta(tmp_path / "meta.dat", saved.items()) == len(saved) == 4
    was = read_pickle(golden.read_bytes())
    now = read_pickle((tmp_path / "meta.dat").read_bytes())
    assert now.protocol == 4 and now.names <= NUMPY_1
    assert list(now.value) == list(was.value) and equal(now.value, was.value)
    assert [type(v) for v in now.value["00004_0.jpg"]] == [tuple, dict]
    again = {name: save_face(shared / "golden/files/aligned" / name) for name in saved}
    assert write_meta(tmp_path / "meta.dat", again.items()) == 4
    assert equal(read_pickle((tmp_path / "meta.dat").read_bytes()).value, was.value)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_files_of_every_interpreter_read(protocol: int, shared: Path, tmp_path: Path) -> None:
    golden = shared / "golden/files/meta/meta.dat"
    plain = pickle.loads(golden.read_bytes())  # noqa: S301
    (tmp_path / "meta.dat").write_bytes(pickle.dumps(plain, protocol))
    ours, theirs = read_meta(tmp_path / "meta.dat"), read_meta(golden)
    assert list(ours) == list(theirs)
    assert all(equal(ours[name].meta, theirs[name].meta) for name in ours)


def test_an_edited_picture_gets_its_metadata_back(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    outline = Polygon(True, np.float32([[1, 2], [30, 2], [30, 30]]))
    noise = np.float32(np.random.default_rng(1).integers(0, 256, (300, 300)) / np.float32(255))
    face = make_face(polygons=(outline,), mask=noise, extra={"note": 5}, brow_expand=1.5)
    write_face(path, face)
    write_meta(tmp_path / "meta.dat", [("a.jpg", save_face(path))])
    sidecar_path(path).unlink()
    pixels = _without_metadata(path)
    saved = read_meta(tmp_path / "meta.dat")["a.jpg"]
    assert restore_face(path, saved) == "as saved"
    assert_same_face(read_face(path), face)
    assert path.read_bytes().endswith(pixels[pixels.index(b"\xff\xdb") :])


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_points_follow_a_resized_picture(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    outline = Polygon(False, np.float32([[1, 2], [30, 2], [30, 30]]))
    matrix = np.array([[1.0, 0.5, -3.0], [-0.5, 1.0, 7.0]])
    face = make_face(polygons=(outline,), frame_to_face=matrix, mask=np.ones((9, 9), np.float32))
    write_face(path, face)
    saved = save_face(path)
    pixels = _without_metadata(path, size=(96, 80))
    assert restore_face(path, saved) == "scaled"
    now = read_face(path)
    np.testing.assert_allclose(now.landmarks, face.landmarks * 2, atol=1e-12)
    np.testing.assert_array_equal(now.polygons[0].points, outline.points * 2)
    np.testing.assert_allclose(now.frame_to_face, matrix * 2)
    np.testing.assert_array_equal(now.mask, face.mask)
    after = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    before = cv2.imdecode(np.frombuffer(pixels, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(after, before)
    assert restore_face(path, saved, resize_back=True) == "resized"
    header = read_header(io.BytesIO(path.read_bytes()), path)
    assert header.shape_hw == saved.shape_hw
    assert_same_face(read_face(path), face)


def test_a_picture_that_was_cut_is_not_taken_for_a_resized_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_face(path, make_face())
    saved = save_face(path)
    before = _without_metadata(path, size=(60, 40))
    with pytest.raises(FormatError, match="cut or stretched"):
        restore_face(path, saved)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "value",
    [
        {},
        [1],
        {"a.jpg": 5},
        {"a.jpg": ((1, 2, 3),)},
        {"a.jpg": ((1, 2, 3), {})},
        {"a.jpg": ((0, 2, 3), make_meta())},
        {"a.jpg": (("1", 2, 3), make_meta())},
        {"a.jpg": ((1 << 80, 2, 3), make_meta())},
        {5: ((1, 2, 3), make_meta())},
        {"../a.jpg": ((1, 2, 3), make_meta())},
        {"/etc/a.jpg": ((1, 2, 3), make_meta())},
        {"x/../a.jpg": ((1, 2, 3), make_meta())},
        {"c:\\a.jpg": ((1, 2, 3), make_meta())},
        {"x/nul": ((1, 2, 3), make_meta())},
    ],
)
def test_files_without_sense_are_errors(value: Any, tmp_path: Path) -> None:
    (tmp_path / "meta.dat").write_bytes(pickle.dumps(value, 4))
    with pytest.raises(FormatError, match=r"meta\.dat"):
        read_meta(tmp_path / "meta.dat")


def test_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "meta.dat").write_bytes(b"\x80\x02cos\nsystem\nX\x09\0\0\0touch bad\x85R.")
    with pytest.raises(UnsafeFileError, match=r"meta\.dat.*os\.system"):
        read_meta(tmp_path / "meta.dat")
