"""How long a run still takes: the nearer of its ends, at the given pace."""

import pytest

from understudy.training.options import TrainOptions
from understudy.training.pace import seconds_left
from understudy.training.train_state import TrainState


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
