"""Training in one process or several: what the step leaves to the loop.

Facesets, a model folder and options in, the result of the run out.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.job import Job
from understudy.options import Options
from understudy.steps.together import Meeting, joined, share_out_threads, team_of
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.phases import Plan
from understudy.types import Report

if TYPE_CHECKING:  # names and options of steps are shown without torch
    from understudy.training.distributed.processes import Faces, Load
    from understudy.training.loop.result import TrainResult
    from understudy.training.samples.batches import Side
    from understudy.training.state.model_folder import ModelFolder

Open = Callable[[TrainOptions], "tuple[Faces, Faces]"]


def train_together(
    meeting: Meeting | None,
    options: Options,
    devices: str,
    *,
    folder: "ModelFolder",
    faces: "tuple[Faces, Faces]",
    training: TrainOptions,
    plan: Plan | None,
    job: Job,
) -> "TrainResult":
    """The result of a run on these devices, together with the processes of a meeting.

    Raises:
        UnderstudyError: what the loop raises, or a process is lost.
    """
    from understudy.models.devices import devices_of
    from understudy.training.distributed.processes import TeamTrainer
    from understudy.training.loop.trainer import train

    src, dst = faces
    names = devices_of(devices) if devices and meeting is None else []
    if len(names) == 1:
        training = training.model_copy(update={"device": names[0]})
    with team_of(meeting, "train", options, devices, device=training.device, job=job) as team:
        share_out_threads(training.threads, None if team is None else team.place)
        if team is None:
            return train(folder, src, dst=dst, options=training, job=job, plan=plan)
        trainer = TeamTrainer(folder, src, dst=dst, options=training, job=job, plan=plan, team=team)
        return trainer.run()


def help_to_train(devices: str, *, open_faces: Open, model_dir: Path, job: Job) -> Report:
    """The report of a further process of a run, which has nothing to tell.

    `open_faces` gives both facesets; what does not fit in memory is kept in `model_dir`, where that
    is there.

    Raises:
        UnderstudyError: something is wrong here, which the first process tells too.
    """
    from understudy.training.distributed.processes import Member, MemberJob, load_part

    with joined(devices, job) as team:
        if team is None:
            return Report("train")
        own_job = MemberJob(job, team.wire)
        cache_dir = model_dir if model_dir.is_dir() else None

        def load(said: "Load") -> "tuple[Side, Side]":
            share_out_threads(said.options.threads, team.place)
            faces = open_faces(said.options)
            return load_part(said, faces, team=team, job=own_job, cache_dir=cache_dir)

        Member(team, own_job, load).run()
    return Report("train")
