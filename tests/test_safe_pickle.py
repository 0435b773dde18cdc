"""Pickles: goldens, round trips, and files made to do harm."""

import io
import json
import os
import pickle
import pickletools
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from understudy.errors import FormatError, UnsafeFileError
from understudy.safe_pickle import dumps, loads

number_types = st.sampled_from("?,u1,i1,<i2,<u4,<i4,<i8,<f2,<f4,<f8".split(","))
arrays = st_np.arrays(number_types, st_np.array_shapes(min_dims=0, max_dims=3, min_side=0))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 300), 1 << 300),
    st.floats(),
    st.text(),
    st.binary(),
    arrays,
    number_types.flatmap(lambda kind: st_np.from_dtype(np.dtype(kind))),
)
keys = st.one_of(st.text(), st.integers(-(1 << 59), 1 << 59), st.binary())
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(keys, inner)
    ),
    max_leaves=20,
)


def same(a: Any, b: Any) -> bool:
    """Equal in value and type, NaN equal to itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b or (a != a and b != b)


@given(values)
def test_what_is_written_is_read_by_us_and_by_everyone(value: Any) -> None:
    data = dumps(value)
    assert data == dumps(value)
    assert same(loads(data, source="x"), value)
    assert same(pickle.loads(data), value)  # noqa: S301


@given(values, st.sampled_from([2, 3, 4, 5]))
def test_what_everyone_writes_is_read(value: Any, protocol: int) -> None:
    assert same(loads(pickle.dumps(value, protocol), source="x"), value)


@settings(max_examples=30, deadline=None)
@given(values)
def test_names_are_those_of_numpy_1_in_protocol_4(value: Any) -> None:
    data = dumps(value)
    strings: list[Any] = []
    for code, argument, _ in pickletools.genops(data):
        if code.name == "PROTO":
            assert argument == 4
        elif code.name == "STACK_GLOBAL":
            assert (strings[-2], strings[-1]) in {
                ("numpy.core.multiarray", "_reconstruct"),
                ("numpy.core.multiarray", "scalar"),
                ("numpy", "ndarray"),
                ("numpy", "dtype"),
            }
        assert code.proto <= 4 and code.name not in ("GLOBAL", "INST", "NEWOBJ", "EXT1")
        if isinstance(argument, str):
            strings.append(argument)


def test_files_of_the_predecessor_read_as_they_are(shared: Path) -> None:
    folder = shared / "golden/files"
    paths = [p for p in folder.rglob("*") if p.suffix == ".npy" or p.name.endswith("data.dat")]
    paths += [*folder.rglob("*default_options.dat"), folder / "meta/meta.dat"]
    assert len(paths) > 15
    for path in paths:
        data = path.read_bytes()
        value = loads(data, source=path)
        assert same(value, pickle.loads(data)), path  # noqa: S301
        assert same(loads(dumps(value), source=path), value)


@pytest.mark.parametrize("name", ["", ".proto3_windows"])
def test_a_session_of_the_predecessors_merger_is_plain_data(name: str, shared: Path) -> None:
    folder = shared / "golden/files"
    path = folder / f"merger/new_SAEHD_merger_session{name}.dat"
    expected = json.loads((folder / "expected.json").read_text())["merger_session"]
    session = loads(path.read_bytes(), source=path)
    for frame, known in zip(session["frames"], expected["frames"], strict=True):
        attributes = known["attrs"]
        assert frame["frame_info"].keys() == attributes["frame_info"].keys()
        assert frame["frame_info"]["filepath"] == attributes["frame_info"]["filepath"]
        points = attributes["frame_info"]["landmarks_list"]
        np.testing.assert_array_equal(frame["frame_info"]["landmarks_list"], points)
        config = frame["cfg"] and frame["cfg"] | {"sharpen_dict": None}
        assert config == (attributes["cfg"] and attributes["cfg"] | {"sharpen_dict": None})
    assert session["model_iter"] == expected["model_iter"]


def test_records_that_share_much_are_refused() -> None:
    many = {f"k{i}": None for i in range(1000)}
    named = b"cmerger.FrameInfo\nFrameInfo\n"
    shared = pickle.dumps(many, 2)[2:-1]  # remembered as number 0
    repeated = (named + b")\x81h\x00b") * 3000
    with pytest.raises(UnsafeFileError, match="many times as large"):
        loads(b"\x80\x02]" + shared + b"a(" + repeated + b"e.", source="x")


def test_fortran_order_and_memory_of_their_own() -> None:
    array = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4))
    for protocol in (2, 4, 5):
        read = loads(pickle.dumps({"a": array}, protocol), source="x")["a"]
        np.testing.assert_array_equal(read, array)
        read[0, 0] = 7


class Call:
    """Pickles into a call of anything."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __reduce__(self) -> Any:
        return self.parts[0], self.parts[1:]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "hostile",
    [
        Call(os.system, "touch hostile-was-run"),
        Call(eval, "1"),
        Call(getattr, {}, "clear"),
        Call(bytearray, 10**9),
        Call(np.zeros, 10**9),
        {"landmarks": [[Call(os.system, "touch hostile-was-run")]]},
        np.array([{}, None], object),
        np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
        np.array(["text"]),
        np.array(["2020-01-01"], "M8[D]"),
        object(),
        Path,
        {1, 2},
        1j,
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_but_data_is_made(
    hostile: Any, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pickle.dumps(hostile, protocol)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatError, match="some file"):
        loads(data, source="some file")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02cos\nsystem\nX\x01\0\0\0x\x85R.",
        b"\x80\x02(X\x01\0\0\0xios\nsystem\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"\x80\x02Ppersistent\n.",
        b"\x80\x02NQ.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02cnumpy\nndarray\n)\x81.",
        b"\x80\x02cmerger.FrameInfo\nFrameInfo\n(K\x01t\x81.",
        b"\x80\x02cmerger.FrameInfo\nFrameInfo\n)R.",
        b"\x80\x02}}b.",
        b"\x80\x02cmerger.FrameInfo\nFrameInfo\n)\x81Nb.",
        b"\x80\x02cbuiltins\ngetattr\ncmerger.FrameInfo\nFrameInfo\nX\x05\0\0\0Frame\x86R.",
        b"\x80\x02cbuiltins\ngetattr\ncmerger.InteractiveMergerSubprocessor\n"
        b"InteractiveMergerSubprocessor\nX\x08\0\0\0__init__\x86R.",
        b"\x80\x02cnumpy\nndarray\n(K\x01\x85tR.",
        b"\x80\x02cnumpy\nload\n.",
        b"\x80\x02cnumpy.core.multiarray\nfromfile\n.",
        b"\x80\x02c_codecs\nencode\nX\x01\0\0\0xX\x03\0\0\0rot\x86R.",
        b"\x80\x02cnumpy\ndtype\nX\x02\0\0\0O8K\0K\x01\x87R.",
        b"\x80\x05\x97.",
    ],
)
def test_requests_for_objects_are_called_unsafe(data: bytes) -> None:
    with pytest.raises(UnsafeFileError, match="nothing of it was run"):
        loads(data, source="x")


