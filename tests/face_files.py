"""Faces to test with, their files, and a reader of them as strict as the predecessor's."""

import dataclasses
import pickle
import pickletools
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from understudy.facesets.dfl.containers import jpeg_with_payload, png_with_payload
from understudy.types import FaceSample, FaceType

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


def ramp_image() -> np.ndarray:
    ramp = np.linspace(0, 1, 48, dtype=np.float32)
    return np.stack([np.tile(ramp, (40, 1)), np.full((40, 48), 0.5, np.float32),
                     np.tile(ramp[::-1], (40, 1))], axis=2)  # fmt: skip


def make_face(**changes: Any) -> FaceSample:
    plain = FaceSample(load=ramp_image, landmarks=POINTS, face_type=FaceType.WHOLE)
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


def make_meta(**changes: Any) -> dict[str, Any]:
    points = [[float(i), float(i % 7)] for i in range(68)]
    meta = {"face_type": "Whole_Face", "landmarks": points, "source_filename": "f.png"}
    return {key: value for key, value in (meta | changes).items() if value is not ...}


def write_meta(path: Path, meta: Any, *, protocol: int = 4) -> Path:
    picture = bytes(cv2.imencode(path.suffix, np.zeros((20, 20, 3), np.uint8))[1])
    embed = png_with_payload if path.suffix == ".png" else jpeg_with_payload
    path.write_bytes(embed(picture, pickle.dumps(meta, protocol), path))
    return path


MASK = np.zeros((30, 20), np.uint8)
MASK[5:15] = 255
MASK_PNG = np.asarray(cv2.imencode(".png", MASK)[1]).reshape(-1)
