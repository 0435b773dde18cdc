"""Reads the pickles of data files without running anything.

Bytes in, plain values out: dict, list, tuple, str, bytes, int, float, bool, None, numpy arrays and
scalars. Some 40 opcodes drive the machine of `pickle_machine`; anything else is refused, and time
and memory stay within a small multiple of the input. Knows nothing of what the values mean.
What writes is in `pickle_writer`. Source: reference "dfl-formats" section 11; the documentation of
CPython's pickletools for the opcodes.
"""

import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any  # values of a pickle are of any type until they are checked

import numpy as np

from understudy.pickle_machine import DROPPED, Dropped, Machine, damaged, unsafe
from understudy.pickle_writer import MAX_DEPTH, MAX_INT_BYTES, dump_dict, dump_list, dumps

__all__ = ["dump_dict", "dump_list", "dumps", "loads"]

_SPARE_VALUES = 20_000


def loads(data: bytes, *, source: str | Path, limit: int = 1 << 31, compact: bool = False) -> Any:
    """The value `data` describes; `source` names the file in errors.

    Members of DFL's enums come out as plain ints, its merger's records as dicts, paths as text.
    `compact` gives lists of pairs of floats, which is what landmarks are, as float64 arrays: a
    tenth of the memory and time.

    Raises:
        FormatError: no complete pickle, one of an unknown form, or more than `limit` bytes.
        UnsafeFileError: it refers to code, or is built to exhaust memory or time.
    """
    if len(data) > limit:
        raise damaged(source, f"{len(data)} bytes, more than {limit}")
    machine = Machine(data, source, compact=compact)
    try:
        value = _run(machine)
    except Dropped:  # a pair is referred to again, which no pickler of landmarks does
        return loads(data, source=source, limit=limit)
    except (IndexError, struct.error) as error:
        raise damaged(source, f"data that ends or breaks at byte {machine.position}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise damaged(source, f"a wrong value at byte {machine.position} ({error})") from error
    _check_result(value, source, 2 * len(data) + _SPARE_VALUES)
    return value


def _run(machine: Machine) -> Any:
    """The value on the stack when the program stops."""
    data = machine.data
    if data[:1] != b"\x80" or not 2 <= data[1] <= 5:
        raise damaged(machine.source, "no pickle of a known protocol")
    machine.position = 2
    operations = _OPERATIONS
    while (code := data[machine.position]) != _STOP:
        machine.position += 1
        operations[code](machine)
    if len(machine.stack) != 1 or machine.unbuilt:
        raise damaged(machine.source, "unfinished values at the end")
    return machine.stack[0]


def _check_result(value: Any, source: str | Path, budget: int) -> None:
    """Refuse what is no plain value, is nested too deep, or unfolds to too much when walked."""
    pending: list[tuple[Any, int]] = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, (dict, list, tuple)):
            budget -= 1 + len(item)
            if budget < 0 or depth > MAX_DEPTH:
                raise unsafe(source, "values that contain themselves over and over")
            parts = item.values() if isinstance(item, dict) else item
            if not _LEAVES.issuperset(map(type, parts)):
                pending.extend((part, depth + 1) for part in parts if type(part) not in _LEAVES)
        elif type(item) not in _LEAVES and not isinstance(item, (np.ndarray, np.generic)):
            raise damaged(source, "an unfinished value")


_LEAVES = frozenset({type(None), bool, int, float, str, bytes})