def test_object_types_hidden_in_the_description_of_a_plain_one_are_refused() -> None:
    data = bytearray(dumps(np.zeros(2, np.float64)))
    at = data.index(b"\x8c\x02f8")
    data[at : at + 4] = b"\x8c\x02O8"
    with pytest.raises(UnsafeFileError):
        loads(bytes(data), source="x")
    state = pickle.dumps(np.zeros(2, np.float64), 4).replace(b"(K\x03\x8c\x01<", b"(K\x03\x8c\x01>")
    with pytest.raises(UnsafeFileError):
        loads(state, source="x")


def test_cut_or_changed_files_are_errors_and_nothing_else() -> None:
    value = {
        "face_type": "whole_face",
        "landmarks": [[1.5, 2.5], [3.5, 4.5]],
        "source_rect": np.array([1, 2, 3, 4]),
        "big": 1 << 80,
        "scalar": np.float64(2),
        "polys": {"polys": [{"type": 1, "pts": np.zeros((3, 2), np.float32)}]},
    }
    for data in (dumps(value), *(pickle.dumps(value, p) for p in (2, 3, 4, 5))):
        for end in range(len(data)):
            with pytest.raises(FormatError):
                loads(data[:end], source="x")
        rng = np.random.default_rng(0)
        for _ in range(250):
            changed = bytearray(data)
            changed[rng.integers(len(data))] = rng.integers(256)
            try:
                loads(bytes(changed), source="x")
            except FormatError:
                continue


@given(st.binary(max_size=200))
def test_noise_is_an_error_or_a_value(noise: bytes) -> None:
    for start in (b"", b"\x80\x04", b"\x80\x02"):
        try:
            loads(start + noise + b".", source="x")
        except FormatError:
            continue


