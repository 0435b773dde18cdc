"""Cost of a training iteration: batch, forward, losses, gradients, update.

Source of the faces is noise: the arithmetic does not depend on what they show.
"""

from collections.abc import Callable, Mapping
from typing import Any  # JSON values

import numpy as np
import torch

from understudy.bench.arithmetic import measured_peak, operations, stated_peak
from understudy.bench.plain import PlainStep
from understudy.bench.record import measured
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.devices import choose_device
from understudy.models.face_model import as_face_model
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.bank import SampleBank
from understudy.training.samples.batch import Batch
from understudy.training.samples.batches import WHOLE, BatchSource, Share, Side
from understudy.training.samples.pairing import Shapes
from understudy.training.step.face_step import StepLosses, TrainStep
from understudy.training.step.stopwatch import Stopwatch

WARM_UP = 3
_FACES = 32

Step = Callable[[Batch], StepLosses]


def bench_train(
    config: ModelConfig, options: TrainOptions, *, iterations: int, repeats: int = 1
) -> dict[str, Any]:
    """One measurement of `iterations` iterations after a warm-up: the best of `repeats`.

    Also where the time went, how much arithmetic it was, and the memory of an accelerator.
    """
    device = _ready(options)
    step = TrainStep(as_face_model(build(config)), options, device=device)
    step.stopwatch = Stopwatch(device)
    return bench_steps(
        step, step.dtype, config, options, device, iterations=iterations, repeats=repeats
    )


def bench_reference(
    config: ModelConfig, options: TrainOptions, *, iterations: int, repeats: int = 1
) -> dict[str, Any]:
    """The same as a straight port would do it."""
    device = _ready(options)
    model = as_face_model(build(config))
    step = PlainStep(model, device=device, rate=options.learning_rate)
    return bench_steps(
        step, torch.float32, config, options, device, iterations=iterations, repeats=repeats
    )


def bench_steps(
    step: Step,
    dtype: torch.dtype,
    config: ModelConfig,
    options: TrainOptions,
    device: torch.device,
    *,
    iterations: int,
    repeats: int,
    in_host: bool = False,
) -> dict[str, Any]:
    """The best of so many measurements of `step`, with what it means.

    `in_host` keeps the faces in host memory, as where an accelerator has no room for them.
    """
    src, dst = (noise(config, device, seed, in_host=in_host) for seed in (0, 1))
    source = BatchSource(src, dst, config, options)
    settings = {
        "config": config.model_dump(mode="json"),
        "options": options.model_dump(mode="json"),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "arithmetic": str(dtype),
    }
    watch = getattr(step, "stopwatch", None)
    rows = [
        measured_steps(step, source, settings, iterations=iterations, watch=watch)
        for _ in range(repeats)
    ]
    row = best(rows)
    return row | told_of(row, config, options, device)


def measured_steps(
    step: Step,
    source: BatchSource,
    settings: Mapping[str, Any],
    *,
    iterations: int,
    watch: Stopwatch | None = None,
) -> dict[str, Any]:
    """One measurement of steps and their batches."""
    for iteration in range(WARM_UP):
        losses = step(source.batch(iteration))
    float(losses.src.sum())
    before = watch.seconds() if watch is not None else {}

    def work() -> int:
        for iteration in range(WARM_UP, WARM_UP + iterations):
            if watch is not None:
                watch.start()
            batch = source.batch(iteration)
            if watch is not None:
                watch.lap("bank")
            losses = step(batch)
        float(losses.src.sum())  # wait for the device
        return iterations

    on_cpu = settings["device"] == "cpu"
    row = measured("train", work, settings=settings, item="iteration", compare=on_cpu)
    if watch is not None:
        spent = {name: s - before.get(name, 0.0) for name, s in watch.seconds().items()}
        row["seconds_of"] = {name: round(s / iterations, 5) for name, s in spent.items()}
        whole = sum(spent.values())
        row["share_of"] = {name: round(s / whole, 4) for name, s in spent.items()}
    return row


def best(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row least disturbed: where processors compute by their time, else by the wall's."""
    on_cpu = rows[0]["settings"]["device"] == "cpu"
    key = "cpu_units_per_item" if on_cpu else "wall_seconds"
    chosen = min(rows, key=lambda row: float(row[key]))
    return chosen | {"repeats": [row[key] for row in rows]}


def told_of(
    row: dict[str, Any], config: ModelConfig, options: TrainOptions, device: torch.device
) -> dict[str, Any]:
    """What the rate means: faces and arithmetic a second, memory."""
    rate = float(row["rate_per_second"])
    if device.type == "cpu":  # what two cores do side by side counts twice
        rate = 1 / float(row["cpu_seconds_per_item"])
    work = operations(config, options.batch_size)
    told: dict[str, Any] = {
        "samples_per_second": round(options.batch_size * float(row["rate_per_second"]), 2),
        "gflop_per_item": round(work / 1e9, 1),
        "tflops": round(work * rate / 1e12, 3),
    }
    if device.type == "cuda":
        dense = measured_peak(device, dtype=torch.bfloat16)
        peak = stated_peak(device) or dense
        told |= {
            "card": torch.cuda.get_device_name(device),
            "peak_tflops": peak,
            "matrix_product_tflops": round(dense, 1),
            "share_of_peak": round(work * rate / 1e12 / peak, 4),
            "device_memory_mb": round(torch.cuda.max_memory_allocated(device) / 2**20, 1),
            "device_memory_reserved_mb": round(torch.cuda.max_memory_reserved(device) / 2**20, 1),
        }
    return told


def noise(
    config: ModelConfig,
    device: torch.device,
    seed: int,
    *,
    share: Share = WHOLE,
    in_host: bool = False,
) -> Side:
    """Faces of one side that show nothing."""
    generator = torch.Generator().manual_seed(seed)
    size = int(config.resolution * 1.5)
    shape = (_FACES, 4, size, size)
    planes = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    names, everyone = tuple(str(i) for i in range(_FACES)), np.arange(_FACES)
    places = None
    if share.of > 1:
        held = everyone[share.rank :: share.of]
        planes, places = planes[torch.from_numpy(held)], np.full(_FACES, -1)
        places[held] = np.arange(len(held))
    planes = planes if in_host else planes.to(device)
    shapes = Shapes(np.zeros((_FACES, 68, 2), np.float32), np.zeros((_FACES, 7)))
    bank = SampleBank(planes, lambda: np.zeros(_FACES), lambda: shapes, names, device, places)
    return Side(bank, everyone, np.arange(0))


def _ready(options: TrainOptions) -> torch.device:
    """The device, with what was before forgotten."""
    device = choose_device(options.device)
    torch.manual_seed(options.seed)
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    return device
