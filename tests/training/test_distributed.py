"""Training in two processes: the losses and weights of one process with the whole batch."""

from functools import partial
from pathlib import Path

import pytest
import torch

from training.members import leaving, member, sides
from understudy.errors import OptionError, StateError
from understudy.job import Job
from understudy.models.config import ModelConfig
from understudy.training.batches import Share
from understudy.training.distributed import Team, TeamTrainer, others_started
from understudy.training.loop import Trainer
from understudy.training.options import TrainOptions
from understudy.training.state import create_model, open_model

CPU = torch.device("cpu")


class _Alone(Trainer):
    """One process that makes the batches of two."""

    _share = Share(None, 2)


def _in_two(path: Path, options: TrainOptions, job: Job) -> None:
    with others_started(["cpu", "cpu"], partial(member, path=path, options=options)) as spot:
        team = Team(spot, CPU)
        try:
            src, dst = sides()
            TeamTrainer(open_model(path), src, dst=dst, options=options, job=job, team=team).run()
        finally:
            team.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"eyes_mouth_prio": True, "uniform_yaw": True},
        {"gan_power": 0.1, "gan_dims": 4, "true_face_power": 0.1, "clipgrad": True},
    ],
)
def test_two_processes_train_as_one(
    tmp_path: Path, tiny_config: ModelConfig, tiny_options: TrainOptions, changes
) -> None:
    values = {"batch_size": 4, "target_iter": 6, **changes}
    options = tiny_options.model_copy(update=values)
    alone = create_model(tmp_path / "alone", tiny_config)
    src, dst = sides()
    _Alone(alone, src, dst=dst, options=options, job=Job("train", workers=1)).run()
    create_model(tmp_path / "both", tiny_config)
    # resumed once, as all have to go on from the same place
    _in_two(tmp_path / "both", options.model_copy(update={"target_iter": 2}), Job("train"))
    _in_two(tmp_path / "both", options, Job("train"))
    wanted, made = alone.load(pytest.fail), open_model(tmp_path / "both").load(pytest.fail)
    assert made.iteration == len(made.history) == 6
    assert list(made.history.src) == pytest.approx(list(wanted.history.src), rel=1e-4)
    assert list(made.history.dst) == pytest.approx(list(wanted.history.dst), rel=1e-4)
    assert len(set(made.history.src)) == 6
    assert made.history.measures


def test_a_batch_that_can_not_be_shared_out_is_refused(tmp_path, tiny_config, tiny_options) -> None:
    folder = create_model(tmp_path / "m", tiny_config)
    team = object.__new__(Team)
    team.rank, team.size = 0, 2
    options = tiny_options.model_copy(update={"batch_size": 3})
    with pytest.raises(OptionError, match=r"--batch-size.*multiple of 2.*Give 4"):
        TeamTrainer(folder, [], dst=[], options=options, job=Job("t"), team=team)


def test_a_process_that_ends_is_told() -> None:
    with (
        pytest.raises(StateError, match=r"process 2 of 2.*exit code 7"),
        others_started(["cpu", "cpu"], leaving) as spot,
    ):
        team = Team(spot, CPU)
        try:
            team.mean(torch.zeros(1))
            team.mean(torch.zeros(1))
        finally:
            team.close()
