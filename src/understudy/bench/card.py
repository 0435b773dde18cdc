"""Everything that is to be known of training on a graphics card, by one command.

    python -m understudy.bench.card --out docs/benchmarks

Measures models of 128, 256 and 512 pixels: samples a second, where the time of a step goes, share
of the card's arithmetic, memory, the same as a straight port does it, which kernels take the time,
what colour transfer and faces in host memory cost. Writes `CARD.md` for people and `CARD.json` with
every figure. What does not fit the card is told as that. With several cards also how they scale.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any  # JSON values

import torch
from torch.profiler import ProfilerActivity, profile

from understudy import files
from understudy.bench.card_page import page
from understudy.bench.cases import CARD_CASES, Case
from understudy.bench.train import WARM_UP, bench_reference, bench_steps, bench_train, noise
from understudy.models import build
from understudy.models.devices import choose_device
from understudy.models.face_model import as_face_model
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.batches import BatchSource
from understudy.training.step.face_step import TrainStep

_SECONDS = 6.0  # of each measurement, about
_FEWEST, _MOST = 3, 400  # iterations
_KERNELS = 10
_PROFILED = 3  # iterations

Row = dict[str, Any]


def measure_card(
    cases: Mapping[str, Case], *, device: str, seconds: float = _SECONDS, repeats: int = 2
) -> Row:
    """All figures of a device, as JSON values."""
    chosen = choose_device(device)
    on_card = chosen.type == "cuda"
    count = torch.cuda.device_count() if on_card else 0
    return {
        "card": torch.cuda.get_device_name(chosen) if on_card else "processor",
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__,
        "cuda": torch.version.cuda or torch.version.hip,
        "cudnn": str(torch.backends.cudnn.version()) if on_card else None,  # type: ignore[no-untyped-call]
        "tf32_in_reference": torch.backends.cudnn.allow_tf32,
        "seconds": seconds,
        "repeats": repeats,
        "cases": {
            name: _case(case, device, seconds=seconds, repeats=repeats)
            for name, case in cases.items()
        },
        "scaling": [_scaling(n) for n in range(2, count + 1)],
    }


def _case(case: Case, device: str, *, seconds: float, repeats: int) -> Row:
    """All figures of one model."""
    config = case.config
    options = TrainOptions(batch_size=case.batch_size, device=device)
    colors = options.model_copy(update={"ct_mode": "sot"})

    def ours() -> Row:
        count = _enough(case, options, seconds)
        return bench_train(config, options, iterations=count, repeats=repeats)

    def reference() -> Row:
        count = max(_FEWEST, _enough(case, options, seconds) // 4)
        return bench_reference(config, options, iterations=count, repeats=repeats)

    def with_colors() -> Row:
        return bench_train(config, colors, iterations=_enough(case, colors, seconds / 3))

    rows = {
        "ours": _fitting(ours),
        "reference": _fitting(reference),
        "sot": _fitting(with_colors),
        "faces in host memory": _fitting(lambda: _from_host(case, options, seconds / 3)),
        "kernels": _fitting(lambda: _kernels(case, options)),
    }
    key = "wall_seconds" if device != "cpu" else "cpu_seconds_per_item"
    if key in rows["ours"] and key in rows["reference"]:
        ratio = rows["ours"]["rate_per_second"] / rows["reference"]["rate_per_second"]
        rows["ratio_to_reference"] = round(ratio, 2)
    return rows


def _fitting(measure: Callable[[], Row]) -> Row:
    """The measurement, or that it does not fit."""
    try:
        return measure()
    except torch.OutOfMemoryError as error:
        return {"does_not_fit": str(error).splitlines()[0]}
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _enough(case: Case, options: TrainOptions, seconds: float) -> int:
    """Iterations that take about so long."""
    step, source = _trainer(case, options)
    for iteration in range(WARM_UP):
        losses = step(source.batch(iteration))
    float(losses.src.sum())
    start = time.perf_counter()
    float(step(source.batch(WARM_UP)).src.sum())
    return min(_MOST, max(_FEWEST, round(seconds / (time.perf_counter() - start))))


def _from_host(case: Case, options: TrainOptions, seconds: float) -> Row:
    """As where faces have no room on the card and are sent to it batch by batch."""
    count = _enough(case, options, seconds)
    step, _ = _trainer(case, options)
    return bench_steps(
        step,
        step.dtype,
        case.config,
        options,
        step.device,
        iterations=count,
        repeats=1,
        in_host=True,
    )


def _kernels(case: Case, options: TrainOptions) -> Row:
    """Share of the device's time by kernel, the longest first."""
    step, source = _trainer(case, options)
    on_card = step.device.type == "cuda"
    for iteration in range(WARM_UP):
        step(source.batch(iteration))
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on_card else [])
    with profile(activities=activities) as found:
        for iteration in range(WARM_UP, WARM_UP + _PROFILED):
            losses = step(source.batch(iteration))
        float(losses.src.sum())
    kind = "self_device_time_total" if on_card else "self_cpu_time_total"
    spent: dict[str, float] = defaultdict(float)
    for event in found.key_averages():
        if not on_card or str(event.device_type).endswith("CUDA"):
            spent[_short(event.key)] += float(getattr(event, kind))
    whole = sum(spent.values()) or 1.0
    longest = sorted(spent, key=lambda name: -spent[name])[:_KERNELS]
    return {name: round(spent[name] / whole, 4) for name in longest}


def _trainer(case: Case, options: TrainOptions) -> tuple[TrainStep, BatchSource]:
    device = choose_device(options.device)
    step = TrainStep(as_face_model(build(case.config)), options, device=device)
    src, dst = (noise(case.config, device, seed) for seed in (0, 1))
    return step, BatchSource(src, dst, case.config, options)


def _short(kernel: str) -> str:
    """A kernel's name without its arguments and templates."""
    bare = re.sub(r"\(.*|<.*", "", kernel.removeprefix("void "))
    return bare[:80] or kernel[:80]


def _scaling(count: int) -> Row:
    """The row of `bench scaling` over the first cards."""
    devices = ",".join(map(str, range(count)))
    command = [sys.executable, "-m", "understudy.cli.main", "bench", "scaling"]
    command += ["--devices", devices, "--case", "df-ud-128", "--batch-size", "16"]
    done = subprocess.run(  # noqa: S603 - our own module
        [*command, "--iterations", "60"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"processes": count, "failed": done.stderr.strip().splitlines()[-1:]}
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def main(arguments: list[str] | None = None) -> None:
    """Measure and write both files."""
    parser = argparse.ArgumentParser(description="Measure training on a graphics card.")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="of each measurement")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--cases", nargs="*", default=list(CARD_CASES), choices=list(CARD_CASES))
    given = parser.parse_args(arguments)
    cases = {name: CARD_CASES[name] for name in given.cases}
    found = measure_card(cases, device=given.device, seconds=given.seconds, repeats=given.repeats)
    write(found, given.out)


def write(found: Row, folder: Path) -> tuple[Path, Path]:
    """The page and the figures, named after the card."""
    name = re.sub(r"[^a-z0-9]+", "-", found["card"].lower()).strip("-")
    files.make_dir(folder)
    figures, text = folder / f"{name}.json", folder / f"{name}.md"
    files.write_json(figures, found)
    files.write_bytes(text, page(found).encode())
    return text, figures


if __name__ == "__main__":
    main()