def _array_of(shape: tuple[int, ...], data: bytes) -> bytes:
    """A pickle of an array that claims `shape` for `data`."""
    honest = pickle.dumps(np.zeros(3, np.uint8), 2)
    described = honest[: honest.index(b"K\x03\x85")], honest[honest.index(b"K\x03\x85") + 3 :]
    sides = b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", side) for side in shape) + b"t"
    encoded = b"X" + struct.pack("<I", len(data)) + data
    middle = described[1].replace(b"X\x03\0\0\0\0\0\0", encoded)
    return described[0] + sides + middle


@pytest.mark.parametrize(
    "shape", [(10**9,), (10**18,), (1 << 62, 2), (-1,), (-1, -3), (3, 0), (0, 10**12), (1,) * 40]
)
def test_shapes_that_do_not_fit_their_data_are_refused(shape: tuple[int, ...]) -> None:
    assert loads(_array_of((3,), b"abc"), source="x").tobytes() == b"abc"
    with pytest.raises(FormatError):
        loads(_array_of(shape, b"abc"), source="x")


def _doubling(levels: int) -> bytes:
    """Lists that each hold the one before twice, all in one tuple."""
    parts = [b"\x80\x04(]\x94"]
    parts += [b"](" + 2 * (b"h" + bytes([level])) + b"e\x94" for level in range(levels)]
    return b"".join(parts) + b"t."


BOMBS = {
    "doubling": _doubling(100),
    "deep lists": b"\x80\x04" + b"](" * 5000 + b"e" * 5000 + b".",
    "deep tuples": b"\x80\x04" + b"K\x01" + b"\x85" * 100_000 + b".",
    "a list in itself": b"\x80\x04]\x94h\x00a.",
    "empty lists": b"\x80\x04(" + b"]" * 100_000 + b"t.",
    "empty dicts": b"\x80\x04(" + b"}\x94" * 100_000 + b"t.",
    "marks": b"\x80\x04" + b"(" * 1_000_000 + b".",
    "memo gap": b"\x80\x04Nr\xff\xff\xff\xff.",
    "bytes of 2**60": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b".",
    "text of 2**32": b"\x80\x04X\xff\xff\xff\xff.",
    "frame of 2**60": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b".",
    "int of 2**31 bytes": b"\x80\x04\x8b\xff\xff\xff\x7f.",
    "one list twenty thousand times": b"\x80\x04]\x94("
    + b"N" * 20_000
    + b"e("
    + b"h\0" * 20_000
    + b"t\x86.",
    "one text a hundred thousand times": b"\x80\x04X"
    + struct.pack("<I", 50_000)
    + b"x" * 50_000
    + b"\x94("
    + b"h\0" * 100_000
    + b"t\x86.",
    "one text encoded a thousand times": b"\x80\x04X"
    + struct.pack("<I", 50_000)
    + b"x" * 50_000
    + b"\x94(c_codecs\nencode\n\x94"
    + b"h\x01h\x00\x8c\x06latin1\x86R" * 1000
    + b"t\x86.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_soon_and_small(name: str) -> None:
    data = BOMBS[name]
    tracemalloc.start()
    before = time.process_time()
    try:
        with pytest.raises(FormatError):
            loads(data, source="x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Bounds with a factor of ten to spare: without budgets these take gigabytes and minutes.
    assert time.process_time() - before < 20
    assert peak < (64 << 20)


def test_a_size_limit_is_kept() -> None:
    with pytest.raises(FormatError, match="more than 10"):
        loads(dumps("x" * 100), source="x", limit=10)


def test_what_can_not_be_data_is_not_written() -> None:
    for value in (object(), {1, 2}, 1j, np.zeros(1, object), np.zeros(1, "U3"), 1 << 50_000):
        with pytest.raises(TypeError):
            dumps({"a": value})
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(ValueError, match="deep"):
        dumps(deep)


def test_enum_members_of_the_predecessor_are_ints() -> None:
    stream = io.BytesIO()
    stream.write(b"\x80\x04}(\x8c\x01ac" + b"samplelib.Sample\nSampleType\nK\x01\x85R")
    stream.write(b"\x8c\x01bcfacelib.FaceType\nFaceType\nK\x04\x85Ru.")
    assert loads(stream.getvalue(), source="x") == {"a": 1, "b": 4}
