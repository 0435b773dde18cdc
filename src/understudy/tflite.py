"""Weights out of TensorFlow Lite files, without TensorFlow.

The bytes of a `.tflite` file in, the arrays of its convolutions and activations out, float16 and
sparse ones decoded. Reads only what that takes of the FlatBuffers layout; knows nothing of how the
layers are wired: networks write their own graph. Meant for files whose hash was checked.
Source: the FlatBuffers and TensorFlow Lite schema documentation.
"""

import struct
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from understudy.errors import FormatError

_CONV, _DEPTHWISE, _DEQUANTIZE, _PRELU, _DENSIFY = 3, 4, 6, 54, 124
_DTYPES = {0: "<f4", 1: "<f2"}
_INDEX_DTYPES = {1: "<i4", 2: "<u2", 3: "u1"}
_IDENTIFIER = b"TFL3"

Weights = dict[str, Float32[np.ndarray, "..."]]


def read_weights(data: bytes, name: str) -> Weights:
    """Arrays of the first graph in `data`, a file called `name`, numbered in order of execution.

    Keys and shapes are torch's: `conv_00.weight` (out, in, h, w), `depthwise_00.weight`
    (channels, 1, h, w), their `.bias`, and `prelu_00.weight` (channels).

    Raises:
        FormatError: this is no TensorFlow Lite file, or it holds tensors of another sort.
    """
    if len(data) < 16 or data[4:8] != _IDENTIFIER:
        raise _unfit(name, "a TensorFlow Lite file", "something else")
    graph = _Graph(data, name)
    weights: Weights = {}
    for kind, prefix in ((_CONV, "conv"), (_DEPTHWISE, "depthwise"), (_PRELU, "prelu")):
        for number, inputs in enumerate(graph.operations(kind)):
            key = f"{prefix}_{number:02d}"
            weights[f"{key}.weight"] = _to_torch(kind, graph.constant(inputs[1]))
            if kind != _PRELU:
                weights[f"{key}.bias"] = graph.constant(inputs[2])
    return weights


def _to_torch(kind: int, array: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    if kind == _CONV:
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    if kind == _DEPTHWISE:
        return np.ascontiguousarray(array.transpose(3, 0, 1, 2))
    return array.reshape(-1)


def _unfit(name: str, expected: str, found: str) -> FormatError:
    return FormatError(
        name, expected=expected, found=found, remedy="Fetch the face models once more."
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """A FlatBuffers table: fields by number, absent ones at their default."""

    data: bytes
    position: int

    def _field(self, number: int) -> int | None:
        start = self.position - self._number("<i", self.position)
        slot = 4 + 2 * number
        if slot >= self._number("<H", start):
            return None
        offset = self._number("<H", start + slot)
        return self.position + offset if offset else None

    def _number(self, form: str, at: int) -> int:
        return int(struct.unpack_from(form, self.data, at)[0])

    def scalar(self, number: int, form: str, default: int = 0) -> int:
        at = self._field(number)
        return default if at is None else self._number("<" + form, at)

    def table(self, number: int) -> "_Table | None":
        at = self._field(number)
        return None if at is None else _Table(self.data, at + self._number("<I", at))

    def vector(self, number: int) -> tuple[int, int]:
        """Length and position of the first item."""
        at = self._field(number)
        if at is None:
            return 0, 0
        start = at + self._number("<I", at)
        return self._number("<I", start), start + 4

    def array(self, number: int, dtype: str) -> np.ndarray:
        length, start = self.vector(number)
        return np.frombuffer(self.data, dtype, length, start)

    def tables(self, number: int) -> list["_Table"]:
        length, start = self.vector(number)
        places = range(start, start + 4 * length, 4)
        return [_Table(self.data, at + self._number("<I", at)) for at in places]


class _Graph:
    """Operations and constants of the first graph in a file."""

    def __init__(self, data: bytes, name: str) -> None:
        model = _Table(data, struct.unpack_from("<I", data)[0])
        graph = model.tables(2)[0]
        self._name = name
        self._tensors = graph.tables(0)
        self._buffers = model.tables(4)
        codes = [max(code.scalar(0, "b"), code.scalar(3, "i")) for code in model.tables(1)]
        self._operations = [
            (codes[op.scalar(0, "I")], op.array(1, "<i4").tolist(), op.array(2, "<i4").tolist())
            for op in graph.tables(3)
        ]
        self._source = {
            outputs[0]: inputs[0]
            for kind, inputs, outputs in self._operations
            if kind in (_DEQUANTIZE, _DENSIFY)
        }

    def operations(self, kind: int) -> list[list[int]]:
        """Inputs of the operations of one kind."""
        return [inputs for code, inputs, _ in self._operations if code == kind]

    def constant(self, tensor: int) -> Float32[np.ndarray, "..."]:
        """The stored array behind a tensor that only decoding separates from it."""
        while tensor in self._source:
            tensor = self._source[tensor]
        table = self._tensors[tensor]
        kind = table.scalar(1, "b")
        if kind not in _DTYPES:
            raise _unfit(self._name, "float tensors", f"one of type {kind}")
        length, start = self._buffers[table.scalar(2, "I")].vector(0)
        dtype = np.dtype(_DTYPES[kind])
        values = np.frombuffer(table.data, dtype, length // dtype.itemsize, start)
        shape = tuple(table.array(0, "<i4").tolist())
        sparsity = table.table(6)
        if sparsity is not None:
            values = _densify(values, shape, sparsity)
        if values.size != int(np.prod(shape)):
            raise _unfit(self._name, f"{shape} numbers", f"{values.size}")
        return values.reshape(shape).astype(np.float32)


def _densify(values: np.ndarray, shape: tuple[int, ...], sparsity: _Table) -> np.ndarray:
    """The full array of a sparse tensor.

    It is stored as levels of coordinates, dense or compressed, in the order they are traversed;
    blocks are levels past the tensor's own.
    """
    order = sparsity.array(0, "<i4").tolist()
    blocked = sparsity.array(1, "<i4").tolist()
    levels = sparsity.tables(2)
    positions = np.zeros(1, np.int64)
    coordinates: list[np.ndarray] = []
    for level in levels:
        if level.scalar(0, "b") == 0:
            size = level.scalar(1, "i")
            parents = np.repeat(np.arange(positions.size), size)
            own = np.tile(np.arange(size), positions.size)
            positions = positions[parents] * size + own
        else:
            segments, indices = _indices(level, 2), _indices(level, 4)
            counts = segments[positions + 1] - segments[positions]
            parents = np.repeat(np.arange(positions.size), counts)
            within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            positions = segments[positions[parents]] + within
            own = indices[positions]
        coordinates = [previous[parents] for previous in coordinates] + [own]
    block_size = [1] * len(shape)
    for number, dimension in enumerate(blocked):
        block_size[dimension] = levels[order.index(len(shape) + number)].scalar(1, "i")
    index = [np.zeros(positions.size, np.int64) for _ in shape]
    for dimension, coordinate in zip(order, coordinates, strict=True):
        if dimension < len(shape):
            index[dimension] += coordinate * block_size[dimension]
        else:
            index[blocked[dimension - len(shape)]] += coordinate
    dense = np.zeros(shape, values.dtype)
    dense[tuple(index)] = values[positions]
    return dense


def _indices(level: _Table, number: int) -> np.ndarray:
    table = level.table(number + 1)
    if table is None:
        return np.zeros(0, np.int64)
    return table.array(0, _INDEX_DTYPES[level.scalar(number, "B")]).astype(np.int64)
