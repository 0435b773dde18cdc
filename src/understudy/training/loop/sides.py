"""Faces of one side made ready for training: read into a bank, some kept aside.

Faces and options in, a `Side` out. Knows no model but its config.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64

from understudy.job import Job
from understudy.models.config import ModelConfig
from understudy.training.memory.preflight import Room
from understudy.training.plan.options import TrainOptions, in_force
from understudy.training.samples.bank import build_bank
from understudy.training.samples.batches import WHOLE, Share, Side
from understudy.training.samples.held_out import names_in_time, split_held_out
from understudy.types import FaceSample


def load_side(
    faces: Sequence[FaceSample],
    name: str,
    *,
    config: ModelConfig,
    options: TrainOptions,
    device: torch.device,
    job: Job,
    cache_dir: Path | None = None,
    share: Share = WHOLE,
    room: Room | None = None,
) -> Side:
    """The faces called `name`, on the device or where there is room, maybe a file in `cache_dir`.

    Of a `share` that is one of several, those this process holds; they take what `room` leaves.

    Raises:
        MaterialError: there are none, or they are too tight for the model.
    """
    options = in_force(options, config)
    trained, held_out = split_held_out(
        names_in_time(faces), share=options.held_out, seed=options.seed
    )
    bank = build_bank(
        faces,
        resolution=config.resolution,
        face_type=config.face_type,
        device=device,
        job=job,
        eyes_mouth=options.eyes_mouth_prio,
        parity=options.dfl_parity,
        side=name,
        workers=job.workers,
        cache_dir=cache_dir,
        device_bytes=None if room is None else room.device_bytes,
        host_bytes=None if room is None else room.host_bytes,
        held=_held(trained, held_out, share),
    )
    return Side(bank, trained, held_out)


def load_sides(
    faces: tuple[Sequence[FaceSample], Sequence[FaceSample]],
    *,
    config: ModelConfig,
    options: TrainOptions,
    device: torch.device,
    job: Job,
    cache_dir: Path,
    share: Share,
    room: Room,
) -> tuple[Side, Side]:
    """Both sides, src first, as `load_side` gives each."""
    src, dst = (
        load_side(
            some,
            name,
            config=config,
            options=options,
            device=device,
            job=job,
            cache_dir=cache_dir,
            share=share,
            room=room,
        )
        for some, name in zip(faces, ("src", "dst"), strict=True)
    )
    return src, dst


def _held(
    trained: Int64[np.ndarray, " t"], held_out: Int64[np.ndarray, " h"], share: Share
) -> Int64[np.ndarray, " own"] | None:
    """Which faces one process of several holds; None if it is the only one.

    The first one also holds those kept aside, which it measures.
    """
    if share.of == 1:
        return None
    own = trained[share.rank :: share.of]
    if share.rank:
        return own
    return np.concatenate([own, held_out])
