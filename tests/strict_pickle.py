"""A reader of pickles for tests alone: its own allow-list, on pickletools, nothing of ours.

Bytes in, the value with its protocol and the names it refers to out. It knows what data files of
DFL hold and stops at anything else.
"""

import pickletools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

NUMPY_1 = {
    "numpy.core.multiarray _reconstruct",
    "numpy.core.multiarray scalar",
    "numpy ndarray",
    "numpy dtype",
}
_ALLOWED = NUMPY_1 | {
    "_codecs encode",
    "numpy.core.numeric _frombuffer",
    "numpy._core.multiarray _reconstruct",
    "numpy._core.multiarray scalar",
    "numpy._core.numeric _frombuffer",
    "samplelib.Sample SampleType",
    "facelib.FaceType FaceType",
}
_MARK = object()
_IGNORED = ("FRAME", "STOP")
_PLAIN = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LEAVES = ("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE",
           "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
           "BYTEARRAY8")  # fmt: skip
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass
class Read:
    """What a pickle holds."""

    value: Any = None
    protocol: int = 0
    names: set[str] = field(default_factory=set)


class _Array:
    """An array whose content is still to come."""

    def __init__(self) -> None:
        self.array: np.ndarray | None = None


class _Dtype:
    def __init__(self, code: str) -> None:
        self.dtype = np.dtype(code)


class _Reader:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.read = Read()

    def since_mark(self) -> list[Any]:
        at = max(i for i, item in enumerate(self.stack) if item is _MARK)
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def step(self, name: str, argument: Any) -> None:
        if name in _PLAIN or name in _LEAVES:
            self.stack.append(_PLAIN.get(name, argument))
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in ("MEMOIZE", "BINPUT", "LONG_BINPUT"):
            self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name in _TUPLES:
            self.stack[-_TUPLES[name] :] = [(*self.stack[-_TUPLES[name] :],)]
        elif name == "GLOBAL":
            self.global_name(argument)
        elif name not in _IGNORED:
            getattr(self, name.lower())(argument)  # one method per opcode; no other is known

    def proto(self, argument: int) -> None:
        self.read.protocol = argument

    def mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def tuple(self, _: Any) -> None:
        self.stack.append((*self.since_mark(),))

    def append(self, _: Any) -> None:
        item = self.stack.pop()
        self.stack[-1].append(item)

    def appends(self, _: Any) -> None:
        items = self.since_mark()
        self.stack[-1].extend(items)

    def setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.stack[-1][key] = value

    def setitems(self, _: Any) -> None:
        items = self.since_mark()
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.global_name(f"{module} {name}")

    def global_name(self, argument: str) -> None:
        assert argument in _ALLOWED, argument
        self.read.names.add(argument)
        self.stack.append(("name", argument))

    def reduce(self, _: Any) -> None:
        arguments, (_, called) = self.stack.pop(), self.stack.pop()
        self.stack.append(_call(called, arguments))

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        _build(self.stack[-1], state)


def _call(called: str, arguments: tuple[Any, ...]) -> Any:
    if called == "_codecs encode":
        assert arguments[1] == "latin1"
        return arguments[0].encode("latin1")
    if called.endswith(("SampleType", "FaceType")):
        return arguments[0]
    if called.endswith("_reconstruct"):
        assert arguments == (("name", "numpy ndarray"), (0,), b"b")
        return _Array()
    if called == "numpy dtype":
        assert np.dtype(arguments[0]).kind in "biuf"
        return _Dtype(arguments[0])
    if called.endswith("scalar"):
        return np.frombuffer(arguments[1], arguments[0].dtype)[0]
    assert called.endswith("_frombuffer")
    data, dtype, shape, order = arguments
    made = _Array()
    made.array = np.frombuffer(data, dtype.dtype).reshape(shape, order=order)
    return made


def _build(target: Any, state: Any) -> None:
    if isinstance(target, _Dtype):
        assert state[0] == 3 and state[1] in "<|" and state[2:7] == (None, None, None, -1, -1)
        return
    assert isinstance(target, _Array) and target.array is None and state[0] == 1
    _, shape, dtype, fortran, data = state
    flat = np.frombuffer(data, dtype.dtype)
    target.array = flat.reshape(shape, order="F" if fortran else "C")


def _finished(value: Any) -> Any:
    if isinstance(value, _Array):
        assert value.array is not None
        return value.array
    if isinstance(value, dict):
        return {key: _finished(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_finished(part) for part in value)
    return value


def read_pickle(data: bytes) -> Read:
    """What `data` holds; an AssertionError where it holds more than data."""
    reader, end = _Reader(), 0
    for code, argument, position in pickletools.genops(data):
        reader.step(code.name, argument)
        end = position
    assert end == len(data) - 1 and len(reader.stack) == 1
    reader.read.value = _finished(reader.stack[0])
    return reader.read


def equal(a: Any, b: Any) -> bool:
    """Equal in value to the last bit; an array and nested lists of the same numbers are equal."""
    if isinstance(a, dict) and isinstance(b, dict):
        return set(a) == set(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(np.asarray(a), np.asarray(b))
    return type(a) is type(b) and bool(a == b)
