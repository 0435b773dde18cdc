"""The stack machine that a pickle drives, cut down to what data needs.

Holds the stack, the memo and the budgets, and makes the few things a file may ask for: plain
containers, numpy arrays and scalars, records as dicts. No name is ever imported. Which byte does
what is told in `safe_pickle`, the only user. Source: reference "dfl-formats" section 11.
"""

import struct
from collections.abc import Callable, Mapping
from enum import Enum, auto
from pathlib import Path
from typing import Any  # values of a pickle are of any type until they are checked

import numpy as np

from understudy.errors import FormatError, UnsafeFileError
from understudy.pickle_writer import DTYPES

_MAX_DIMENSIONS = 16
_MAX_MARKS = 1000
_MAX_INT_KEY = 1 << 60
_MAX_FREE_TEXT = 64
_MAX_FREE_SIDE = 1 << 16
_SPARE_BYTES = 1 << 16
_SPARE_CONTAINERS = 10_000
_BYTES_PER_CONTAINER = 16
_ARRAY_COST = 100  # bytes an array object takes beside its data
_SCALAR_COST = 32
_ATTRIBUTE_COST = 8


class Name(Enum):
    """The only things a file may refer to."""

    RECONSTRUCT = auto()
    FROM_BUFFER = auto()
    SCALAR = auto()
    ARRAY_TYPE = auto()
    DTYPE_TYPE = auto()
    ENCODE = auto()
    BYTES_TYPE = auto()
    INTEGER_ENUM = auto()
    PURE_PATH = auto()
    RECORD = auto()
    RECORD_OWNER = auto()
    GET_RECORD = auto()


_NAMES: dict[tuple[str, str], Name] = {
    ("numpy", "ndarray"): Name.ARRAY_TYPE,
    ("numpy", "dtype"): Name.DTYPE_TYPE,
    ("_codecs", "encode"): Name.ENCODE,
    ("builtins", "bytes"): Name.BYTES_TYPE,
    ("__builtin__", "bytes"): Name.BYTES_TYPE,
    ("samplelib.Sample", "SampleType"): Name.INTEGER_ENUM,
    ("facelib.FaceType", "FaceType"): Name.INTEGER_ENUM,
}
for _package in ("numpy.core", "numpy._core"):
    _NAMES[f"{_package}.multiarray", "_reconstruct"] = Name.RECONSTRUCT
    _NAMES[f"{_package}.multiarray", "scalar"] = Name.SCALAR
    _NAMES[f"{_package}.numeric", "_frombuffer"] = Name.FROM_BUFFER
_MERGER = "merger.InteractiveMergerSubprocessor"
_NAMES |= {
    (_MERGER, "InteractiveMergerSubprocessor.Frame"): Name.RECORD,
    ("merger.FrameInfo", "FrameInfo"): Name.RECORD,
    ("merger.MergerConfig", "MergerConfigMasked"): Name.RECORD,
    # Before protocol 4 a class inside a class is fetched by a call; this one only.
    (_MERGER, "InteractiveMergerSubprocessor"): Name.RECORD_OWNER,
    ("builtins", "getattr"): Name.GET_RECORD,
    ("__builtin__", "getattr"): Name.GET_RECORD,
}
for _module in ("pathlib", "pathlib._local"):
    for _path in ("WindowsPath", "PosixPath", "PureWindowsPath", "PurePosixPath"):
        _NAMES[_module, _path] = Name.PURE_PATH


