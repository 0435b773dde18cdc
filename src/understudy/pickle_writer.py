"""Writes plain values as pickles that DFL, its forks and every Python since 3.4 can load.

Values in, bytes out: protocol 4 with numpy-1 module names, whatever interpreter and numpy run here.
Opcodes are written one by one, so the same value always gives the same bytes and nothing but data
can get in. Knows nothing of what the values mean. The reader is `safe_pickle`.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any  # values are of any type until they are checked

import numpy as np

MAX_DEPTH = 64
MAX_INT_BYTES = 4096
_BATCH = 1000  # items a reader holds before they go into the list, as Python's pickler has it
DTYPES = frozenset({"b1", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"})
"""The number types files hold, as numpy writes them without the byte order."""


def dumps(value: Any) -> bytes:
    """Pickle of `value` in protocol 4 with numpy-1 names; the same value gives the same bytes.

    Raises:
        TypeError: a value, or a part of it, is of a type data files don't hold.
        ValueError: it is nested too deep.
    """
    writer = _Writer()
    writer.write(value, 0)
    return b"\x80\x04" + b"".join(writer.parts) + b"."


def dump_list(items: Iterable[Any]) -> Iterator[bytes]:
    """The pickle of a list in pieces, for lists larger than memory.

    Raises:
        TypeError: an item is of a type data files don't hold.
        ValueError: it is nested too deep.
    """
    return _dump_parts(((item,) for item in items), opening=b"]", closing=b"e")


def dump_dict(items: Iterable[tuple[Any, Any]]) -> Iterator[bytes]:
    """The pickle of a dict in pieces, for dicts larger than memory, from its keys and values.

    Raises:
        TypeError: a key or value is of a type data files don't hold.
        ValueError: it is nested too deep.
    """
    return _dump_parts(items, opening=b"}", closing=b"u")


def _dump_parts(
    items: Iterable[tuple[Any, ...]], *, opening: bytes, closing: bytes
) -> Iterator[bytes]:
    writer, place = _Writer(), 0
    yield b"\x80\x04" + opening
    for item in items:
        if place % _BATCH == 0:
            writer.parts.append(closing + b"(" if place else b"(")
        for part in item:
            writer.write(part, 1)
        yield b"".join(writer.parts)
        writer.parts.clear()
        place += 1
    yield closing + b"." if place else b"."


class _Writer:
    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.memo: dict[str, int] = {}

    def write(self, value: Any, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ValueError(f"data nested more than {MAX_DEPTH} deep can't be written")
        if isinstance(value, (dict, list, tuple)):
            self._container(value, depth + 1)
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, np.generic) and not isinstance(value, (str, bytes)):
            self._scalar(value)
        else:
            self.parts.append(_plain(value))

    def _container(self, value: Any, depth: int) -> None:
        if isinstance(value, dict):
            opening, closing = b"}(", b"u"
            items = [part for pair in value.items() for part in pair]
        elif isinstance(value, list):
            opening, closing, items = b"](", b"e", value
        else:
            opening, closing, items = b"(", b"t", list(value)
        self.parts.append(opening)
        for item in items:
            self.write(item, depth)
        self.parts.append(closing)

    def _once(self, key: str, write: Callable[[], None]) -> None:
        """Write something the first time and refer to it later."""
        if key in self.memo:
            self.parts.append(b"h" + struct.pack("<B", self.memo[key]))
            return
        write()
        self.memo[key] = len(self.memo)
        self.parts.append(b"\x94")

    def _name(self, module: str, name: str) -> None:
        code = _plain(module) + _plain(name) + b"\x93"
        self._once(f"{module} {name}", lambda: self.parts.append(code))

    def _dtype(self, dtype: np.dtype[Any]) -> None:
        code = dtype.str[1:]
        if code not in DTYPES:
            raise TypeError(f"an array of {dtype} can't be written")
        order = "|" if dtype.itemsize == 1 else "<"

        def describe() -> None:
            self._name("numpy", "dtype")
            self.write((code, False, True), 0)
            self.parts.append(b"R")
            self.write((3, order, None, None, None, -1, -1, 0), 0)
            self.parts.append(b"b")

        self._once(f"dtype {code}", describe)

    def _array(self, array: np.ndarray) -> None:
        self._name("numpy.core.multiarray", "_reconstruct")
        self.parts.append(b"(")
        self._name("numpy", "ndarray")
        self.write((0,), 0)
        self.write(b"b", 0)
        self.parts.append(b"tR(")
        self.write(1, 0)
        self.write(tuple(array.shape), 0)
        self._dtype(array.dtype)
        self.write(False, 0)
        self.write(_little_endian(array), 0)
        self.parts.append(b"tb")

    def _scalar(self, value: np.generic) -> None:
        self._name("numpy.core.multiarray", "scalar")
        self.parts.append(b"(")
        self._dtype(value.dtype)
        self.write(_little_endian(np.asarray(value)), 0)
        self.parts.append(b"tR")


def _little_endian(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _plain(value: Any) -> bytes:
    """Opcodes of a value that has no parts."""
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return _plain_int(int(value))
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        encoded = str(value).encode("utf-8", "surrogatepass")
        return _with_size(encoded, (b"\x8c", b"X", b"\x8d"))
    if isinstance(value, (bytes, bytearray)):
        return _with_size(bytes(value), (b"C", b"B", b"\x8e"))
    raise TypeError(f"a value of type {type(value).__name__} can't be written")


def _plain_int(value: int) -> bytes:
    if 0 <= value < 1 << 8:
        return b"K" + struct.pack("<B", value)
    if 0 <= value < 1 << 16:
        return b"M" + struct.pack("<H", value)
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    encoded = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    if len(encoded) > MAX_INT_BYTES:
        raise TypeError(f"an integer of {len(encoded)} bytes can't be written")
    if len(encoded) < 256:
        return b"\x8a" + struct.pack("<B", len(encoded)) + encoded
    return b"\x8b" + struct.pack("<i", len(encoded)) + encoded


def _with_size(data: bytes, codes: tuple[bytes, bytes, bytes]) -> bytes:
    for code, form, most in zip(codes, ("<B", "<I", "<Q"), (1 << 8, 1 << 32, 1 << 64), strict=True):
        if len(data) < most:
            return code + struct.pack(form, len(data)) + data
    raise TypeError("more bytes than can be written")
