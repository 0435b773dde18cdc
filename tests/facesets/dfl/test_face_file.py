"""Faces on disk: every variant the predecessor wrote, and what we write in its place."""

import dataclasses
import io
import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from face_files import (
    MASK,
    MASK_PNG,
    assert_same_face,
    make_face,
    make_meta,
    ramp_image,
    same,
    strict_meta,
    write_meta,
)
from understudy import safe_pickle
from understudy.errors import FormatError
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.dfl.containers import read_header
from understudy.types import FaceType, Polygon


def _after_payload(data: bytes) -> bytes:
    payload = read_header(io.BytesIO(data), "x").payload
    assert payload
    return data[data.index(payload) + len(payload) :]


def test_every_golden_face_reads_as_expected(shared: Path) -> None:
    folder = shared / "golden/files"
    expected = json.loads((folder / "expected.json").read_text())["images"]
    for name, entry in expected.items():
        if not entry["keys"]:
            with pytest.raises(FormatError, match=f"{name}.*without any"):
                read_face(folder / name)
            continue
        face, meta = read_face(folder / name), entry["dict"]
        assert face.image.shape == tuple(entry["shape"]) and face.image.dtype == np.float32
        assert face.face_type == meta["face_type"] and face.name == Path(name).name
        assert face.source_name == meta["source_filename"]
        assert list(face.source_box or ()) == meta["source_rect"]
        np.testing.assert_array_equal(face.landmarks, meta["landmarks"])
        np.testing.assert_array_equal(face.source_landmarks, meta["source_landmarks"])
        if face.face_type is FaceType.MARK_ONLY:
            assert face.frame_to_face is None
        else:
            np.testing.assert_array_equal(face.frame_to_face, meta["image_to_face_mat"])
        assert face.brow_expand == meta.get("eyebrows_expand_mod", 1.0)
        polygons = meta.get("seg_ie_polys", {"after_load_order": []})["after_load_order"]
        assert [int(p.include) for p in face.polygons] == [p["type"] for p in polygons]
        for ours, theirs in zip(face.polygons, polygons, strict=True):
            np.testing.assert_array_equal(ours.points, np.float32(theirs["pts"]))
        if "xseg_mask" in meta:
            assert face.mask is not None
            assert face.mask.shape == tuple(meta["xseg_mask"]["decoded_shape"][:2])
            assert abs(face.mask.mean(dtype=np.float64) - meta["xseg_mask"]["mean"]) < 1e-6
            assert (face.mask >= 0.5).sum() == meta["xseg_mask"]["sum_ge_half"]
        else:
            assert face.mask is None
        assert face.extra == {}


def test_a_rewritten_golden_face_is_the_same_face_with_the_same_pixels(
    shared: Path, tmp_path: Path
) -> None:
    for path in sorted((shared / "golden/files").glob("*/*_0.jpg")):
        face = read_face(path)
        copy = tmp_path / path.name
        write_face(copy, face)
        assert_same_face(read_face(copy), face)
        old, new = path.read_bytes(), copy.read_bytes()
        assert _after_payload(old) == _after_payload(new)
        meta = strict_meta(new)
        assert isinstance(meta["source_rect"], np.ndarray) and meta["source_rect"].dtype.kind == "i"
        assert type(meta["landmarks"]) is list and type(meta["landmarks"][0][0]) is float
        assert type(meta["face_type"]) is str
        if "xseg_mask" in meta:
            assert meta["xseg_mask"].dtype == np.uint8 and meta["xseg_mask"].ndim == 1
            assert cv2.imdecode(meta["xseg_mask"], cv2.IMREAD_UNCHANGED).ndim == 2


def test_the_types_written_are_those_the_predecessor_writes(shared: Path, tmp_path: Path) -> None:
    folder = shared / "golden/files"
    expected = json.loads((folder / "expected.json").read_text())["images"]
    for name in ("aligned/00004_0.jpg", "aligned/00001_0.jpg", "special/mark_only_0.jpg"):
        write_face(tmp_path / "a.jpg", read_face(folder / name))
        meta = strict_meta((tmp_path / "a.jpg").read_bytes())
        assert sorted(meta) == sorted(expected[name]["keys"])
        for key, value in meta.items():
            if isinstance(value, np.ndarray) and key != "xseg_mask":
                described = f"numpy.ndarray {value.dtype}{list(value.shape)}"
            else:
                kind = type(value)
                described = f"{kind.__module__}.{kind.__name__}"
            assert expected[name]["types"][key].startswith(described), key