def _pusher(read: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    return lambda machine: machine.stack.append(read(machine))


def _sized(form: str, *, text: bool = False) -> Callable[[Machine], None]:
    """Push bytes, or text, whose length stands before them in `form`."""
    length = struct.Struct(form)

    def read(machine: Machine) -> None:
        piece = machine.take(machine.number(length))
        machine.stack.append(piece.decode("utf-8", "surrogatepass") if text else piece)

    return read


def _number(form: str) -> Callable[[Machine], None]:
    number = struct.Struct(form)
    return lambda machine: machine.stack.append(machine.number(number))


def _integer(form: str) -> Callable[[Machine], None]:
    length = struct.Struct(form)

    def read(machine: Machine) -> None:
        size = machine.number(length)
        if not 0 <= size <= MAX_INT_BYTES:
            raise ValueError(f"an integer of {size} bytes")
        machine.stack.append(int.from_bytes(machine.take(size), "little", signed=True))

    return read


_PAIR = struct.Struct(">2sdsds")
_PUT_SIZES = {ord("("): 0, 0x94: 1, ord("q"): 2, ord("r"): 5}


_RUNS = {
    size: re.compile(rb"(?:\]" + put + rb"\(G.{8}G.{8}e){2,999}", re.DOTALL)
    for size, put in ((0, b""), (1, rb"\x94"), (2, b"q."), (5, b"r.{4}"))
}


def _list(machine: Machine) -> None:
    """Push an empty list, or in one go a pair of floats: faces are made of landmarks."""
    machine.push_container([])
    data, at = machine.data, machine.position
    size = _PUT_SIZES.get(data[at])
    if size is None or at + size + _PAIR.size > len(data):
        return
    opening, x, between, y, closing = _PAIR.unpack_from(data, at + size)
    if (opening, between, closing) == (b"(G", b"G", b"e"):
        if size:
            machine.position = at + 1
            _OPERATIONS[data[at]](machine)
        machine.stack[-1].extend((x, y))
        machine.position = at + size + _PAIR.size
    elif machine.compact and opening == b"(]":
        _points(machine, at, size)


def _points(machine: Machine, at: int, size: int) -> None:
    """Put a run of pairs in place of the list on top, if they are all there is in it."""
    data, first = machine.data, at + size + 1
    put = _PUT_SIZES.get(data[first + 1])
    run = None if put is None else _RUNS[put].match(data, first)
    if put is None or run is None or data[run.end() : run.end() + 1] != b"e":
        return
    rows = np.frombuffer(data, np.uint8, run.end() - first, first).reshape(-1, 21 + put)
    if not _in_order(rows[:, 1 : 1 + put], len(machine.memo) + (size > 0)):
        return
    pairs = np.hstack([rows[:, put + 3 : put + 11], rows[:, put + 12 : put + 20]])
    machine.stack[-1] = pairs.view(">f8").astype(np.float64)
    if size:
        machine.position = at + 1
        _OPERATIONS[data[at]](machine)
    if put:
        machine.memo.extend([DROPPED] * len(rows))
    machine.position = run.end() + 1


def _in_order(puts: np.ndarray, begin: int) -> bool:
    """Whether the opcodes that remember each pair number them on from `begin`."""
    if puts.shape[1] < 2:
        return True
    numbers = np.zeros((len(puts), 4), np.uint8)
    numbers[:, : puts.shape[1] - 1] = puts[:, 1:]
    return bool((numbers.view("<u4")[:, 0] == np.arange(begin, begin + len(puts))).all())


def _dict(machine: Machine) -> None:
    items = machine.since_mark()
    machine.push_container({})
    machine.set_items(items)


def _tuple(count: int) -> Callable[[Machine], None]:
    def make(machine: Machine) -> None:
        if len(machine.stack) < count:
            raise IndexError("an empty stack")
        items = tuple(machine.stack[-count:])
        del machine.stack[-count:]
        machine.push_container(items)

    return make


def _memory(form: str) -> tuple[Callable[[Machine], None], Callable[[Machine], None]]:
    """How to fetch from and to put into the memo by an index in `form`."""
    index = struct.Struct(form)
    return (
        lambda machine: machine.fetch(machine.number(index)),
        lambda machine: machine.put(machine.number(index)),
    )


def _frame(machine: Machine) -> None:
    size = machine.number(struct.Struct("<Q"))
    if size > len(machine.data) - machine.position:
        raise IndexError("a frame past the end")


def _refuse(machine: Machine) -> None:
    code = machine.data[machine.position - 1]
    raise unsafe(machine.source, f"a request to make an object (opcode {code:#x})")


def _misread(machine: Machine) -> None:
    at = machine.position - 1
    raise damaged(machine.source, f"opcode {machine.data[at]:#x} at byte {at}")


_STOP = ord(".")
_GET1, _PUT1 = _memory("<B")
_GET4, _PUT4 = _memory("<I")
_KNOWN_OPERATIONS: Mapping[bytes, Callable[[Machine], None]] = {
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
    b"(": Machine.mark,
    b"]": _list,
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
    b"R": Machine.reduce,
    b"\x81": Machine.new,
    b"b": Machine.build,
    b"\x95": _frame,
    **{bytes([code]): _refuse for code in b"PQ\x82\x83\x84io\x92\x97\x98"},
}
_OPERATIONS = tuple(_KNOWN_OPERATIONS.get(bytes([code]), _misread) for code in range(256))
