"""Damaged and hostile files for the readers of facesets, made from golden ones or out of nothing.

A source of chance in, a file's bytes and the reader it is for out. The same chance makes the same
input, be it a seeded generator or hypothesis at play.
"""

import pickle
import struct
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import cv2
import numpy as np

from strict_pickle import read_pickle
from understudy.errors import FormatError
from understudy.facesets.dfl.containers import jpeg_with_payload, png_with_payload, read_header
from understudy.safe_pickle import dumps

EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 62, (1 << 64) - 1)
NAMES = ("a.jpg", "../a.jpg", "/etc/passwd", "C:\\a", "bob/a.jpg", "nul", "", "..", "é.jpg", "a\0b")
CODES = b"NKMJGX\x8c\x8dCB\x8e\x96(]})ldt\x85\x86\x87aesuhjqr\x94c\x93Rb\x95PQ\x82io\x81\x88\x89."
KEYS = ("face_type", "landmarks", "source_filename", "source_rect", "source_landmarks",
        "image_to_face_mat", "eyebrows_expand_mod", "seg_ie_polys", "xseg_mask",
        "understudy_mask", "other")  # fmt: skip
DTYPES = ("?", "u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "u8")


class Input(NamedTuple):
    """Bytes for one of the readers: face, pak, meta or pickle."""

    reader: str
    data: bytes


class Seeds(NamedTuple):
    """What inputs are made from."""

    faces: tuple[bytes, ...]
    paks: tuple[bytes, ...]
    metas: tuple[bytes, ...]
    payloads: tuple[bytes, ...]
    values: tuple[dict[str, Any], ...]
    bare: tuple[bytes, ...]


def load_seeds(shared: Path) -> Seeds:
    """The golden files, and what they are made of."""
    folder = shared / "golden/files"
    faces = [path.read_bytes() for path in sorted(folder.glob("*/*_0.jpg"))]
    faces = [data for data in faces if len(data) < 50_000]
    payloads = []
    for path in sorted(folder.glob("*/*_0.jpg")):
        with path.open("rb") as stream:
            payloads.append(read_header(stream, path).payload or b"")
    small = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    bare = tuple(bytes(cv2.imencode(end, small)[1]) for end in (".jpg", ".png"))
    paks = []
    for path in sorted(folder.glob("pak_*/faceset.pak")):
        data = path.read_bytes()
        paks.append(data)
    return Seeds(
        faces=(*faces, png_with_payload(bare[1], payloads[0], "seed")),
        paks=tuple(paks),
        metas=((folder / "meta/meta.dat").read_bytes(),),
        payloads=tuple(payloads),
        values=tuple(read_pickle(payload).value for payload in payloads),
        bare=bare,
    )


def make_input(chance: Random, seeds: Seeds) -> Input:
    """One file; about a third of them still hold something that reads."""
    makers = (_changed_face, _changed_face, _changed_payload, _changed_payload, _strange_meta,
              _strange_meta, _program, _changed_pak, _strange_pak, _changed_saved, _strange_saved,
              _pickle)  # fmt: skip
    return chance.choice(makers)(chance, seeds)


def _changed_face(chance: Random, seeds: Seeds) -> Input:
    return Input("face", change(chance, chance.choice(seeds.faces), seeds.faces))


def _changed_payload(chance: Random, seeds: Seeds) -> Input:
    payload = change(chance, chance.choice(seeds.payloads), seeds.payloads)
    return Input("face", _in_picture(chance, seeds, payload))


def _strange_meta(chance: Random, seeds: Seeds) -> Input:
    return Input("face", _in_picture(chance, seeds, _pickled(chance, _meta(chance, seeds))))


def _program(chance: Random, seeds: Seeds) -> Input:
    program = b"\x80" + bytes([chance.choice((2, 3, 4, 5))])
    for _ in range(chance.randint(1, 40)):
        code = bytes([chance.choice(CODES)])
        program += code + chance.choice((b"", b"", _number(chance), _bytes(chance, 6)))
    program += b"."
    if chance.random() < 0.5:
        return Input("pickle", program)
    return Input("face", _in_picture(chance, seeds, program))


def _pickle(chance: Random, seeds: Seeds) -> Input:
    data = _pickled(chance, {"a": _value(chance, 4), "b": chance.choice(seeds.values)})
    return Input("pickle", change(chance, data, seeds.payloads) if chance.random() < 0.7 else data)


def _changed_pak(chance: Random, seeds: Seeds) -> Input:
    return Input("pak", change(chance, chance.choice(seeds.paks), seeds.faces))


def _strange_pak(chance: Random, seeds: Seeds) -> Input:
    faces = [chance.choice(seeds.faces) for _ in range(chance.randint(0, 3))]
    entries: list[Any] = [_entry(chance, seeds, place) for place in range(len(faces))]
    if chance.random() < 0.2:
        entries.append(_value(chance, 2))
    index = _pickled(chance, entries if chance.random() < 0.95 else _value(chance, 3))
    offsets, end = [], 0
    for face in faces:
        offsets.append(end if chance.random() < 0.9 else chance.choice(EDGES))
        end += len(face)
    offsets.append(chance.choice((end, 0, *EDGES)))
    size = len(index) if chance.random() < 0.9 else chance.choice(EDGES)
    version = 1 if chance.random() < 0.95 else chance.choice(EDGES)
    table = struct.pack(f"<{len(offsets)}Q", *offsets)
    return Input("pak", struct.pack("<QQ", version, size) + index + table + b"".join(faces))


def _changed_saved(chance: Random, seeds: Seeds) -> Input:
    return Input("meta", change(chance, chance.choice(seeds.metas), seeds.payloads))


def _strange_saved(chance: Random, seeds: Seeds) -> Input:
    saved: dict[Any, Any] = {}
    for place in range(chance.randint(0, 3)):
        name = chance.choice(NAMES) if chance.random() < 0.2 else f"{place}.jpg"
        shape = (256, 256, 3) if chance.random() < 0.7 else _value(chance, 2)
        saved[name] = (shape, _meta(chance, seeds)) if chance.random() < 0.9 else _value(chance, 2)
    return Input("meta", _pickled(chance, saved))


def _entry(chance: Random, seeds: Seeds, place: int) -> dict[str, Any]:
    name = chance.choice(NAMES) if chance.random() < 0.15 else f"{place}.jpg"
    entry = {"filename": name, "person_name": None, "shape": (256, 256, 3), "face_type": 4}
    entry |= {"landmarks": chance.choice(seeds.values)["landmarks"]}
    if chance.random() < 0.3:
        entry[chance.choice(tuple(entry))] = _value(chance, 2)
    return entry


def _meta(chance: Random, seeds: Seeds) -> dict[str, Any]:
    meta = dict(chance.choice(seeds.values))
    for _ in range(chance.randint(0, 3)):
        meta[chance.choice(KEYS)] = _value(chance, 3)
    if chance.random() < 0.3:
        meta["seg_ie_polys"] = _polygons(chance)
    return meta


def _polygons(chance: Random) -> Any:
    polygons = []
    for _ in range(chance.randint(0, 3)):
        kind = chance.choice((0, 1, 1.0, True, 2, None, np.int64(1), np.zeros(2)))
        points = chance.choice((
            [[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]], np.ones((3, 2), np.float32), [], [[1]],
            np.full((2, 2), 1e300), _value(chance, 2),
        ))  # fmt: skip
        polygons.append(chance.choice(({"type": kind, "pts": points}, (kind, points), kind)))
    return chance.choice((polygons, {"polys": polygons}, tuple(polygons)))


def _value(chance: Random, depth: int) -> Any:
    kind = chance.randint(0, 11 if depth else 8)
    if kind <= 1:
        return chance.choice((None, True, False, "", "x", "Whole_Face", b"", b"\x89PNG\r\n\x1a\n"))
    if kind <= 3:
        return chance.choice((*EDGES, -1, -(1 << 40), 1 << 8000, 3.5, float("nan"), float("inf")))
    if kind == 4:
        return _bytes(chance, 60)
    if kind == 5:
        return "".join(chance.choice("aé/\\.\0\ud800") for _ in range(chance.randint(0, 9)))
    if kind <= 7:
        shape = tuple(chance.randint(0, 4) for _ in range(chance.randint(0, 3)))
        return np.full(shape, chance.randint(0, 1), chance.choice(DTYPES))
    if kind == 8:
        return np.dtype(chance.choice(DTYPES)).type(chance.randint(0, 1))
    parts = [_value(chance, depth - 1) for _ in range(chance.randint(0, 4))]
    if kind == 9:
        return parts
    return tuple(parts) if kind == 10 else {chance.choice(KEYS): part for part in parts}


def _pickled(chance: Random, value: Any) -> bytes:
    protocol = chance.choice((2, 3, 4, 5, 0))
    if protocol:
        return pickle.dumps(value, protocol)
    try:
        return dumps(value)
    except (TypeError, ValueError):  # more than data files hold
        return pickle.dumps(value, 4)


def _in_picture(chance: Random, seeds: Seeds, payload: bytes) -> bytes:
    try:
        if chance.random() < 0.8:
            return jpeg_with_payload(seeds.bare[0], payload, "input")
        return png_with_payload(seeds.bare[1], payload, "input")
    except FormatError:  # too long
        return payload


def change(chance: Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
    """`data` with a few bytes changed, cut, doubled or taken from others."""
    result = bytearray(data)
    for _ in range(chance.randint(1, 5)):
        size = len(result)
        reach = size if chance.random() < 0.4 else min(size, 5000)
        at = chance.randint(0, max(reach - 1, 0))
        length = chance.choice((1, 1, 2, 4, 8, 40, 500))
        piece = bytes(result[at : at + length])
        kind = chance.randint(0, 7)
        if kind == 0 and result:
            result[at % size] ^= 1 << chance.randint(0, 7)
        elif kind == 1:
            result[at : at + 1] = bytes([chance.choice((0, 1, 0x28, 0x2E, 0x80, 0xFE, 0xFF))])
        elif kind == 2:
            number = _number(chance)
            result[at : at + len(number)] = number
        elif kind == 3:
            del result[at : at + length]
        elif kind == 4:
            result[at:at] = piece * chance.choice((1, 2, 50))
        elif kind == 5:
            other = chance.choice(others)
            begin = chance.randint(0, max(len(other) - 1, 0))
            result[at : at + length] = other[begin : begin + length]
        elif kind == 6:
            result[at:at] = _bytes(chance, 8)
        elif chance.random() < 0.3:
            del result[at:]
    return bytes(result)


def _number(chance: Random) -> bytes:
    size = chance.choice((1, 2, 4, 8))
    value = chance.choice(EDGES) & ((1 << 8 * size) - 1)
    return value.to_bytes(size, chance.choice(("little", "big")))


def _bytes(chance: Random, most: int) -> bytes:
    return bytes(chance.randint(0, 255) for _ in range(chance.randint(0, most)))
