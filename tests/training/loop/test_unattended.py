"""Recipes in the loop: phases change by themselves and resume; settings change a running job."""

from pathlib import Path

import pytest
import torch

from understudy.errors import OptionError
from understudy.job import Event, Job
from understudy.training.loop.result import TrainResult
from understudy.training.loop.trainer import Trainer, train
from understudy.training.plan.phases import Phase, Plan
from understudy.training.state.model_folder import ModelFolder, create_model, open_model
from understudy.training.state.train_state import TrainState

PLAN = Plan(
    recipe="own",
    phases=(
        Phase(name="warped", options={"random_warp": True}, iterations=3),
        Phase(
            name="still",
            options={"random_warp": False, "lr_dropout": True, "eyes_mouth_prio": True},
            plateau=2,
            gain=1.0,
        ),
        Phase(name="GAN", options={"gan_power": 0.1, "gan_dims": 4}, iterations=2),
    ),
    measure_every=1,
)


class Unattended:
    """Runs a tiny model by a plan, and keeps what was said."""

    def __init__(self, root: Path, config, options, make_faces) -> None:
        self.root, self.config, self.options, self.make = root, config, options, make_faces
        self.events: list[Event] = []
        self.job = Job("train", sinks=[self.events.append], workers=1)

    def __call__(
        self, name: str = "m", *, plan: Plan | None = PLAN, **options
    ) -> tuple[TrainResult, ModelFolder]:
        result = train(
            create_model(self.root / name, self.config),
            self.make(12),
            dst=self.make(12, first=100),
            options=self.options.model_copy(update=options),
            job=self.job,
            plan=plan,
        )
        return result, open_model(self.root / name)

    def texts(self) -> list[str]:
        return [e.data["text"] for e in self.events if e.kind == "message"]


@pytest.fixture
def unattended(tmp_path: Path, tiny_config, tiny_options, make_faces) -> Unattended:
    return Unattended(tmp_path, tiny_config, tiny_options, make_faces)


def _state(folder: ModelFolder) -> tuple[dict[str, torch.Tensor], TrainState]:
    state = folder.load(pytest.fail)
    return {**state.model.state_dict(), **state.optimizer, **state.adversaries}, state


def test_phases_follow_each_other_to_the_end(unattended) -> None:
    result, folder = unattended()
    assert result.reason == "all phases of recipe own are done"
    plan = folder.load(pytest.fail).plan
    assert plan is not None
    assert plan.is_over
    # the first measure of the plateau counts as its best, as nothing was seen before it
    assert [end.name for end in plan.ended] == ["warped", "still", "GAN"]
    assert plan.ended[0].iteration == 3
    assert result.iteration == plan.ended[1].iteration + 2
    told = "\n".join(unattended.texts())
    assert "recipe own: warped (3 iterations), still (plateau of 2), GAN (2 iterations)" in told
    assert "phase warped ended at iteration 3: 3 iterations are done; now still" in told
    assert "grew no better than" in told
    adversaries = folder.load(pytest.fail).adversaries
    assert int(adversaries["GAN/iteration"]) == 2


@pytest.mark.parametrize("cut", [2, 3, 4, 6])
def test_a_plan_that_is_resumed_equals_the_unbroken_one(unattended, cut: int) -> None:
    _, folder = unattended("whole")
    unattended("parts", target_iter=cut)
    _, parts = unattended("parts", plan=None)
    (whole, state), (broken, resumed) = _state(folder), _state(parts)
    assert set(whole) == set(broken)
    for name, tensor in whole.items():
        assert torch.equal(tensor, broken[name]), name
    assert list(state.history.src) == list(resumed.history.src)
    assert list(state.history.dst) == list(resumed.history.dst)
    clockless = {"began_seconds": 0.0}
    assert state.plan.model_copy(update=clockless) == resumed.plan.model_copy(update=clockless)


def test_a_limited_run_goes_through_all_phases(unattended) -> None:
    phases = tuple(
        phase.model_copy(update={"iterations": 20, "plateau": 0}) for phase in PLAN.phases
    )
    result, folder = unattended(plan=PLAN.model_copy(update={"phases": phases}), target_iter=9)
    assert result.iteration == 9
    ended = folder.load(pytest.fail).plan.ended
    assert [(end.name, end.iteration) for end in ended] == [("warped", 3), ("still", 6), ("GAN", 9)]


def test_another_plan_begins_where_the_model_is(unattended) -> None:
    unattended(plan=None, target_iter=2)
    plan = Plan(recipe="short", phases=(Phase(name="last", iterations=2),))
    result, folder = unattended(plan=plan)
    assert result.iteration == 4
    assert [e.iteration for e in folder.load(pytest.fail).plan.ended] == [4]


def test_a_plateau_needs_faces_kept_aside(unattended) -> None:
    with pytest.raises(OptionError, match=r"held-out.*none"):
        unattended(held_out=0.0)


def test_a_setting_holds_from_the_next_iteration_on_and_is_saved(unattended, monkeypatch) -> None:
    sizes = []
    original = Trainer._batch

    def batch(self):
        if self.state.iteration == 1:
            self._job.ask({"command": "set", "key": "batch-size", "value": "3"})
            self._job.ask({"command": "set", "key": "resolution", "value": 64})
        made = original(self)
        sizes.append((len(made.src.target), self.state.plan.phase.name))
        return made

    monkeypatch.setattr(Trainer, "_batch", batch)
    _, folder = unattended(target_iter=4)
    assert sizes == [(2, "warped"), (2, "warped"), (3, "warped"), (3, "still")]
    state = folder.load(pytest.fail)
    assert state.options.batch_size == 3
    assert state.plan.settings == {"batch_size": 3}
    told = "\n".join(unattended.texts())
    assert "batch_size is 3 from iteration 3 on" in told
    assert "resolution, which fixes the shape of the weights" in told
