"""Our writer against the library's reader, and files that are no tensor files."""

import hashlib
from pathlib import Path

import pytest
import safetensors.torch
import torch

from understudy.errors import FileError, StateError
from understudy.training.state import tensor_file


def _tensors() -> dict[str, torch.Tensor]:
    return {
        "a/weight": torch.rand(3, 4, 5, 6).to(memory_format=torch.channels_last),
        "half": torch.rand(7).bfloat16(),
        "count": torch.tensor(9),
        "none": torch.empty(0, 3),
        "part": torch.rand(4, 4).T,
    }


def test_the_library_reads_what_we_write(tmp_path: Path) -> None:
    path, tensors = tmp_path / "t.safetensors", _tensors()
    digest, length = tensor_file.write(path, tensors)
    data = path.read_bytes()
    assert (digest, length) == (hashlib.sha256(data).hexdigest(), len(data))
    for read in (safetensors.torch.load_file(path), tensor_file.read(path)):
        assert set(read) == set(tensors)
        for name, tensor in tensors.items():
            assert torch.equal(read[name], tensor)
            assert read[name].dtype == tensor.dtype


@pytest.mark.parametrize("data", [b"", b"\xff" * 64, (2**40).to_bytes(8, "little") + b"{}"])
def test_hostile_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(StateError, match=r"bad\.safetensors"):
        tensor_file.read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="gone"):
        tensor_file.read(tmp_path / "gone")
