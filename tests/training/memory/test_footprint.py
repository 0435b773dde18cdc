"""What training is expected to take, against what it takes in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from understudy.models import build, config_from_dfl, outline
from understudy.models.face_model import as_face_model
from understudy.models.mask_net import as_mask_model
from understudy.models.model import Model
from understudy.training.memory.footprint import AnyStep, Footprint, footprint
from understudy.training.plan.options import TrainOptions
from understudy.training.step.face_step import TrainStep
from understudy.training.step.mask_step import MaskStep

CPU = torch.device("cpu")
TOLERANCE = 0.25  # of what was measured; documented is 0.2


def make(model: Model, options: TrainOptions, device: torch.device) -> AnyStep:
    if model.config.kind == "XSeg":
        return MaskStep(as_mask_model(model), options, device=device)
    return TrainStep(as_face_model(model), options, device=device)


def expected(case: dict[str, Any], device: torch.device = CPU, **more: Any) -> Footprint:
    config = config_from_dfl(case["kind"], case["config"])
    options = TrainOptions().model_copy(update=case["options"] | more)
    return footprint(config, options, device, make=make)


MEASURE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import torch
from training.memory.test_footprint import expected, make
from understudy.host_memory import forget_peak, peak_of_process
from understudy.models import build, config_from_dfl
from understudy.training.step.allocator import give_back
from understudy.training.plan.options import TrainOptions
from understudy.training.monitor.watch import Viewer

case = json.loads(sys.argv[2])
torch.set_num_threads(1)
size = case["options"]["batch_size"]

def train(config, count):
    config = config_from_dfl(case["kind"], config)
    options = TrainOptions().model_copy(update=case["options"] | {"batch_size": count})
    step = make(build(config), options, torch.device("cpu"))
    step.rehearse(count)
    names = {name: torch.zeros_like(p) for name, p in step.trained.items()}
    step.optimizer.step(names)  # memory that is only promised is not held before
    step.rehearse(count)
    return step

wanted = expected(case).at("cpu")
train(case["config"] | case["small"], 1)  # libraries are loaded
give_back(torch.device("cpu"))
now, _ = peak_of_process()
forget_peak()
kept = train(case["config"], size)
viewer = Viewer(kept) if case["kind"] != "XSeg" else None
kept.rehearse(size)
print(json.dumps([wanted, peak_of_process()[1] - now]))
"""

SMALL = {"ae_dims": 16, "e_dims": 4, "d_dims": 4, "d_mask_dims": 2, "inter_dims": 16}
DIMS = {"resolution": 96, "ae_dims": 32, "e_dims": 16, "d_dims": 16, "d_mask_dims": 8}
FP32 = {"precision": "fp32", "batch_size": 16}
CASES: dict[str, dict[str, Any]] = {
    "df": {"config": DIMS | {"archi": "df-ud"}, "options": FP32},
    "df in parts": {"config": DIMS | {"archi": "df-ud"}, "options": FP32 | {"accumulate": 4}},
    "liae, rmsprop, bf16": {
        "config": DIMS | {"archi": "liae-ud"},
        "options": {"precision": "bf16", "batch_size": 16, "adabelief": False, "ema": 0.0},
    },
    "df-t with GAN and style": {
        "config": DIMS | {"archi": "df-udt"},
        "options": FP32 | {"batch_size": 8, "gan_power": 0.1, "face_style_power": 5.0},
    },
    "AMP": {"kind": "AMP", "config": DIMS | {"inter_dims": 64}, "options": FP32},
}
MID = {"resolution": 128, "ae_dims": 128, "e_dims": 64, "d_dims": 64, "d_mask_dims": 22}


def ratio(case: dict[str, Any]) -> float:
    """Expected over measured."""
    case = {"kind": "SAEHD", "small": SMALL} | case
    tests = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tests), json.dumps(case)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wanted, measured = json.loads(done.stdout.splitlines()[-1])
    return float(wanted / measured)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["df", "liae, rmsprop, bf16"])
def test_the_estimate_is_near_what_is_measured(name: str) -> None:
    assert ratio(CASES[name]) == pytest.approx(1, abs=TOLERANCE)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["df in parts", "df-t with GAN and style", "AMP"])
def test_the_estimate_is_near_for_other_networks_too(name: str) -> None:
    assert ratio(CASES[name]) == pytest.approx(1, abs=TOLERANCE)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_estimate_is_near_for_a_network_of_usual_size(precision: str) -> None:
    options = {"precision": precision, "batch_size": 4}
    assert ratio({"config": MID | {"archi": "df-ud"}, "options": options}) == pytest.approx(
        1, abs=TOLERANCE
    )


def usual(**options: Any) -> dict[str, Any]:
    chosen = FP32 | options
    return {"kind": "SAEHD", "config": DIMS | {"archi": "df-ud"}, "options": chosen}


def test_an_outline_has_the_shapes_of_the_model_and_no_content() -> None:
    for kind in ("SAEHD", "AMP", "Quick96", "XSeg"):
        config = config_from_dfl(kind, {"resolution": 64} | SMALL)
        shapes = {name: p.shape for name, p in outline(config).named_parameters()}
        assert shapes == {name: p.shape for name, p in build(config).named_parameters()}
        assert all(p.device.type == "meta" for p in outline(config).parameters())


def test_what_is_kept_is_counted_to_the_byte() -> None:
    case = usual()
    model = build(config_from_dfl("SAEHD", case["config"]))
    numbers = sum(p.numel() for p in model.parameters())
    found = expected(case).host
    assert found["weights"] == found["averages"] == 4 * numbers
    assert found["optimizer"] == 8 * numbers
    assert found["weights to compute with"] == 0
    narrow = expected(usual(precision="bf16", adabelief=False, ema=0.0)).host
    assert narrow["optimizer"] == 4 * numbers
    assert narrow["averages"] == 0
    assert narrow["weights to compute with"] == 2 * numbers


def test_larger_batches_and_more_losses_take_more() -> None:
    sizes = [expected(usual(batch_size=size)).iteration for size in (1, 4, 16)]
    assert sizes[0] < sizes[1] < sizes[2]
    plain = expected(usual())
    for more in ({"gan_power": 0.1}, {"face_style_power": 5.0}, {"eyes_mouth_prio": True}):
        assert expected(usual(), **more).iteration > plain.iteration
    assert expected(usual(), accumulate=4).iteration < plain.iteration


def test_on_an_accelerator_the_host_may_keep_what_learns() -> None:
    card = torch.device("cuda")
    there = expected(usual(), card)
    apart = expected(usual(), card, models_opt_on_gpu=False)
    assert not there.host
    assert apart.at("cuda") < there.at("cuda")
    kept = ("weights", "optimizer", "averages")
    assert sum(apart.host[name] for name in kept) == sum(there.device[name] for name in kept)


def test_masks_are_counted_too() -> None:
    case = {"kind": "XSeg", "config": {}, "options": {"batch_size": 2, "precision": "fp32"}}
    found = expected(case)
    numbers = sum(p.numel() for p in build(config_from_dfl("XSeg", {})).parameters())
    assert found.host["weights"] == 4 * numbers
    assert found.iteration > 100e6