coordinates = st.floats(-1e6, 1e6)
# Values only: beartype draws random numbers when a face is made, which strategies may not.
changes = st.fixed_dictionaries(
    {
    "landmarks": st_np.arrays(np.float64, (68, 2), elements=coordinates, fill=coordinates),
    "face_type": st.sampled_from(FaceType),
    "source_name": st.none() | st.text(max_size=30),
    "source_box": st.none() | st.tuples(*[st.integers(-(1 << 31), 1 << 31)] * 4),
    "source_landmarks": st.none() | st.just(np.arange(136.0).reshape(68, 2)),
    "frame_to_face": st.none() | st_np.arrays(np.float64, (2, 3), elements=coordinates),
    "brow_expand": st.floats(0, 4),
    "polygons": st.lists(
        st.builds(
            Polygon,
            st.booleans(),
            st_np.arrays(
                np.float32, st.tuples(st.integers(1, 30), st.just(2)),
                elements=st.floats(-1000, 1000, width=32),
            ),
        ),
        max_size=4,
    ).map(lambda polygons: tuple(sorted(polygons, key=lambda p: not p.include))),
    "mask": st.none()
    | st_np.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))).map(
        lambda levels: levels.astype(np.float32) / np.float32(255)
    ),
    "extra": st.dictionaries(
        st.text().map(lambda key: "other " + key), st.integers() | st.text() | st.binary()
    ),
    }
)  # fmt: skip


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes, st.sampled_from(["a.jpg", "b.png", "脸 é.JPG"]))
def test_what_is_written_is_read(tmp_path: Path, changes: dict[str, Any], name: str) -> None:
    path, face = tmp_path / name, make_face(**changes)
    write_face(path, face)
    read = read_face(path)
    assert_same_face(read, face)
    assert read.name == name
    if path.suffix == ".png":
        np.testing.assert_allclose(read.image, ramp_image(), atol=0.5 / 255 + 1e-6)
    else:
        strict_meta(path.read_bytes())
        assert np.abs(read.image - ramp_image()).mean() < 0.02
    before = path.read_bytes()
    write_face(path, read)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "mask", [MASK_PNG, MASK_PNG[:, None], MASK_PNG.tobytes()], ids=["flat", "column", "bytes"]
)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_masks_of_every_shape_read(mask: Any, protocol: int, tmp_path: Path) -> None:
    path = write_meta(tmp_path / "a.jpg", make_meta(xseg_mask=mask), protocol=protocol)
    np.testing.assert_array_equal(read_face(path).mask, MASK / np.float32(255))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_old_keys_are_kept_and_missing_ones_have_defaults(suffix: str, tmp_path: Path) -> None:
    old = {
        "ie_polys": [],
        "fanseg_mask": np.zeros(9, np.uint8),
        "relighted": False,
        "pitch_yaw_roll": (0.1, 0.2, 0.3),
        "yaw_value": np.float64(0.5),
    }
    path = tmp_path / f"a{suffix}"
    write_meta(path, make_meta(face_type=..., eyebrows_expand_mod=None, **old), protocol=3)
    face = read_face(path)
    assert face.face_type is FaceType.FULL and face.brow_expand == 1.0
    assert same(dict(face.extra), old)
    changed = dataclasses.replace(face, polygons=(Polygon(True, np.zeros((3, 2), np.float32)),))
    write_face(path, changed)
    assert_same_face(read_face(path), changed)


def test_polygons_come_includes_first_in_every_form(tmp_path: Path) -> None:
    cut, first, second = np.zeros((3, 2)), np.ones((3, 2)), [[2, 2], [2, 3], [3, 3]]
    forms = (
        {"polys": [{"type": 0, "pts": cut}, {"type": 1, "pts": first}, {"type": 1, "pts": second}]},
        [(0, cut), (1, first), (1, second), (1, [])],
        [[np.int64(0), cut], [True, first], [1.0, second]],
    )
    for form in forms:
        face = read_face(write_meta(tmp_path / "a.jpg", make_meta(seg_ie_polys=form)))
        assert [p.include for p in face.polygons] == [True, True, False]
        assert face.polygons[1].points.tolist() == second
        assert all(p.points.dtype == np.float32 for p in face.polygons)


def test_a_face_moves_between_the_two_formats(tmp_path: Path) -> None:
    write_face(tmp_path / "a.png", make_face())
    lossless = read_face(tmp_path / "a.png")
    write_face(tmp_path / "b.jpg", lossless, quality=100)
    lossy = read_face(tmp_path / "b.jpg")
    assert_same_face(lossless, lossy)
    assert np.abs(lossy.image - lossless.image).max() < 4 / 255
    write_face(tmp_path / "c.png", lossy)
    np.testing.assert_array_equal(read_face(tmp_path / "c.png").image, lossy.image)


def test_headers_are_read_without_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_face(path, make_face())
    data = path.read_bytes()
    cut = data[: data.rindex(b"\xff\xda") + 4]
    assert read_header(io.BytesIO(cut), path).shape_hw == (40, 48)
    path.write_bytes(cut)
    assert read_face(path).face_type is FaceType.WHOLE


def test_polygons_may_be_plain_pairs(tmp_path: Path) -> None:
    outline = np.array([[0, 0], [9, 0], [9, 9]], np.float32)
    write_face(tmp_path / "a.jpg", make_face(polygons=[(False, outline), (True, outline)]))
    face = read_face(tmp_path / "a.jpg")
    assert [include for include, _ in face.polygons] == [True, False]
    np.testing.assert_array_equal(face.polygons[0].points, outline)


def test_loaded_metadata_is_written_by_our_own_emitter(tmp_path: Path) -> None:
    path = write_meta(tmp_path / "a.jpg", make_meta(), protocol=5)
    write_face(path, read_face(path))
    payload = read_header(io.BytesIO(path.read_bytes()), path).payload
    assert payload == safe_pickle.dumps(safe_pickle.loads(payload, source=path))


def test_a_face_travels_to_other_processes(shared: Path) -> None:
    face = read_face(shared / "golden/files/aligned/00004_0.jpg")
    copy = pickle.loads(pickle.dumps(face))  # noqa: S301
    assert_same_face(copy, face)
    np.testing.assert_array_equal(copy.image, face.image)
