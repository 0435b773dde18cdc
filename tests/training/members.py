"""What further processes of a test do: a module that they can import by themselves."""

from pathlib import Path

import torch

from training.conftest import faces_of
from understudy.job import Job
from understudy.training.distributed import Spot, Team, TeamTrainer
from understudy.training.options import TrainOptions
from understudy.training.state import open_model


def sides() -> tuple:
    return faces_of(13), faces_of(12, first=100)


def member(spot: Spot, device: str, *, path: Path, options: TrainOptions) -> None:
    torch.set_num_threads(1)
    team = Team(spot, torch.device(device))
    src, dst = sides()
    job = Job("train", workers=1)
    TeamTrainer(open_model(path), src, dst=dst, options=options, job=job, team=team).run()
    team.close()


def leaving(spot: Spot, device: str) -> None:
    Team(spot, torch.device(device))
    raise SystemExit(7)
