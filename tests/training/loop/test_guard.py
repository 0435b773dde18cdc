"""Faults put into a run: each is seen, rolled back and told, or ends the run with its reason."""

import math
from collections.abc import Callable

import pytest
import torch

from training.loop.test_unattended import Unattended
from understudy.errors import StateError
from understudy.training.loop.trainer import Trainer
from understudy.training.monitor.health import Health, Unhealthy, cure
from understudy.training.plan.options import TrainOptions


@pytest.fixture
def unattended(tmp_path, tiny_config, tiny_options, make_faces) -> Unattended:
    return Unattended(tmp_path, tiny_config, tiny_options, make_faces)


def _nan(tensor: torch.Tensor) -> None:
    tensor.fill_(math.nan)


def _noise(tensor: torch.Tensor) -> None:
    tensor.normal_(0, 5, generator=torch.Generator().manual_seed(tensor.numel()))


def _break_weights(
    monkeypatch, *, at: int, how: Callable[[torch.Tensor], None], times: int = 1
) -> None:
    original = Trainer._iterate
    left = [times]

    def iterate(self) -> None:
        original(self)
        if self.state.iteration >= at and left[0]:
            left[0] -= 1
            with torch.no_grad():
                tensors = [*self.state.model.parameters(), *self._step.optimizer.averaged.values()]
                for tensor in tensors:
                    how(tensor)
                self._step.refresh()

    monkeypatch.setattr(Trainer, "_iterate", iterate)


def test_weights_that_are_no_numbers_are_rolled_back_and_never_saved(
    unattended, monkeypatch
) -> None:
    _break_weights(monkeypatch, at=3, how=_nan)
    result, folder = unattended(plan=None, target_iter=6)
    assert result.iteration == 6
    state = folder.load(pytest.fail)
    assert all(bool(torch.isfinite(p).all()) for p in state.model.parameters())
    assert state.options.clipgrad
    told = "\n".join(unattended.texts())
    assert "nan" in told
    assert "back to iteration 1" in told
    assert "clipgrad is True from now on" in told


@pytest.mark.parametrize("slot", ["averaged", "second moment", "discriminator"])
def test_a_broken_memory_is_rolled_back_and_never_saved(slot: str, unattended, monkeypatch) -> None:
    original = Trainer._iterate
    left = [1]

    def iterate(self) -> None:
        if self.state.iteration == 3 and left[0]:
            left[0] -= 1
            optimizer = self._step.optimizer
            broken = {
                "averaged": lambda: optimizer.averaged["inter.dense1.weight"],
                "second moment": lambda: optimizer.slots["v"]["inter.dense1.weight"],
                "discriminator": lambda: next(
                    tensor
                    for key, tensor in self._step.adversaries.members["GAN"].state_tensors().items()
                    if key.startswith("optimizer/v/")
                ),
            }
            broken[slot]().view(-1)[0] = math.inf
        original(self)

    monkeypatch.setattr(Trainer, "_iterate", iterate)
    result, folder = unattended(plan=None, target_iter=6, gan_power=0.1, gan_dims=4, ema=0.9)
    assert result.iteration == 6
    told = "\n".join(unattended.texts())
    assert "is not a number" in told
    assert "back to iteration 1" in told
    state = folder.load(pytest.fail)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state.tensors())


def test_a_collapse_is_rolled_back(unattended, monkeypatch) -> None:
    monkeypatch.setattr("understudy.training.monitor.health.YOUNG_ITERATIONS", 1)
    values = {"learning_rate": 1e-3, "clipgrad": True, "ema": 0.0}
    unattended(plan=None, target_iter=150, **values)  # until faces are plainly likened
    _break_weights(monkeypatch, at=152, how=_noise)
    result, folder = unattended(plan=None, target_iter=152, **values)
    assert result.iteration == 152
    told = "\n".join(unattended.texts())
    assert "SSIM fell to" in told
    assert "learning_rate is 0.0005 from now on" in told
    state = folder.load(pytest.fail)
    assert all(float(p.detach().abs().max()) < 3 for p in state.model.parameters())


def test_what_stays_broken_ends_the_run_with_its_reason(unattended, monkeypatch) -> None:
    _break_weights(monkeypatch, at=2, how=_nan, times=100)
    with pytest.raises(StateError, match=r"nan.*4 times in a row"):
        unattended(plan=None, target_iter=6)


def test_without_the_guard_nothing_is_rolled_back(unattended, monkeypatch) -> None:
    _break_weights(monkeypatch, at=3, how=_nan)
    result, folder = unattended(plan=None, target_iter=5, guard=False)
    assert math.isnan(result.losses["src"])
    assert folder.load(pytest.fail).attempt == 0


def test_a_loss_far_above_the_last_ones_is_an_explosion() -> None:
    health = Health()
    for iteration in range(50):
        health.check_losses(1.0, 1.0, iteration=iteration)
    health.check_losses(5.0, 1.0, iteration=50)
    with pytest.raises(Unhealthy, match="gradient exploded: the dst loss at iteration 51"):
        health.check_losses(1.0, 50.0, iteration=51)
    health.forget_losses()
    health.check_losses(1.0, 50.0, iteration=52)


def test_gradients_are_clipped_first_then_the_step_is_halved() -> None:
    options = TrainOptions(learning_rate=1e-3)
    assert cure(options) == {"clipgrad": True}
    assert cure(options.model_copy(update={"clipgrad": True})) == {"learning_rate": 5e-4}
