"""Cost of a mask net: an iteration of training with all that varies faces, and of a face masked.

Faces are noise with a disc for a label: the arithmetic does not depend on what they show.
"""

from typing import Any

import cv2
import numpy as np
import torch

from understudy.bench.record import measured
from understudy.masks.painter import MaskPainter
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.devices import choose_device
from understudy.models.mask_net import MaskModel, as_mask_model
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.bank import SampleBank
from understudy.training.samples.mask_batches import MaskSide, MaskSource
from understudy.training.samples.pairing import Shapes
from understudy.training.step.mask_step import MaskStep
from understudy.types import FaceSample

WARM_UP = 2
_FACES, _BATCH, _FACE_PX = 32, 8, 512


def bench_masks(config: ModelConfig, options: TrainOptions, *, iterations: int) -> dict[str, Any]:
    """One measurement of training; under "apply" one of painting faces of 512 pixels."""
    device = choose_device(options.device)
    torch.manual_seed(options.seed)
    model = as_mask_model(build(config))
    step = MaskStep(model, options, device=device)
    source = MaskSource(_noise(config, device), config, options)
    for iteration in range(WARM_UP):
        step(source.batch(iteration))

    def train() -> int:
        for iteration in range(WARM_UP, WARM_UP + iterations):
            losses = step(source.batch(iteration))
        float(losses.mask.sum())  # wait for the device
        return iterations

    settings = {
        "config": config.model_dump(mode="json"),
        "batch_size": options.batch_size,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "arithmetic": str(step.dtype),
    }
    row = measured("mask", train, settings=settings, item="iteration")
    return row | {"apply": _bench_apply(model, device)}


def _bench_apply(model: MaskModel, device: torch.device) -> dict[str, Any]:
    painter = MaskPainter(model, device=device)
    picture = np.random.default_rng(0).random((_FACE_PX, _FACE_PX, 3), np.float32)
    _, data = cv2.imencode(".jpg", (picture * 255).astype(np.uint8))
    face = FaceSample(
        load=lambda: np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32) / 255,
        landmarks=np.zeros((68, 2)),
        face_type=model.config.face_type,
    )

    def paint() -> int:
        for _ in range(_FACES // _BATCH):
            painter.paint([painter.prepare(face) for _ in range(_BATCH)])
        return _FACES

    return measured("mask apply", paint, settings={"batch_size": _BATCH}, item="face")


def _noise(config: ModelConfig, device: torch.device) -> MaskSide:
    generator = torch.Generator().manual_seed(0)
    size = int(config.resolution * 1.5)
    planes = torch.randint(0, 256, (16, 4, size, size), dtype=torch.uint8, generator=generator)
    disc = cv2.circle(np.zeros((size, size), np.uint8), (size // 2, size // 2), size // 3, 255, -1)
    planes[:, 3] = torch.from_numpy(np.asarray(disc))
    names = tuple(str(i) for i in range(len(planes)))
    count = len(names)
    shapes = Shapes(np.zeros((count, 68, 2), np.float32), np.zeros((count, 7)))
    bank = SampleBank(planes.to(device), lambda: np.zeros(count), lambda: shapes, names, device)
    return MaskSide(bank, np.arange(len(names)), np.arange(0))
