from pathlib import Path

import numpy as np
import pytest
import torch

from model_goldens import arrays, faces, open_golden
from understudy.models import losses
from understudy.models.losses import Target, dssim, gaussian_blur, reconstruction_loss


@pytest.mark.parametrize("resolution", [64, 128])
def test_dssim_equals_golden(shared: Path, resolution: int) -> None:
    golden = open_golden(shared, "ops_losses")
    a, b = faces(golden[f"a{resolution}_u8"]), faces(golden[f"b{resolution}_u8"])
    keys = [key for key in golden.files if key.startswith(f"dssim_{resolution}_fs")]
    assert len(keys) >= 5
    for key in keys:
        found = dssim(a, b, window=int(key.rpartition("fs")[2])).numpy()
        # channels are BGR there; variances are differences of near numbers, hence 1e-4
        np.testing.assert_allclose(found[:, ::-1], golden[key], atol=1e-4, err_msg=key)


@pytest.mark.parametrize("resolution", [64, 128])
def test_blur_equals_golden(shared: Path, resolution: int) -> None:
    golden = open_golden(shared, "ops_losses")
    mask = faces(golden[f"m{resolution}_u8"])
    keys = [key for key in golden.files if key.startswith(f"gblur_{resolution}_r")]
    assert len(keys) >= 5
    for key in keys:
        found = gaussian_blur(mask, float(key.rpartition("_r")[2]))
        np.testing.assert_allclose(arrays(found), golden[key], atol=1e-5, err_msg=key)
    colored = gaussian_blur(faces(golden[f"a{resolution}_u8"])[:1], 2.0)
    np.testing.assert_allclose(arrays(colored), golden[f"gblur3_{resolution}_r2"], atol=1e-5)


def test_gradient_of_dssim_is_that_of_its_formula() -> None:
    generator = torch.Generator().manual_seed(1)
    a = torch.rand(2, 3, 14, 14, dtype=torch.float64, generator=generator)
    b = torch.rand(2, 3, 14, 14, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda b: dssim(a, b, window=5), b)


def test_dssim_refuses_a_target_that_wants_a_gradient() -> None:
    a = torch.rand(1, 3, 14, 14).requires_grad_()
    with pytest.raises(ValueError, match="target"):
        dssim(a, torch.rand(1, 3, 14, 14), window=5)


def test_both_ways_to_filter_agree() -> None:
    # the way accelerators take, written out with the same bands
    x = torch.rand(2, 3, 20, 24, generator=torch.Generator().manual_seed(2))
    window = losses._window(5, 1.5, 2.0)
    rows, columns = (losses._band(size, window, x.device) for size in (20, 24))
    np.testing.assert_allclose(losses._gather(x, window), rows.T @ x @ columns, atol=1e-6)
    small = losses._gather(x, window)
    np.testing.assert_allclose(losses._scatter(small, window), rows @ small @ columns.T, atol=1e-6)


def test_a_perfect_face_has_no_loss_and_the_mask_hides_what_is_outside() -> None:
    face = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    mask = torch.zeros(2, 1, 64, 64)
    mask[..., 16:48, 16:48] = 1
    target = Target(face, mask, losses.soft_mask(mask), None)
    elsewhere = torch.where(losses.soft_mask(mask) > 0, face, 1 - face)
    np.testing.assert_allclose(reconstruction_loss(face, mask, target), 0, atol=1e-4)
    np.testing.assert_allclose(reconstruction_loss(elsewhere, mask, target), 0, atol=1e-4)
    whole = target._replace(weight=None)
    assert (reconstruction_loss(elsewhere, mask, whole) > 0.1).all()
