"""DFL's enhancer takes the weights DFL's file holds, and works on pictures of any size."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.models.dfl_weights import dump_network, load_network
from understudy.models.face_enhancer import FaceEnhancer, doubled, enhance_picture


@pytest.fixture(scope="module")
def network() -> FaceEnhancer:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return FaceEnhancer().eval()


def test_names_and_shapes_are_those_of_the_file(network: FaceEnhancer, shared: Path) -> None:
    listing = json.loads((shared / "golden" / "models" / "weight_names.json").read_text())
    listed = listing["FaceEnhancer.npy"]
    arrays = dump_network(network)
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    assert shapes == {name: list(shape) for name, shape in listed["file_keys_and_shapes"]}
    assert sum(array.size for array in arrays.values()) == listed["params"]
    again = FaceEnhancer()
    load_network(again, arrays)
    assert all(torch.equal(a, b) for a, b in
               zip(network.parameters(), again.parameters(), strict=True))  # fmt: skip


def test_doubled_keeps_every_second_pixel() -> None:
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    y = doubled(x)
    assert y.shape == (1, 1, 6, 8)
    assert torch.equal(y[..., ::2, ::2], x)
    assert y[0, 0, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]
    assert y[0, 0, 1, 0] == 2
    assert torch.equal(y[0, 0, 5], y[0, 0, 4])


def test_without_detail_the_picture_stays() -> None:
    """A network whose outputs are all 0 gives the picture back, through patches that overlap."""
    silent = FaceEnhancer().eval()
    with torch.no_grad():
        for name, parameter in silent.named_parameters():
            if name.startswith("out"):
                parameter.zero_()
    ramp = np.linspace(0.1, 0.9, 50, dtype=np.float32)
    picture = np.stack([np.tile(ramp, (20, 1))] * 3, axis=2)
    picture[..., 1] = 0.25
    same = enhance_picture(silent, picture, patch=32)
    assert same.shape == picture.shape
    # Doubling keeps the first of each four pixels, whose middle is 3/8 of a pixel further on.
    slope = ramp[1] - ramp[0]
    assert np.abs(same - picture).max() < 0.4 * slope
    assert np.abs(same - picture)[..., 1].max() < 1e-6


def test_detail_is_added(network: FaceEnhancer) -> None:
    picture = np.random.default_rng(0).random((40, 48, 3), np.float32)
    finer = enhance_picture(network, picture, patch=32)
    assert finer.shape == picture.shape
    assert 0 <= finer.min() <= finer.max() <= 1
    assert np.array_equal(finer, enhance_picture(network, picture, patch=32))
