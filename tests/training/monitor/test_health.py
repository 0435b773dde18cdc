"""Measures against their definition, and what counts as ill."""

import math

import numpy as np
import pytest
import torch

from understudy.training.monitor.health import Health, Unhealthy, likeness


def test_a_face_is_like_itself() -> None:
    face, mask = torch.rand(2, 3, 24, 24), torch.ones(2, 1, 24, 24)
    ssim, psnr = likeness(face, face, mask)
    assert ssim == pytest.approx(1, abs=1e-4)
    assert psnr == pytest.approx(100)


def test_psnr_counts_inside_the_mask_only() -> None:
    face, mask = torch.full((1, 3, 24, 24), 0.5), torch.zeros(1, 1, 24, 24)
    mask[..., :12] = 1
    made = face.clone()
    made[..., :12] += 0.1
    made[..., 12:] = 0
    assert likeness(made, face, mask)[1] == pytest.approx(20, abs=1e-3)


def test_ssim_equals_its_definition_at_one_place() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.random((2, 7, 7))
    line = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    mean_a, mean_b = (window * a).sum(), (window * b).sum()
    var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
    both = (window * (a - mean_a) * (b - mean_b)).sum()
    wanted = (2 * mean_a * mean_b + 1e-4) * (2 * both + 9e-4)
    wanted /= (mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)
    pictures = [torch.tensor(x, dtype=torch.float32).expand(1, 3, 7, 7) for x in (a, b)]
    assert likeness(*pictures, torch.ones(1, 1, 7, 7))[0] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_ill(value: float) -> None:
    Health().check_losses(1.0, 2.0, iteration=1)
    with pytest.raises(Unhealthy, match="iteration 7"):
        Health().check_losses(1.0, value, iteration=7)


def test_a_weight_that_is_no_number_is_ill() -> None:
    Health().check_weights([torch.ones(3), torch.zeros(2, dtype=torch.int64)])
    with pytest.raises(Unhealthy, match="weight"):
        Health().check_weights([torch.ones(3), torch.tensor([1.0, math.nan])])


def test_a_collapse_has_to_last() -> None:
    health = Health()
    health.check_likeness({"src SSIM": 0.99}, iteration=1)
    for value in (0.5, 0.8, 0.4, 0.79, 0.5):
        health.check_likeness({"src SSIM": value}, iteration=500)
    with pytest.raises(Unhealthy, match=r"src SSIM fell to 0\.500 from 0\.800"):
        health.check_likeness({"src SSIM": 0.5}, iteration=600)
