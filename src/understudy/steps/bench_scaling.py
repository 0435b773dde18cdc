"""How training scales over devices: one process on its own, then all of them together."""

from typing import Any  # JSON values

from understudy.errors import OptionError
from understudy.job import Job
from understudy.models.config import ModelConfig
from understudy.options import Options
from understudy.steps.together import called_together, first_of, joined, share_out_threads, team_of
from understudy.training.plan.options import TrainOptions


def measure_scaling(
    config: ModelConfig,
    training: TrainOptions,
    options: Options,
    devices: str,
    *,
    iterations: int,
    job: Job,
) -> dict[str, Any]:
    """Samples a second of one process and of all, each with the same part of a batch.

    Raises:
        OptionError: there is only one.
        StateError: one of them is lost.
    """
    from understudy.bench.scaling import bench_alone, bench_team, told_of_scaling

    with called_together() as meeting:
        place, device = first_of(meeting, devices, training.device)
        if place.size < 2:
            raise OptionError(
                "--devices",
                expected="two or more",
                found=repr(devices),
                remedy='Name them, such as "0,1" or "cpu,cpu", or start by torchrun.',
            )
        share_out_threads(training.threads, place)
        alone = bench_alone(config, training, device, iterations=iterations)
        whole = training.model_copy(update={"batch_size": training.batch_size * place.size})
        with team_of(meeting, "bench", options, devices, device=training.device, job=job) as team:
            if team is None:
                raise ValueError("several places and no team")
            made = bench_team(team, config, whole, iterations=iterations)
    return told_of_scaling(alone, made, batch_size=training.batch_size, num_processes=place.size)


def help_to_scale(devices: str, *, threads: int, job: Job) -> None:
    """What a further process does meanwhile."""
    from understudy.bench.scaling import help_to_bench

    with joined(devices, job) as team:
        if team is not None:
            share_out_threads(threads, team.place)
            help_to_bench(team, job)
