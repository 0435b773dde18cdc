"""Cost of one training sample: a 512-pixel face picture made what the network sees.

Faces are written as files, read into the bank once, and drawn from it in batches: what goes in,
the target, the mask, and the mask of eyes and mouth. Reading a face is told apart, since it is done
once and not for every sample.
"""

import tempfile
from pathlib import Path
from typing import Any  # JSON values

import numpy as np
import torch

from understudy.bench.record import measured
from understudy.bench.sort import source_faces
from understudy.facesets.dfl import write_face
from understudy.facesets.faceset import Faceset
from understudy.job import Job
from understudy.models.config import ModelConfig
from understudy.models.devices import choose_device
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.bank import SampleBank, build_bank
from understudy.training.samples.batches import BatchSource, Side
from understudy.types import FaceType

_PICTURE_PX = 512


def bench_sample(
    clip: Path, options: TrainOptions, *, resolution: int, batches: int, repeats: int
) -> dict[str, Any]:
    """One measurement of samples of whole faces, the best of `repeats`."""
    device = choose_device(options.device)
    config = ModelConfig(resolution=resolution, face_type=FaceType.WHOLE)
    options = options.model_copy(update={"eyes_mouth_prio": True})
    settings = {
        "picture_px": _PICTURE_PX,
        "resolution": resolution,
        "batch_size": options.batch_size,
        "ct_mode": options.ct_mode,
        "device": str(device),
        "threads": torch.get_num_threads(),
    }
    with tempfile.TemporaryDirectory() as folder:
        faces = source_faces(None, clip, size=_PICTURE_PX)
        for number, face in enumerate(faces):
            write_face(Path(folder) / f"{number:05d}_0.jpg", face, durable=False)
        made: list[SampleBank] = []

        def read() -> int:
            made.append(
                build_bank(
                    Faceset.open(Path(folder)),
                    resolution=resolution,
                    face_type=config.face_type,
                    device=device,
                    job=Job("bench"),
                    eyes_mouth=True,
                    workers=1,
                )
            )
            return len(faces)

        reading = [measured("read", read, settings=settings, item="face") for _ in range(repeats)]
    side = Side(made[0], np.arange(len(faces)), np.arange(0))
    source = BatchSource(side, side, config, options)
    source.side(0, is_src=True)

    def draw() -> int:
        for iteration in range(batches):
            drawn = source.side(iteration, is_src=True)
        float(drawn.target[0, 0, 0, 0])  # wait for the device
        return batches * options.batch_size

    rows = [measured("sample", draw, settings=settings, item="sample") for _ in range(repeats)]
    row = min(rows, key=lambda r: float(r["cpu_units_per_item"]))
    return row | {
        "repeats": [r["cpu_units_per_item"] for r in rows],
        "reading_units_per_face": min(float(r["cpu_units_per_item"]) for r in reading),
    }
