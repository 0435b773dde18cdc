"""Named tensors in a safetensors file, written in one pass that also gives its hash.

Tensors of any device and layout in, a file on disk out, and back. Written here rather than by the
library because a full disk must come as an error of the system, nothing may be held twice in
memory, and the hash must be that of the bytes that left. Source: the safetensors format's own page.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from understudy import files
from understudy.errors import StateError, from_os_error

_NAMES = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write(path: Path, tensors: Mapping[str, Tensor]) -> tuple[str, int]:
    """Hex SHA-256 and length of the new file at `path`, which is on disk when this returns.

    Raises:
        StorageError: it could not be written; what was begun is left to the caller to remove.
    """
    header = _header(tensors)
    digest = hashlib.sha256(header)
    length = len(header)
    try:
        with path.open("wb", buffering=0) as file:
            _write_all(file.fileno(), header)
            for tensor in tensors.values():
                if not tensor.numel():
                    continue
                flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
                data = flat.numpy().data
                digest.update(data)
                _write_all(file.fileno(), data)
                length += len(data)
        files.fsync(path)
    except OSError as error:
        raise from_os_error(error, path, doing="write") from error
    return digest.hexdigest(), length


def read(path: Path) -> dict[str, Tensor]:
    """Tensors of the file, on the CPU.

    Raises:
        StateError: it is no whole safetensors file.
        FileError: it can't be read.
    """
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise StateError(
            path,
            expected="a whole safetensors file",
            found=str(error),
            remedy="Take one of the model's backups.",
        ) from error
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error


def _header(tensors: Mapping[str, Tensor]) -> bytes:
    entries: dict[str, dict[str, object]] = {}
    offset = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        entries[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _write_all(handle: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view[: 1 << 26]) :]


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with `prefix`, by the rest of it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
