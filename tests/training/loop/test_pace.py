"""How long a run still takes, when it saves, and how far it steps."""

import pytest
import torch

from understudy.training.loop.pace import SaveClock, learning_rate, seconds_left
from understudy.training.plan.options import TrainOptions
from understudy.training.state.train_state import TrainState


@pytest.fixture
def state(tiny_config, tiny_options) -> TrainState:
    from understudy.models import build

    made = TrainState(tiny_config, build(tiny_config, seed=0), tiny_options)
    made.iteration, made.seconds = 100, 300.0
    return made


@pytest.mark.parametrize(
    ("target", "minutes", "rate", "left"),
    [
        (200, 0.0, 4.0, 25.0),
        (200, 6.0, 4.0, 25.0),
        (200, 5.1, 4.0, 6.0),
        (0, 6.0, 4.0, 60.0),
        (200, 6.0, 0.0, 60.0),
        (200, 0.0, 0.0, None),
        (0, 0.0, 4.0, None),
        (50, 0.0, 4.0, 0.0),
        (0, 1.0, 4.0, 0.0),
    ],
)
def test_the_nearer_end_counts(state, target, minutes, rate, left) -> None:
    options = TrainOptions(target_iter=target, minutes=minutes)
    assert seconds_left(state, options, rate=rate) == (
        left if left is None else pytest.approx(left)
    )


def test_cheap_saves_come_often_and_dear_ones_when_they_must(
    state: TrainState, saves_as_they_are
) -> None:
    options = TrainOptions(save_minutes=10.0)
    clock = SaveClock(state.seconds)

    def due_after(seconds: float) -> bool:
        later = TrainState(state.config, state.model, seconds=clock.saved_at + seconds)
        return clock.is_due(later, options)

    assert (due_after(9.9), due_after(10.0)) == (False, True), "of the first save nothing is known"
    clock.saved(state, options, began=state.seconds - 0.3)
    assert (due_after(14.9), due_after(15.1)) == (False, True), "a fiftieth of the time"
    clock.saved(state, options, began=state.seconds - 60.0)
    assert (due_after(599.9), due_after(600.0)) == (False, True), "as the user wants it"


def test_saves_do_not_wear_a_disk_out(state: TrainState, saves_as_they_are) -> None:
    weights = sum(t.numel() * 4 for t in state.model.state_dict().values())
    assert state.num_bytes == weights
    state.optimizer = {"average/x": torch.zeros(50_000_000)}
    clock = SaveClock(0.0)
    clock.saved(state, TrainOptions(), began=state.seconds - 0.01)
    assert clock.every == pytest.approx((weights + 200e6) / 4e6)


def test_failures_count_until_training_went_well_for_a_while(state: TrainState) -> None:
    options = TrainOptions(save_minutes=1.0)
    clock = SaveClock(state.seconds)
    assert clock.failed(state) == 1
    state.seconds += 59.0
    clock.saved(state, options, began=state.seconds)
    assert clock.failed(state) == 2, "cheap saves are no proof of health"
    state.seconds += 60.0
    clock.saved(state, options, began=state.seconds)
    assert clock.failed(state) == 1


def test_the_rate_rises_first() -> None:
    options = TrainOptions(learning_rate=1e-3, lr_warmup=4, lr_fall=0.5)
    rates = [learning_rate(options, iteration=i, share=0.0) for i in range(5)]
    assert rates == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3])
    assert learning_rate(options, iteration=9, share=0.75) == pytest.approx(1e-3 * 0.1**0.5)
    assert learning_rate(options, iteration=9, share=1.0) == pytest.approx(1e-4)
