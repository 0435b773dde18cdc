from pathlib import Path

import numpy as np
import pytest
import torch

from model_goldens import faces, open_golden
from understudy.models.style import (
    background_style_loss,
    looks_made,
    looks_real,
    outside_loss,
    style_loss,
    total_variation,
)


@pytest.mark.parametrize("resolution", [64, 128])
def test_style_equals_golden(shared: Path, resolution: int) -> None:
    golden = open_golden(shared, "ops_losses")
    a, b, mask = (faces(golden[f"{name}{resolution}_u8"]) for name in "abm")
    blur = resolution // 8
    masked = style_loss(a * mask, b * mask, blur=blur, weight=1000.0)
    # relative, as the README's own check has it: a weight of a thousand is on it
    np.testing.assert_allclose(masked, golden[f"style_{resolution}_r{blur}_w1000"], rtol=1e-5)
    plain = style_loss(a, b, blur=0, weight=1.0)
    np.testing.assert_allclose(plain, golden[f"style_{resolution}_r0_w1"], rtol=1e-4)


@pytest.mark.parametrize("resolution", [64, 128])
def test_total_variation_equals_golden(shared: Path, resolution: int) -> None:
    golden = open_golden(shared, "ops_losses")
    a = faces(golden[f"a{resolution}_u8"])
    # sums of up to a million squares
    np.testing.assert_allclose(total_variation(a), golden[f"tvmse_nhwc_{resolution}"], rtol=1e-5)
    along_channels = total_variation(a, parity=True)
    np.testing.assert_allclose(along_channels, golden[f"tvmse_nchw_{resolution}"], rtol=1e-5)


def test_the_backgrounds_style_looks_outside_only() -> None:
    dst = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    outside = torch.zeros(2, 1, 64, 64)
    outside[..., :20] = 1
    other_inside = torch.where(outside > 0, dst, 1 - dst)
    same = background_style_loss(other_inside, dst, outside=outside, power=10.0)
    np.testing.assert_allclose(same, 0, atol=1e-5)
    other = background_style_loss(1 - dst, dst, outside=outside, power=10.0)
    assert (other > 0.01).all()
    np.testing.assert_allclose(outside_loss(other_inside, dst, inside=1 - outside), 0, atol=1e-6)


def test_what_is_certain_costs_nothing() -> None:
    real, made = torch.full((2, 1, 3, 3), 30.0), torch.full((2, 1, 5, 5), -30.0)
    np.testing.assert_allclose(looks_real([real]), 0, atol=1e-6)
    np.testing.assert_allclose(looks_made([made]), 0, atol=1e-6)
    np.testing.assert_allclose(looks_real([made, made]), 60, rtol=1e-5)
    unsure = torch.zeros(1, 1, 2, 2)
    np.testing.assert_allclose(looks_real([unsure]), np.log(2), rtol=1e-5)
