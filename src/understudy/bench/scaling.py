"""Samples a second of one process and of several together, each with the same part of a batch.

The processes are met already; the first one measures. Noise for faces, as for one process.
"""

import time
from typing import Any  # JSON values

import torch

from understudy.bench.train import WARM_UP, bench_steps, noise
from understudy.job import Job
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.face_model import as_face_model
from understudy.training.distributed.processes import Lead, Load, Member, sums
from understudy.training.distributed.team import Team
from understudy.training.distributed.wire import FirstEnd, OtherEnd
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.batches import BatchSource, Side
from understudy.training.step.face_step import TrainStep
from understudy.training.step.stopwatch import Stopwatch


def bench_alone(
    config: ModelConfig, options: TrainOptions, device: torch.device, *, iterations: int
) -> dict[str, Any]:
    """One process on its own."""
    step = TrainStep(as_face_model(build(config)), options, device=device)
    return bench_steps(step, step.dtype, config, options, device, iterations=iterations, repeats=1)


def bench_team(
    team: Team[FirstEnd], config: ModelConfig, options: TrainOptions, *, iterations: int
) -> dict[str, Any]:
    """All processes together; `options` tell the batch they share."""
    lead = Lead(team)
    lead.load(config, options, ("noise", "noise"))
    sides = _sides(config, team)
    team.wire.wait_ready(lambda: None)
    step = TrainStep(as_face_model(build(config)), options, device=team.device)
    lead.hand_over(step, options)
    source = BatchSource(*sides, config, options, share=team.share)
    step.stopwatch = watch = Stopwatch(team.device)

    def run(first: int, count: int) -> float:
        """Seconds of so many iterations."""
        start = time.perf_counter()
        for number in range(first, first + count):
            lead.iterate(step, number)
            watch.start()
            batch = source.batch(number)
            watch.lap("bank")
            losses = sums(team, step(batch))
        float(losses[0])
        return time.perf_counter() - start

    run(0, WARM_UP)
    before = watch.seconds()
    seconds = run(WARM_UP, iterations)
    spent = {name: s - before.get(name, 0.0) for name, s in watch.seconds().items()}
    whole = sum(spent.values())
    return {
        "rate_per_second": round(iterations / seconds, 3),
        "share_of": {name: round(s / whole, 4) for name, s in spent.items()},
    }


def help_to_bench(team: Team[OtherEnd], job: Job) -> None:
    """What a further process does meanwhile."""

    def load(said: Load) -> tuple[Side, Side]:
        return _sides(said.config, team)

    Member(team, job, load).run()


def told_of_scaling(
    alone: dict[str, Any], together: dict[str, Any], *, batch_size: int, num_processes: int
) -> dict[str, Any]:
    """Both as one row: samples a second, and how much of its own rate a further process adds."""
    one = batch_size * float(alone["rate_per_second"])
    several = batch_size * num_processes * float(together["rate_per_second"])
    return alone | {
        "bench": "scaling",
        "processes": num_processes,
        "samples_per_second_of_one": round(one, 2),
        "samples_per_second": round(several, 2),
        "efficiency": round(several / one / num_processes, 3),
        "share_of": together["share_of"],
    }


def _sides(config: ModelConfig, team: "Team[FirstEnd] | Team[OtherEnd]") -> tuple[Side, Side]:
    src, dst = (noise(config, team.device, seed, share=team.share) for seed in (0, 1))
    return src, dst
