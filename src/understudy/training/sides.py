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
from understudy.training.bank import build_bank, names_in_time, split_held_out
from understudy.training.batches import WHOLE, Share, Side
from understudy.training.options import TrainOptions, in_force
from understudy.training.paging import FacePart
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
) -> Side:
    """The faces called `name`, on the device or where there is room, maybe a file in `cache_dir`.

    Of a `share` that is one of several, those of this process.

    Raises:
        MaterialError: there are none, or they are too tight for the model.
    """
    options = in_force(options, config)
    trained, held_out = split_held_out(
        names_in_time(faces), share=options.held_out, seed=options.seed
    )
    if share.rank is not None:
        faces, trained, held_out = _part(faces, trained, held_out, share)
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
    )
    return Side(bank, trained, held_out)


def _part(
    faces: Sequence[FaceSample],
    trained: Int64[np.ndarray, " t"],
    held_out: Int64[np.ndarray, " h"],
    share: Share,
) -> tuple[Sequence[FaceSample], Int64[np.ndarray, " own"], Int64[np.ndarray, " aside"]]:
    """What one process of several holds; the first one also those kept aside, which it measures."""
    own = trained[share.rank :: share.of]
    aside = held_out if share.rank == 0 else held_out[:0]
    places = np.concatenate([own, aside])
    everything = np.arange(len(places), dtype=np.int64)
    return FacePart(faces, places), everything[: len(own)], everything[len(own) :]
