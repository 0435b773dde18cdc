"""Cost of a training iteration: batch, forward, losses, gradients, update.

Source of the faces is noise: the arithmetic does not depend on what they show.
"""

from typing import Any

import numpy as np
import torch

from understudy.bench.record import measured
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.devices import choose_device
from understudy.models.face_model import as_face_model
from understudy.training.bank import SampleBank
from understudy.training.batches import BatchSource, Side
from understudy.training.options import TrainOptions
from understudy.training.pairing import Shapes
from understudy.training.step import TrainStep

WARM_UP = 3


def bench_train(config: ModelConfig, options: TrainOptions, *, iterations: int) -> dict[str, Any]:
    """One measurement of `iterations` iterations after a warm-up."""
    device = choose_device(options.device)
    torch.manual_seed(options.seed)
    step = TrainStep(as_face_model(build(config)), options, device=device)
    source = BatchSource(_noise(config, device, 0), _noise(config, device, 1), config, options)
    for iteration in range(WARM_UP):
        step(source.batch(iteration))

    def work() -> int:
        for iteration in range(WARM_UP, WARM_UP + iterations):
            losses = step(source.batch(iteration))
        float(losses.src.sum())  # wait for the device
        return iterations

    settings = {
        "config": config.model_dump(mode="json"),
        "options": options.model_dump(mode="json"),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "arithmetic": str(step.dtype),
    }
    return measured("train", work, settings=settings, item="iteration")


def _noise(config: ModelConfig, device: torch.device, seed: int) -> Side:
    generator = torch.Generator().manual_seed(seed)
    size = int(config.resolution * 1.5)
    shape = (32, 4, size, size)
    planes = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).to(device)
    names = tuple(str(i) for i in range(len(planes)))
    count = len(names)
    shapes = Shapes(np.zeros((count, 68, 2), np.float32), np.zeros((count, 7)))
    bank = SampleBank(planes, lambda: np.zeros(count), lambda: shapes, names, device)
    return Side(bank, np.arange(len(names)), np.arange(0))
