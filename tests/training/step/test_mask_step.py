from pathlib import Path

import numpy as np
import pytest
import torch

from model_goldens import faces, golden_model, open_golden, weights_of
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.dfl_weights import dump_network
from understudy.models.mask_net import as_mask_model
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.mask_batches import MaskBatch
from understudy.training.step.mask_step import MaskStep

PLAIN = TrainOptions(
    learning_rate=1e-4, adabelief=False, precision="fp32", device="cpu", threads=1, ema=0
)


@pytest.mark.parametrize("name", ["xseg_train", "xseg_pretrain"])
def test_training_is_the_golden_one(shared: Path, name: str) -> None:
    golden = open_golden(shared, name)
    model = as_mask_model(golden_model(golden, "XSeg", {}))
    options = PLAIN.model_copy(update={"pretrain": bool(golden["pretrain"])})
    step = MaskStep(model, options)
    names = list(weights_of(golden))
    for number, wanted in enumerate(golden["losses"]):
        batch = MaskBatch(faces(golden["in_img_u8"][number]), faces(golden["in_mask_u8"][number]))
        loss = step(batch).mask
        np.testing.assert_allclose(loss.numpy(), wanted, atol=1e-4)
        arrays = dump_network(model.XSeg)
        found = np.array(
            [np.abs(arrays[n.removeprefix("XSeg/")].astype(np.float64)).sum() for n in names]
        )
        # RMSprop's first steps are nearly of the gradient's sign: tiny gradients may turn
        np.testing.assert_allclose(found, golden["stats"][number + 1, :, 2], rtol=2e-3, atol=2e-3)


def tiny(seed: int = 0) -> MaskStep:
    config = ModelConfig(kind="XSeg", resolution=64, base_dims=2)
    options = PLAIN.model_copy(update={"learning_rate": 1e-3, "adabelief": True})
    return MaskStep(as_mask_model(build(config, seed=seed)), options)


def squares() -> MaskBatch:
    pictures = 0.2 * torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    target = torch.zeros(4, 1, 64, 64)
    for k in range(4):
        pictures[k, :, 8 + 4 * k : 40 + 4 * k, 16:48] += 0.7
        target[k, :, 8 + 4 * k : 40 + 4 * k, 16:48] = 1
    return MaskBatch(pictures, target)


def test_it_learns_what_is_the_face() -> None:
    torch.set_num_threads(1)
    step, batch = tiny(), squares()
    first = float(step(batch).mask.mean())
    for _ in range(60):
        last = float(step(batch).mask.mean())
    assert last < 0.5 * first
    with torch.no_grad():
        painted = step.model.paint(batch.faces) >= 0.5
    assert ((painted == (batch.target > 0)).float().mean()) > 0.9


def test_the_same_seed_learns_the_same() -> None:
    torch.set_num_threads(1)
    steps = tiny(), tiny()
    for _ in range(3):
        one, other = (step(squares()).mask for step in steps)
        assert torch.equal(one, other)


def test_half_precision_learns_too() -> None:
    torch.set_num_threads(1)
    config = ModelConfig(kind="XSeg", resolution=64, base_dims=2)
    options = PLAIN.model_copy(
        update={"learning_rate": 1e-3, "adabelief": True, "precision": "bf16"}
    )
    step, batch = MaskStep(as_mask_model(build(config)), options), squares()
    losses = [float(step(batch).mask.mean()) for _ in range(30)]
    assert losses[-1] < 0.8 * losses[0]
    assert all(p.dtype == torch.float32 for p in step.model.parameters())


def test_a_batch_in_parts_learns_the_same() -> None:
    torch.set_num_threads(1)
    whole, parted = tiny(), tiny()
    parted.portions.at_once = 1
    for _ in range(3):
        one, other = (step(squares()).mask for step in (whole, parted))
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