class Dtype:
    """A number type, being described."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype


class Dropped(Exception):
    """A file refers to a value that was not kept."""


DROPPED = object()
"""Stands in the memo for a value that was not kept."""


def damaged(source: str | Path, found: str) -> FormatError:
    """The error for data that is broken."""
    return FormatError(
        source,
        expected="complete data in pickle protocol 2 to 5",
        found=found,
        remedy="The file is damaged or of another kind; take it from a backup.",
    )


def unsafe(source: str | Path, found: str) -> UnsafeFileError:
    """The error for data that is built to do harm."""
    return UnsafeFileError(
        source,
        expected="plain data",
        found=found,
        remedy="Do not trust this file; nothing of it was run.",
    )


class Machine:
    """The stack machine a pickle drives, cut down to what data needs."""

    def __init__(self, data: bytes, source: str | Path, *, compact: bool = False) -> None:
        self.data, self.source, self.position = data, source, 0
        self.compact = compact
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: list[Any] = []
        self.unbuilt: dict[int, np.ndarray | dict[Any, Any]] = {}
        self.containers_left = _SPARE_CONTAINERS + len(data) // _BYTES_PER_CONTAINER
        self.bytes_left = 4 * len(data) + _SPARE_BYTES

    def take(self, count: int) -> bytes:
        """The next `count` bytes of the input."""
        end = self.position + count
        if end > len(self.data):
            raise IndexError("past the end")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def number(self, form: struct.Struct) -> Any:
        """The next number, of the given form."""
        value = form.unpack_from(self.data, self.position)[0]
        self.position += form.size
        return value

    def line(self) -> str:
        """Text up to the next line end."""
        end = self.data.index(b"\n", self.position)
        text = self.data[self.position : end].decode("ascii")
        self.position = end + 1
        return text

    def mark(self) -> None:
        """Remember where the stack ends."""
        if len(self.marks) >= _MAX_MARKS:
            raise unsafe(self.source, "values nested without end")
        self.marks.append(len(self.stack))

    def since_mark(self) -> list[Any]:
        """What was pushed since the last mark, taken off the stack."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def spend(self, count: int) -> None:
        """Account for `count` bytes made from memoised data."""
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise unsafe(self.source, "arrays many times as large as the file")

    def push_container(self, value: Any) -> None:
        """Put a list, tuple or dict on the stack."""
        self.containers_left -= 1
        if self.containers_left < 0:
            raise unsafe(self.source, "far more values than a file of its size may hold")
        self.stack.append(value)

    def put(self, index: int) -> None:
        """Remember the top of the stack; picklers number what they remember without gaps."""
        if index == len(self.memo):
            self.memo.append(self.stack[-1])
        elif index < len(self.memo):
            self.memo[index] = self.stack[-1]
        else:
            raise damaged(self.source, f"memo entry {index} out of order")

    def fetch(self, index: int) -> None:
        """Put what is remembered under `index` on the stack."""
        value = self.memo[index]
        if isinstance(value, np.ndarray):
            self.spend(value.nbytes)
        elif isinstance(value, (str, bytes)) and len(value) > _MAX_FREE_TEXT:
            self.spend(len(value))
        elif value is DROPPED:
            raise Dropped
        self.stack.append(value)

    def refer(self, module: Any, name: Any) -> None:
        """Put what a name stands for on the stack."""
        if type(module) is not str or type(name) is not str:
            raise TypeError("a name as text is needed")
        known = _NAMES.get((module, name))
        if known is None:
            named = ascii(f"{module[:60]}.{name[:60]}")[1:-1]  # no line ends, no terminal codes
            raise unsafe(self.source, f"a reference to {named}")
        self.stack.append(known)

    def append(self, items: list[Any]) -> None:
        """Lengthen the list on top of the stack."""
        target = self.stack[-1]
        if type(target) is not list:
            raise TypeError("a list is needed to append to")
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        """Fill the dict on top of the stack with keys and values in turn."""
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise TypeError("a dict and pairs are needed")
        for key in items[::2]:
            if type(key) not in (str, bytes, int, bool, type(None)) or (
                type(key) is int and abs(key) > _MAX_INT_KEY
            ):
                raise TypeError("a dict key that is no short plain value")
        target.update(zip(items[::2], items[1::2], strict=True))

    def reduce(self) -> None:
        """Replace a name and its arguments by what they make."""
        arguments = self.stack.pop()
        name = self.stack.pop()
        if type(name) is not Name or type(arguments) is not tuple:
            raise unsafe(self.source, "a call of something that is no known constructor")
        constructor = _CONSTRUCTORS.get(name)
        if constructor is None:
            raise unsafe(self.source, f"a call of {name.name.lower()}")
        self.stack.append(constructor(self, *arguments))

    def new(self) -> None:
        """Replace a record's name by an empty record."""
        arguments, name = self.stack.pop(), self.stack.pop()
        if name is not Name.RECORD or arguments != ():
            raise unsafe(self.source, "a request to make an object")
        self.push_container({})
        self.unbuilt[id(self.stack[-1])] = self.stack[-1]

    def build(self) -> None:
        """Finish the array, number type or record on the stack by its description."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Dtype):
            self._build_dtype(target, state)
        elif isinstance(target, np.ndarray) and id(target) in self.unbuilt:
            self._build_array(target, state)
        elif type(target) is dict and id(target) in self.unbuilt and type(state) is dict:
            self.spend(_ATTRIBUTE_COST * len(state))
            target.update(state)
            del self.unbuilt[id(target)]
        else:
            raise unsafe(self.source, "a change to something finished")

    def _build_dtype(self, target: Dtype, state: Any) -> None:
        version, order, *described = state
        plain = described in ([None, None, None, -1, -1, 0], [None, None, None, -1, -1, 0, None])
        if version not in (3, 4) or order not in ("<", "|", "=") or not plain:
            raise unsafe(self.source, "an array of something other than plain numbers")

    def _build_array(self, target: np.ndarray, state: Any) -> None:
        version, shape, dtype, fortran, data = state
        if version != 1 or type(data) is not bytes:
            raise unsafe(self.source, "an array of something other than plain numbers")
        self.check_array(shape, dtype, len(data))
        restore: Callable[[tuple[Any, ...]], None] = target.__setstate__  # typed too narrowly
        restore((1, shape, dtype.dtype, bool(fortran), data))
        del self.unbuilt[id(target)]

    def check_array(self, shape: Any, dtype: Any, size: int) -> None:
        """Refuse an array whose shape does not match its data; account for its bytes."""
        if type(dtype) is not Dtype or type(shape) is not tuple or len(shape) > _MAX_DIMENSIONS:
            raise TypeError("a shape and a number type are needed for an array")
        expected = dtype.dtype.itemsize
        for side in shape:
            if type(side) is not int or not 0 <= side <= max(size, _MAX_FREE_SIDE):
                raise unsafe(self.source, "an array whose shape does not fit its data")
            expected *= side
        if expected != size:
            raise unsafe(self.source, "an array whose shape does not fit its data")
        self.spend(size)


def _make_array(machine: Machine, kind: Any, shape: Any, code: Any) -> np.ndarray:
    if kind is not Name.ARRAY_TYPE or shape != (0,) or code != b"b":
        raise unsafe(machine.source, "an array of an unknown class")
    machine.spend(_ARRAY_COST)
    array: np.ndarray = np.zeros(0, np.int8)
    machine.unbuilt[id(array)] = array
    return array


def _make_array_from_buffer(
    machine: Machine, data: Any, dtype: Any, shape: Any, order: Any
) -> np.ndarray:
    if type(data) is not bytes or order not in ("C", "F"):
        raise TypeError("bytes and an order are needed for an array")
    machine.spend(_ARRAY_COST)
    machine.check_array(shape, dtype, len(data))
    array: np.ndarray = np.ndarray(shape, dtype.dtype, data, order=order)
    return array.copy(order="K")


def _make_scalar(machine: Machine, dtype: Any, data: Any) -> np.generic:
    machine.spend(_SCALAR_COST)
    if type(data) is not bytes:
        raise TypeError("bytes are needed for a number")
    machine.check_array((), dtype, len(data))
    array: Any = np.ndarray((), dtype.dtype, data)
    value: np.generic = array[()]
    return value


def _make_dtype(machine: Machine, code: Any, align: Any, copy: Any) -> Dtype:
    if type(code) is not str or code not in DTYPES:
        named = repr(code[:20]) if type(code) is str else "something unnamed"
        raise unsafe(machine.source, f"an array of {named}, not of plain numbers")
    machine.spend(_SCALAR_COST)
    return Dtype(np.dtype(code))


def _make_bytes(machine: Machine, text: Any = "", encoding: Any = "latin1") -> bytes:
    if type(text) is not str or encoding != "latin1":
        raise unsafe(machine.source, "a call of encode for something else than bytes")
    machine.spend(len(text))
    return text.encode("latin1")


def _make_enum(machine: Machine, value: Any) -> int:
    if type(value) is not int:
        raise TypeError("an int is needed for an enum member")
    return value


def _make_path(machine: Machine, *parts: Any) -> str:
    if not all(type(part) is str for part in parts):
        raise TypeError("a path of text is needed")
    machine.spend(sum(len(part) for part in parts))
    return "/".join(parts)


def _get_record(machine: Machine, owner: Any, name: Any) -> Name:
    if owner is not Name.RECORD_OWNER or name != "Frame":
        raise unsafe(machine.source, "a call of getattr")
    return Name.RECORD


_CONSTRUCTORS: Mapping[Name, Callable[..., Any]] = {
    Name.RECONSTRUCT: _make_array,
    Name.FROM_BUFFER: _make_array_from_buffer,
    Name.SCALAR: _make_scalar,
    Name.DTYPE_TYPE: _make_dtype,
    Name.ENCODE: _make_bytes,
    Name.BYTES_TYPE: _make_bytes,
    Name.INTEGER_ENUM: _make_enum,
    Name.PURE_PATH: _make_path,
    Name.GET_RECORD: _get_record,
}
