"""Single layers against what DFL's own gave."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from model_goldens import open_golden, weight
from understudy.models.blocks import Conv2d, depth_to_space, pixel_norm
from understudy.models.dfl_weights import load_network
from understudy.models.discriminators import UpConv2d

LAYERS = {
    "conv5s2": ("c", lambda: Conv2d(5, 3, kernel=5, stride=2)),
    "conv4s2": ("c4", lambda: Conv2d(5, 3, kernel=4, stride=2)),
    "convT3s2": ("t", lambda: UpConv2d(5, 3, stride=2)),
    "convT3s1": ("t1", lambda: UpConv2d(5, 3, stride=1)),
}


def planes(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))


def plain(tensor: torch.Tensor) -> np.ndarray:
    """NHWC in the tensor's own order of channels, which are no colours here."""
    return np.ascontiguousarray(tensor.detach().permute(0, 2, 3, 1).numpy())


def rule_weights(golden: Any, layer: str) -> dict[str, np.ndarray]:
    listed = json.loads(str(golden["layer_weight_names"]))
    own = [(name, shape) for name, shape in listed if name.startswith(f"T/{layer}/")]
    return {name.removeprefix(f"T/{layer}/"): weight(name, shape) for name, shape in own}


@pytest.mark.parametrize("name", LAYERS)
def test_convolutions_equal_golden(shared: Path, name: str) -> None:
    golden = open_golden(shared, "ops_losses")
    prefix, make = LAYERS[name]
    holder = nn.Sequential()
    holder.add_module("layer", make())
    weights = rule_weights(golden, prefix)
    load_network(holder, {f"layer/{key}": array for key, array in weights.items()})
    made = plain(holder(planes(golden["bp_in"])))
    np.testing.assert_allclose(made, golden[name], atol=1e-5)


def test_shuffles_and_norms_equal_golden(shared: Path) -> None:
    golden = open_golden(shared, "ops_losses")
    wanted = golden["d2s_out_nhwc"]
    assert np.array_equal(plain(depth_to_space(planes(golden["d2s_in_nhwc"]))), wanted)
    last = planes(golden["d2s_in_nhwc"]).contiguous(memory_format=torch.channels_last)
    assert np.array_equal(plain(depth_to_space(last)), wanted)
    assert np.array_equal(planes(golden["flat_in_nhwc"]).flatten(1), golden["flat_out"])
    vector = torch.arange(24, dtype=torch.float32).view(1, 4, 2, 3)  # c h w
    assert np.array_equal(plain(vector), golden["reshape4d_out"])
    normed = pixel_norm(torch.from_numpy(golden["pn_in"]))
    np.testing.assert_allclose(normed, golden["pixel_norm"], atol=1e-6)
