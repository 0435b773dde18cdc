"""Reads the pickles of data files without running anything.

Bytes in, plain values out: dict, list, tuple, str, bytes, int, float, bool, None, numpy arrays and
scalars. A small machine of its own that knows some 40 opcodes and a dozen names; no name is ever
imported, and time and memory stay within a small multiple of the input. Knows nothing of what the
values mean. `dumps`, its counterpart, is in `pickle_writer`. Source: reference "dfl-formats"
section 11; the documentation of CPython's pickletools for the opcodes.
"""

import struct
from collections.abc import Callable, Mapping
from enum import Enum, auto
from pathlib import Path
from typing import Any  # values of a pickle are of any type until they are checked

import numpy as np

from understudy.errors import FormatError, UnsafeFileError
from understudy.pickle_writer import DTYPES, MAX_DEPTH, MAX_INT_BYTES, dumps

__all__ = ["dumps", "loads"]

_MAX_DIMENSIONS = 16
_MAX_INT_KEY = 1 << 60
_SPARE_BYTES = 1 << 16
_SPARE_CONTAINERS = 10_000
_BYTES_PER_CONTAINER = 16


class _Name(Enum):
    """The only things a file may refer to."""

    RECONSTRUCT = auto()
    FROM_BUFFER = auto()
    SCALAR = auto()
    ARRAY_TYPE = auto()
    DTYPE_TYPE = auto()
    ENCODE = auto()
    BYTES_TYPE = auto()
    INTEGER_ENUM = auto()


_NAMES: dict[tuple[str, str], _Name] = {
    ("numpy", "ndarray"): _Name.ARRAY_TYPE,
    ("numpy", "dtype"): _Name.DTYPE_TYPE,
    ("_codecs", "encode"): _Name.ENCODE,
    ("builtins", "bytes"): _Name.BYTES_TYPE,
    ("__builtin__", "bytes"): _Name.BYTES_TYPE,
    ("samplelib.Sample", "SampleType"): _Name.INTEGER_ENUM,
    ("facelib.FaceType", "FaceType"): _Name.INTEGER_ENUM,
}
for _package in ("numpy.core", "numpy._core"):
    _NAMES[f"{_package}.multiarray", "_reconstruct"] = _Name.RECONSTRUCT
    _NAMES[f"{_package}.multiarray", "scalar"] = _Name.SCALAR
    _NAMES[f"{_package}.numeric", "_frombuffer"] = _Name.FROM_BUFFER


