"""Masks as pictures: the applied one, the drawn one, the hull."""

import json
from pathlib import Path

import numpy as np
import pytest

from face_files import make_face
from understudy.errors import MaterialError
from understudy.faces.regions import hull_mask
from understudy.facesets.dfl import read_face
from understudy.masks.face_masks import face_mask, hardened, without_specks
from understudy.types import Polygon

SQUARE = np.array([[5, 5], [30, 5], [30, 30], [5, 30]], np.float32)
HOLE = np.array([[10, 10], [20, 10], [20, 20], [10, 20]], np.float32)


def test_polygons_as_golden(shared: Path) -> None:
    folder = shared / "golden" / "imaging"
    cases = json.loads((folder / "xseg_polys.json").read_text())
    assert len(cases) >= 5
    with np.load(folder / "xseg_polys.npz") as arrays:
        for number, case in enumerate(cases):
            size = case["size"]
            polygons = [
                Polygon(bool(polygon["type"]), np.array(polygon["pts"], np.float32))
                for polygon in case["polys_in_creation_order"]
            ]
            picture = np.zeros((size, size, 3), np.float32)
            mask, kind = face_mask(make_face(load=lambda p=picture: p, polygons=polygons))
            expected = np.unpackbits(arrays[str(number)])[: size * size].reshape(size, size)
            assert kind == "drawn"
            assert np.array_equal(mask, expected)


def test_applied_masks_take_the_pictures_size(shared: Path) -> None:
    face = read_face(shared / "golden" / "imaging" / "resize" / "full_192" / "00007_0.jpg")
    mask, kind = face_mask(face)
    assert kind == "applied"
    assert mask.shape == face.image.shape[:2] == (192, 192)
    assert set(np.unique(hardened(mask))) == {0.0, 1.0}
    assert face.mask is not None
    assert mask.mean() == pytest.approx(face.mask.mean(), abs=0.005)


def test_first_there_is() -> None:
    applied = np.full((20, 20), 0.25, np.float32)
    face = make_face(mask=applied, polygons=[Polygon(False, HOLE), Polygon(True, SQUARE)])
    assert face_mask(face)[1] == "applied"
    assert face_mask(face)[0].max() == 0.25
    drawn, _ = face_mask(face, "drawn")
    assert drawn.shape == (40, 48)
    assert drawn[7, 7] == 1
    assert drawn[15, 15] == 0, "what cuts away comes last, wherever it stands"
    plain = make_face()
    hull, kind = face_mask(plain)
    assert kind == "hull"
    assert np.array_equal(hull, hull_mask(plain.landmarks, (40, 48), 1.0))
    for kind in ("applied", "drawn"):
        with pytest.raises(MaterialError, match="none"):
            face_mask(plain, kind)


def test_specks_and_pinholes_go_and_hands_stay() -> None:
    mask = np.zeros((256, 256), np.float32)
    mask[60:200, 60:200] = 0.9
    wanted = mask >= 0.5
    wanted[100:120, 100:120] = False  # a finger
    mask[wanted != (mask >= 0.5)] = 0.2
    mask[150:155, 150:160] = 0.1  # a bright spot taken for something else
    mask[5:12, 20:28] = 0.8
    before = mask.copy()
    clean = without_specks(mask)
    assert clean.dtype == np.float32
    np.testing.assert_array_equal(clean, wanted)
    np.testing.assert_array_equal(mask, before)
    for level in (0.0, 1.0):
        flat = np.full((256, 256), level, np.float32)
        np.testing.assert_array_equal(without_specks(flat), flat)
