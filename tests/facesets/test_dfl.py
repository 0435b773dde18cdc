"""Faces on disk: every variant the predecessor wrote, and what we write in its place."""

import dataclasses
import io
import json
import pickle
import pickletools
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from understudy import safe_pickle
from understudy.errors import FileError, FormatError, OptionError
from understudy.facesets.containers import jpeg_with_payload, png_with_payload, read_header
from understudy.facesets.dfl import read_face, sidecar_path, write_face
from understudy.types import FaceSample, FaceType, Polygon

POINTS = np.random.default_rng(5).uniform(-10, 60, (68, 2))
FIELDS = [
    field.name
    for field in dataclasses.fields(FaceSample)
    if field.name not in ("load", "encoded", "name")
]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a is not None and b is not None and np.array_equal(a, b)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    return bool(a == b)


def assert_same_face(a: FaceSample, b: FaceSample) -> None:
    for name in FIELDS:
        assert same(getattr(a, name), getattr(b, name)), name


def _image() -> np.ndarray:
    ramp = np.linspace(0, 1, 48, dtype=np.float32)
    return np.stack([np.tile(ramp, (40, 1)), np.full((40, 48), 0.5, np.float32),
                     np.tile(ramp[::-1], (40, 1))], axis=2)  # fmt: skip


def _face(**changes: Any) -> FaceSample:
    plain = FaceSample(load=_image, landmarks=POINTS, face_type=FaceType.WHOLE)
    return dataclasses.replace(plain, **changes)


def strict_meta(data: bytes) -> dict[str, Any]:
    """Metadata by a reader as strict as the predecessor's, written apart from ours."""
    assert data[:2] == b"\xff\xd8"
    position, markers, payload = 2, [], b""
    while True:
        assert data[position] == 0xFF and data[position + 1] != 0xFF, "fill bytes"
        marker, size = data[position + 1], struct.unpack(">H", data[position + 2 : position + 4])[0]
        markers.append(marker)
        content = data[position + 4 : position + 2 + size]
        position += 2 + size
        assert marker != 0xDD, "restart interval"
        assert marker != 0xE0 or content.startswith(b"JFIF\0")
        if marker == 0xEF:
            payload = content
        if marker == 0xDA:
            break
    assert data.index(b"\xff\xd9", position) == len(data) - 2, "bytes after the end"
    assert markers[:2] == [0xE0, 0xEF], "APP15 right after APP0"
    assert payload[:2] == b"\x80\x04", "protocol 4"
    names, strings = set(), []
    for code, argument, _ in pickletools.genops(payload):
        if code.name == "STACK_GLOBAL":
            names.add(f"{strings[-2]} {strings[-1]}")
        if isinstance(argument, str):
            strings.append(argument)
        assert code.name != "GLOBAL"
    assert names <= {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype",
                     "numpy.core.multiarray scalar"}  # fmt: skip
    return pickle.loads(payload)  # noqa: S301


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
    path, face = tmp_path / name, _face(**changes)
    write_face(path, face)
    read = read_face(path)
    assert_same_face(read, face)
    assert read.name == name
    if path.suffix == ".png":
        np.testing.assert_allclose(read.image, _image(), atol=0.5 / 255 + 1e-6)
    else:
        strict_meta(path.read_bytes())
        assert np.abs(read.image - _image()).mean() < 0.02
    before = path.read_bytes()
    write_face(path, read)
    assert path.read_bytes() == before


def _meta(**changes: Any) -> dict[str, Any]:
    points = [[float(i), float(i % 7)] for i in range(68)]
    meta = {"face_type": "Whole_Face", "landmarks": points, "source_filename": "f.png"}
    return {key: value for key, value in (meta | changes).items() if value is not ...}


def _write_meta(path: Path, meta: Any, *, protocol: int = 4) -> Path:
    picture = bytes(cv2.imencode(path.suffix, np.zeros((20, 20, 3), np.uint8))[1])
    embed = png_with_payload if path.suffix == ".png" else jpeg_with_payload
    path.write_bytes(embed(picture, pickle.dumps(meta, protocol), path))
    return path


MASK = np.zeros((30, 20), np.uint8)
MASK[5:15] = 255
MASK_PNG = np.asarray(cv2.imencode(".png", MASK)[1]).reshape(-1)


@pytest.mark.parametrize(
    "mask", [MASK_PNG, MASK_PNG[:, None], MASK_PNG.tobytes()], ids=["flat", "column", "bytes"]
)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_masks_of_every_shape_read(mask: Any, protocol: int, tmp_path: Path) -> None:
    path = _write_meta(tmp_path / "a.jpg", _meta(xseg_mask=mask), protocol=protocol)
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
    _write_meta(path, _meta(face_type=..., eyebrows_expand_mod=None, **old), protocol=3)
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
        face = read_face(_write_meta(tmp_path / "a.jpg", _meta(seg_ie_polys=form)))
        assert [p.include for p in face.polygons] == [True, True, False]
        assert face.polygons[1].points.tolist() == second
        assert all(p.points.dtype == np.float32 for p in face.polygons)