class _Dtype:
    """A number type, being described."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype


def loads(data: bytes, *, source: str | Path, limit: int = 1 << 31) -> Any:
    """The value `data` describes; `source` names the file in errors.

    Members of DFL's enums come out as plain ints.

    Raises:
        FormatError: no complete pickle, one of an unknown form, or more than `limit` bytes.
        UnsafeFileError: it refers to code, or is built to exhaust memory or time.
    """
    if len(data) > limit:
        raise _damaged(source, f"{len(data)} bytes, more than {limit}")
    machine = _Machine(data, source)
    try:
        value = machine.run()
    except (IndexError, struct.error) as error:
        raise _damaged(source, f"data that ends or breaks at byte {machine.position}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise _damaged(source, f"a wrong value at byte {machine.position} ({error})") from error
    _check_result(value, source, _container_budget(len(data)))
    return value


def _damaged(source: str | Path, found: str) -> FormatError:
    return FormatError(
        source,
        expected="complete data in pickle protocol 2 to 5",
        found=found,
        remedy="The file is damaged or of another kind; take it from a backup.",
    )


def _unsafe(source: str | Path, found: str) -> UnsafeFileError:
    return UnsafeFileError(
        source,
        expected="plain data",
        found=found,
        remedy="Do not trust this file; nothing of it was run.",
    )


def _container_budget(size: int) -> int:
    return _SPARE_CONTAINERS + size // _BYTES_PER_CONTAINER


def _check_result(value: Any, source: str | Path, budget: int) -> None:
    """Refuse what is no plain value, is nested too deep, or unfolds to too much when walked."""
    pending: list[tuple[Any, int]] = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, (dict, list, tuple)):
            budget -= 1
            if budget < 0 or depth > MAX_DEPTH:
                raise _unsafe(source, "values that contain themselves over and over")
            parts = item.values() if isinstance(item, dict) else item
            pending.extend((part, depth + 1) for part in parts if type(part) not in _LEAVES)
        elif type(item) not in _LEAVES and not isinstance(item, (np.ndarray, np.generic)):
            raise _damaged(source, "an unfinished value")


_LEAVES = frozenset({type(None), bool, int, float, str, bytes})


class _Machine:
    """The stack machine a pickle drives, cut down to what data needs."""

    def __init__(self, data: bytes, source: str | Path) -> None:
        self.data, self.source, self.position = data, source, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: list[Any] = []
        self.unbuilt: dict[int, np.ndarray] = {}
        self.containers_left = _container_budget(len(data))
        self.bytes_left = 4 * len(data) + _SPARE_BYTES

    def run(self) -> Any:
        """The value on the stack when the program stops."""
        if self.data[:1] != b"\x80" or not 2 <= self.data[1] <= 5:
            raise _damaged(self.source, "no pickle of a known protocol")
        self.position = 2
        data, operations = self.data, _OPERATIONS
        while (code := data[self.position]) != _STOP:
            self.position += 1
            operations[code](self)
        if len(self.stack) != 1:
            raise _damaged(self.source, "values left over at the end")
        return self.stack[0]

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
            raise _unsafe(self.source, "arrays many times as large as the file")

    def push_container(self, value: Any) -> None:
        self.containers_left -= 1
        if self.containers_left < 0:
            raise _unsafe(self.source, "far more values than a file of its size may hold")
        self.stack.append(value)

    def put(self, index: int) -> None:
        """Remember the top of the stack; picklers number what they remember without gaps."""
        if index == len(self.memo):
            self.memo.append(self.stack[-1])
        elif index < len(self.memo):
            self.memo[index] = self.stack[-1]
        else:
            raise _damaged(self.source, f"memo entry {index} out of order")

    def refer(self, module: Any, name: Any) -> None:
        known = _NAMES.get((module, name)) if type(module) is type(name) is str else None
        if known is None:
            raise _unsafe(self.source, f"a reference to {str(module)[:60]}.{str(name)[:60]}")
        self.stack.append(known)

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise TypeError("a list is needed to append to")
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
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
        arguments = self.stack.pop()
        name = self.stack.pop()
        if type(name) is not _Name or type(arguments) is not tuple:
            raise _unsafe(self.source, "a call of something that is no known constructor")
        constructor = _CONSTRUCTORS.get(name)
        if constructor is None:
            raise _unsafe(self.source, f"a call of {name.name.lower()}")
        self.stack.append(constructor(self, *arguments))

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, _Dtype):
            self._build_dtype(target, state)
        elif isinstance(target, np.ndarray) and id(target) in self.unbuilt:
            self._build_array(target, state)
        else:
            raise _unsafe(self.source, "a change to something finished")

    def _build_dtype(self, target: _Dtype, state: Any) -> None:
        version, order, *described = state
        plain = described in ([None, None, None, -1, -1, 0], [None, None, None, -1, -1, 0, None])
        if version not in (3, 4) or order not in ("<", "|", "=") or not plain:
            raise _unsafe(self.source, "an array of something other than plain numbers")

    def _build_array(self, target: np.ndarray, state: Any) -> None:
        version, shape, dtype, fortran, data = state
        if version != 1 or type(data) is not bytes:
            raise _unsafe(self.source, "an array of something other than plain numbers")
        self.check_array(shape, dtype, len(data))
        restore: Callable[[tuple[Any, ...]], None] = target.__setstate__  # typed too narrowly
        restore((1, shape, dtype.dtype, bool(fortran), data))
        del self.unbuilt[id(target)]

    def check_array(self, shape: Any, dtype: Any, size: int) -> None:
        """Refuse an array whose shape does not match its data; account for its bytes."""
        if type(dtype) is not _Dtype or type(shape) is not tuple or len(shape) > _MAX_DIMENSIONS:
            raise TypeError("a shape and a number type are needed for an array")
        expected = dtype.dtype.itemsize
        for side in shape:
            if type(side) is not int or not 0 <= side <= max(size, 1):
                raise _unsafe(self.source, "an array whose shape does not fit its data")
            expected *= side
        if expected != size:
            raise _unsafe(self.source, "an array whose shape does not fit its data")
        self.spend(size)


def _make_array(machine: _Machine, kind: Any, shape: Any, code: Any) -> np.ndarray:
    if kind is not _Name.ARRAY_TYPE or shape != (0,) or code != b"b":
        raise _unsafe(machine.source, "an array of an unknown class")
    machine.spend(_ARRAY_COST)
    array: np.ndarray = np.zeros(0, np.int8)
    machine.unbuilt[id(array)] = array
    return array


def _make_array_from_buffer(
    machine: _Machine, data: Any, dtype: Any, shape: Any, order: Any
) -> np.ndarray:
    if type(data) is not bytes or order not in ("C", "F"):
        raise TypeError("bytes and an order are needed for an array")
    machine.spend(_ARRAY_COST)
    machine.check_array(shape, dtype, len(data))
    array: np.ndarray = np.ndarray(shape, dtype.dtype, data, order=order)
    return array.copy(order="K")


def _make_scalar(machine: _Machine, dtype: Any, data: Any) -> np.generic:
    machine.spend(_SCALAR_COST)
    if type(data) is not bytes:
        raise TypeError("bytes are needed for a number")
    machine.check_array((), dtype, len(data))
    array: Any = np.ndarray((), dtype.dtype, data)
    value: np.generic = array[()]
    return value


def _make_dtype(machine: _Machine, code: Any, align: Any, copy: Any) -> _Dtype:
    if type(code) is not str or code not in DTYPES:
        raise _unsafe(machine.source, f"an array of {str(code)[:20]!r}, not of plain numbers")
    machine.spend(_SCALAR_COST)
    return _Dtype(np.dtype(code))


def _make_bytes(machine: _Machine, text: Any = "", encoding: Any = "latin1") -> bytes:
    if type(text) is not str or encoding != "latin1":
        raise _unsafe(machine.source, "a call of encode for something else than bytes")
    machine.spend(len(text))
    return text.encode("latin1")


def _make_enum(machine: _Machine, value: Any) -> int:
    if type(value) is not int:
        raise TypeError("an int is needed for an enum member")
    return value


_ARRAY_COST = 100  # bytes an array object takes beside its data
_SCALAR_COST = 32
_CONSTRUCTORS: Mapping[_Name, Callable[..., Any]] = {
    _Name.RECONSTRUCT: _make_array,
    _Name.FROM_BUFFER: _make_array_from_buffer,
    _Name.SCALAR: _make_scalar,
    _Name.DTYPE_TYPE: _make_dtype,
    _Name.ENCODE: _make_bytes,
    _Name.BYTES_TYPE: _make_bytes,
    _Name.INTEGER_ENUM: _make_enum,
}


def _pusher(read: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(read(machine))


def _sized(form: str, *, text: bool = False) -> Callable[[_Machine], None]:
    """Push bytes, or text, whose length stands before them in `form`."""
    length = struct.Struct(form)

    def read(machine: _Machine) -> None:
        piece = machine.take(machine.number(length))
        machine.stack.append(piece.decode("utf-8", "surrogatepass") if text else piece)

    return read


def _number(form: str) -> Callable[[_Machine], None]:
    number = struct.Struct(form)
    return lambda machine: machine.stack.append(machine.number(number))


def _integer(form: str) -> Callable[[_Machine], None]:
    length = struct.Struct(form)

    def read(machine: _Machine) -> None:
        size = machine.number(length)
        if not 0 <= size <= MAX_INT_BYTES:
            raise ValueError(f"an integer of {size} bytes")
        machine.stack.append(int.from_bytes(machine.take(size), "little", signed=True))

    return read


def _dict(machine: _Machine) -> None:
    items = machine.since_mark()
    machine.push_container({})
    machine.set_items(items)


def _tuple(count: int) -> Callable[[_Machine], None]:
    def make(machine: _Machine) -> None:
        if len(machine.stack) < count:
            raise IndexError("an empty stack")
        items = tuple(machine.stack[-count:])
        del machine.stack[-count:]
        machine.push_container(items)

    return make


def _memory(form: str) -> tuple[Callable[[_Machine], None], Callable[[_Machine], None]]:
    """How to fetch from and to put into the memo by an index in `form`."""
    index = struct.Struct(form)
    return (
        lambda machine: machine.stack.append(machine.memo[machine.number(index)]),
        lambda machine: machine.put(machine.number(index)),
    )


def _frame(machine: _Machine) -> None:
    size = machine.number(struct.Struct("<Q"))
    if size > len(machine.data) - machine.position:
        raise IndexError("a frame past the end")


def _refuse(machine: _Machine) -> None:
    code = machine.data[machine.position - 1]
    raise _unsafe(machine.source, f"a request to make an object (opcode {code:#x})")


def _misread(machine: _Machine) -> None:
    at = machine.position - 1
    raise _damaged(machine.source, f"opcode {machine.data[at]:#x} at byte {at}")


_STOP = ord(".")
_GET1, _PUT1 = _memory("<B")
_GET4, _PUT4 = _memory("<I")
_KNOWN_OPERATIONS: Mapping[bytes, Callable[[_Machine], None]] = {
    b"N": _pusher(lambda m: None),
    b"\x88": _pusher(lambda m: True),
    b"\x89": _pusher(lambda m: False),
    b"K": _number("<B"),
    b"M": _number("<H"),
    b"J": _number("<i"),
    b"\x8a": _integer("<B"),
    b"\x8b": _integer("<i"),
    b"G": _number(">d"),
    b"X": _sized("<I", text=True),
    b"\x8c": _sized("<B", text=True),
    b"\x8d": _sized("<Q", text=True),
    b"C": _sized("<B"),
    b"B": _sized("<I"),
    b"\x8e": _sized("<Q"),
    b"\x96": _sized("<Q"),
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"]": lambda m: m.push_container([]),
    b"}": lambda m: m.push_container({}),
    b")": _pusher(lambda m: ()),
    b"l": lambda m: m.push_container(m.since_mark()),
    b"d": _dict,
    b"t": lambda m: m.push_container(tuple(m.since_mark())),
    b"\x85": _tuple(1),
    b"\x86": _tuple(2),
    b"\x87": _tuple(3),
    b"a": lambda m: m.append([m.stack.pop()]),
    b"e": lambda m: m.append(m.since_mark()),
    b"s": lambda m: m.set_items([m.stack.pop(-2), m.stack.pop()]),
    b"u": lambda m: m.set_items(m.since_mark()),
    b"h": _GET1,
    b"j": _GET4,
    b"q": _PUT1,
    b"r": _PUT4,
    b"\x94": lambda m: m.put(len(m.memo)),
    b"c": lambda m: m.refer(m.line(), m.line()),
    b"\x93": lambda m: m.refer(m.stack.pop(-2), m.stack.pop()),
    b"R": _Machine.reduce,
    b"b": _Machine.build,
    b"\x95": _frame,
    **{bytes([code]): _refuse for code in b"PQ\x82\x83\x84io\x81\x92\x97\x98"},
}
_OPERATIONS = tuple(_KNOWN_OPERATIONS.get(bytes([code]), _misread) for code in range(256))