def _huge_png() -> bytes:
    data = MASK_PNG.tobytes()
    header = b"IHDR" + struct.pack(">II", 1 << 20, 1 << 20) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({}, "without any"),
        ([1, 2], "without any"),
        ({5: 6}, "without any"),
        (_meta(landmarks=...), "68 landmarks"),
        (_meta(landmarks=[[1, 2]]), "shape"),
        (_meta(landmarks="many"), "numbers"),
        (_meta(landmarks=[[float("nan"), 0.0]] * 68), "undefined"),
        (_meta(face_type="face"), "'face'"),
        (_meta(face_type=4), "4"),
        (_meta(source_filename=5), "file name"),
        (_meta(source_rect=[1, 2, 3]), "box"),
        (_meta(source_rect=[1, 2, 3, float("inf")]), "box"),
        (_meta(image_to_face_mat=np.eye(3)), "matrix"),
        (_meta(eyebrows_expand_mod="a lot"), "factor"),
        (_meta(seg_ie_polys={"polys": [{"type": 2, "pts": [[0, 0]]}]}), "type 0 or 1"),
        (_meta(seg_ie_polys={"polys": [{"type": [1], "pts": [[0, 0]]}]}), "type 0 or 1"),
        (_meta(seg_ie_polys={"polys": [{"type": np.ones(2), "pts": [[0, 0]]}]}), "type 0 or 1"),
        (_meta(seg_ie_polys={"polys": [7]}), "polygons"),
        (_meta(seg_ie_polys={"polys": [{"type": 1, "pts": 5}]}), "polygon"),
        (_meta(seg_ie_polys=[(1, [[0, 0, 0]])]), "polygon"),
        (_meta(xseg_mask=5), "mask"),
        (_meta(xseg_mask=b"not a picture"), "mask"),
        (_meta(xseg_mask=np.zeros(50)), "mask"),
        (_meta(xseg_mask=MASK_PNG[:40]), "mask"),
        (_meta(xseg_mask=_huge_png()), "pixels"),
    ],
)
def test_metadata_without_sense_is_an_error_that_names_the_file(
    meta: Any, message: str, tmp_path: Path
) -> None:
    path = _write_meta(tmp_path / "some face.jpg", meta)
    with pytest.raises(FormatError, match=f"some face.jpg.*{message}"):
        read_face(path)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nothing"):
        read_face(tmp_path / "no.jpg")
    (tmp_path / "text.jpg").write_text("hello")
    with pytest.raises(FormatError, match=r"text.jpg.*JPEG or PNG"):
        read_face(tmp_path / "text.jpg")
    with pytest.raises(OptionError, match=r"\.jpg or \.png"):
        write_face(tmp_path / "face.tif", _face())
    with pytest.raises(FileError, match="no folder"):
        write_face(tmp_path / "no folder" / "face.jpg", _face())


def test_a_damaged_picture_is_an_error_when_it_is_looked_at(tmp_path: Path) -> None:
    write_face(tmp_path / "a.png", _face())
    data = (tmp_path / "a.png").read_bytes()
    face = read_face(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError, match=r"a\.png"):
        _ = face.image


def _noise(size: int) -> np.ndarray:
    levels = np.random.default_rng(1).integers(0, 256, (size, size), np.uint8)
    return levels.astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("size", [300, 900])
def test_a_large_mask_lies_beside_the_face_and_keeps_every_level(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    face = _face(mask=_noise(size))
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
    write_face(path, _face(mask=_noise(300)))
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
    write_face(path, _face())
    before = path.read_bytes()
    outline = Polygon(True, np.zeros((9000, 2), np.float32))
    with pytest.raises(FormatError, match=r"a\.jpg.*65533"):
        write_face(path, _face(polygons=(outline,), mask=_noise(300)))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.jpg"]
    write_face(tmp_path / "a.png", _face(polygons=(outline,)))
    assert len(read_face(tmp_path / "a.png").polygons[0].points) == 9000


def test_a_face_moves_between_the_two_formats(tmp_path: Path) -> None:
    write_face(tmp_path / "a.png", _face())
    lossless = read_face(tmp_path / "a.png")
    write_face(tmp_path / "b.jpg", lossless, quality=100)
    lossy = read_face(tmp_path / "b.jpg")
    assert_same_face(lossless, lossy)
    assert np.abs(lossy.image - lossless.image).max() < 4 / 255
    write_face(tmp_path / "c.png", lossy)
    np.testing.assert_array_equal(read_face(tmp_path / "c.png").image, lossy.image)


def test_headers_are_read_without_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_face(path, _face())
    data = path.read_bytes()
    cut = data[: data.rindex(b"\xff\xda") + 4]
    assert read_header(io.BytesIO(cut), path).shape_hw == (40, 48)
    path.write_bytes(cut)
    assert read_face(path).face_type is FaceType.WHOLE


def test_a_hostile_face_runs_nothing(tmp_path: Path) -> None:
    payload = b"\x80\x02cos\nsystem\nX\x09\0\0\0touch bad\x85R."
    picture = bytes(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1])
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_with_payload(picture, payload, path))
    with pytest.raises(FormatError, match=r"a\.jpg.*os\.system"):
        read_face(path)


def test_loaded_metadata_is_written_by_our_own_emitter(tmp_path: Path) -> None:
    path = _write_meta(tmp_path / "a.jpg", _meta(), protocol=5)
    write_face(path, read_face(path))
    payload = read_header(io.BytesIO(path.read_bytes()), path).payload
    assert payload == safe_pickle.dumps(safe_pickle.loads(payload, source=path))


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


def test_a_face_travels_to_other_processes(shared: Path) -> None:
    face = read_face(shared / "golden/files/aligned/00004_0.jpg")
    copy = pickle.loads(pickle.dumps(face))  # noqa: S301
    assert_same_face(copy, face)
    np.testing.assert_array_equal(copy.image, face.image)
