"""Batches in portions: the same update as whole, and what happens when memory really runs out."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from understudy.errors import MemoryShortError
from understudy.models import build, config_from_dfl
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.batch import Batch, SideBatch
from understudy.training.step.face_step import TrainStep
from understudy.training.step.portions import Portions, is_short_of_memory, rows_of

CPU = torch.device("cpu")
EXTRAS = {"gan_power": 0.1, "gan_dims": 4, "true_face_power": 0.1, "face_style_power": 5.0}
EXTRAS |= {"bg_style_power": 5.0, "blur_out_mask": True, "eyes_mouth_prio": True}
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits address space")


def model_of(archi: str, *, kind: str = "SAEHD", resolution: int = 64) -> Any:
    options = {"resolution": resolution, "archi": archi, "ae_dims": 16, "e_dims": 8, "d_dims": 8}
    return build(config_from_dfl(kind, options | {"inter_dims": 16}), seed=3)


def batch_of(count: int, *, channels: int = 0, resolution: int = 64) -> Batch:
    generator = torch.Generator().manual_seed(1)

    def side() -> SideBatch:
        coarse = torch.rand(count, 3, 4, 4, generator=generator)
        face = torch.nn.functional.interpolate(coarse, size=resolution, mode="bilinear")
        mask = torch.zeros(count, 1, resolution, resolution)
        mask[..., 12:52, 12:52] = 1
        return SideBatch(face, face.flip(3), mask, mask * 0.5)

    drawn = torch.rand(count, channels, generator=generator) < 0.5 if channels else None
    return Batch(side(), side(), drawn)


def captured(step: TrainStep, batch: Batch) -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
    """Losses of one iteration, and the gradients of each network that learned in it."""
    found = []

    def keep(parts: Any) -> Any:
        total: dict[str, torch.Tensor] = {}
        for part in parts:
            for name, gradient in part.items():
                total[name] = total.get(name, 0) + gradient.double()
        found.append(total)
        return list(parts)

    step.share_gradients(keep)
    return torch.stack(step(batch)), found


def test_parts_are_even_and_cover_the_batch() -> None:
    for size in range(1, 20):
        for parts in range(1, size + 1):
            rows = rows_of(size, parts)
            taken = [list(range(size))[some] for some in rows]
            assert [place for part in taken for place in part] == list(range(size))
            assert max(map(len, taken)) - min(map(len, taken)) <= 1


CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("SAEHD", "df-ud", {}),
    ("SAEHD", "liae-udt", {"random_warp": False}),
    ("SAEHD", "df-ud", EXTRAS),
    ("SAEHD", "df-ud", EXTRAS | {"dfl_parity": True}),
    ("AMP", "df-udt", {"gan_power": 0.1, "gan_dims": 4}),
]


@pytest.mark.parametrize(("kind", "archi", "more"), CASES)
def test_a_batch_in_parts_gives_what_the_whole_gives(
    kind: str, archi: str, more: dict[str, Any]
) -> None:
    batch = batch_of(5, channels=16 if kind == "AMP" else 0)
    found = []
    for parts in (1, 2, 5):
        options = TrainOptions(precision="fp32", batch_size=5, accumulate=parts).model_copy(
            update=more
        )
        step = TrainStep(model_of(archi, kind=kind), options)
        assert step.portions.count(5) == parts
        losses, gradients = captured(step, batch)
        found.append((losses, gradients))
    whole_losses, whole = found[0]
    for losses, gradients in found[1:]:
        torch.testing.assert_close(losses, whole_losses, rtol=1e-5, atol=1e-6)
        assert len(gradients) == len(whole)
        for one, other in zip(gradients, whole, strict=True):
            assert one.keys() == other.keys()
            largest = max(float(g.abs().max()) for g in other.values())
            for name, gradient in one.items():
                # sums run in another order, and some of what they add up nearly cancels
                gap = float((gradient - other[name]).abs().max())
                assert gap <= 1e-4 * largest, name


def test_narrow_gradients_are_added_up_in_float32() -> None:
    step = TrainStep(model_of("df-ud"), TrainOptions(precision="bf16", batch_size=4, accumulate=4))
    kinds = []
    step.share_gradients(lambda parts: kinds.append({g.dtype for p in parts for g in p.values()}) or
                         list(parts))  # fmt: skip
    step(batch_of(4))
    assert kinds == [{torch.float32}]


def test_weights_kept_apart_learn_the_same() -> None:
    """cpu:0 is the processor under another name: as far from its host as an accelerator."""
    weights = []
    for apart in (False, True):
        model = model_of("df-ud")
        plain = TrainOptions(precision="fp32", models_opt_on_gpu=not apart, lr_dropout=True)
        options = plain.model_copy(update=EXTRAS)
        step = TrainStep(model, options, device="cpu:0" if apart else "cpu")
        assert (step.worker is model) is not apart
        for _ in range(3):
            losses = step(batch_of(4))
        members = [m.network for m in step.adversaries.members.values()]
        every = [p.detach() for net in (model, *members) for p in net.parameters()]
        weights.append([*losses, *every, *step.optimizer.averaged.values()])
    for one, other in zip(*weights, strict=True):
        assert torch.equal(one, other)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card")
def test_weights_kept_with_the_host_learn_the_same_on_a_card() -> None:
    found = []
    for on_gpu in (True, False):
        model = model_of("df-ud")
        options = TrainOptions(precision="fp32", models_opt_on_gpu=on_gpu).model_copy(update=EXTRAS)
        step = TrainStep(model, options, device="cuda")
        batch = Batch(*(SideBatch(*(part.cuda() for part in side)) for side in batch_of(4)[:2]))
        for _ in range(3):
            losses = torch.stack(step(batch))
        home = "cuda" if on_gpu else "cpu"
        kept = [*model.parameters(), *step.optimizer.state_tensors().values()]
        assert {tensor.device.type for tensor in kept} == {home}
        found.append(losses.cpu())
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-3)


def test_on_the_processor_everything_is_with_the_host_anyway() -> None:
    model = model_of("df-ud")
    step = TrainStep(model, TrainOptions(precision="fp32", models_opt_on_gpu=False))
    assert step.worker is model


def test_parts_become_smaller_until_the_work_fits() -> None:
    told: list[str] = []
    portions = Portions(8, device=CPU, say=told.append)
    tried = []

    def work(rows: list[slice]) -> int:
        tried.append(len(rows))
        if len(rows) < 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return len(rows)

    assert portions.run(9, work) == 5
    assert tried == [2, 3, 5]
    assert portions.at_once == 2
    assert portions.run(2, len) == 1
    assert len(told) == 2
    assert "Tried to allocate" in told[0]
    assert "5 parts" in told[1]


def test_what_does_not_fit_at_all_ends_with_the_reason() -> None:
    def work(rows: list[slice]) -> None:
        raise MemoryError

    with pytest.raises(MemoryShortError, match="one face of each side"):
        Portions(4, device=CPU).run(4, work)


def test_other_errors_are_not_taken_for_want_of_memory() -> None:
    tried = []

    def work(rows: list[slice]) -> None:
        tried.append(len(rows))
        torch.zeros(2, 3) @ torch.zeros(2, 3)

    with pytest.raises(RuntimeError, match="shapes"):
        Portions(4, device=CPU).run(4, work)
    assert tried == [1]
    assert not is_short_of_memory(ValueError("out of memory"))


LIMITED = """
import json, resource, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
from training.step.test_portions import batch_of, model_of
from understudy.errors import MemoryShortError
from understudy.training.step.allocator import give_back
from understudy.training.plan.options import TrainOptions
from understudy.training.step.face_step import TrainStep

def size(line):
    text = Path("/proc/self/status").read_text()
    return int(text.split(line + ":")[1].split()[0]) * 1024

torch.set_num_threads(1)
torch.backends.mkldnn.enabled = False  # it never tries again what it once had no memory for
options = TrainOptions(precision="fp32", batch_size=16)
told, batch = [], batch_of(16, resolution=96)
step = TrainStep(model_of("df-ud", resolution=96), options, say=told.append)
step.portions.at_once = 1
step.rehearse(16)
give_back(torch.device("cpu"))
step.portions.at_once = 16
weights = {k: v.clone() for k, v in step.model.state_dict().items()}
room = int(float(sys.argv[2]) * 1e6)
resource.setrlimit(resource.RLIMIT_AS, (size("VmSize") + room, resource.RLIM_INFINITY))
short, parts = "", None
try:
    parts = [losses.tolist() for losses in step(batch)]
except MemoryShortError as error:
    short = str(error)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
same = all(torch.equal(v, weights[k]) for k, v in step.model.state_dict().items())
at_once = step.portions.at_once
step.model.load_state_dict(weights)
step.portions.at_once = 16
whole = [losses.tolist() for losses in step(batch)]
print(json.dumps([whole, parts, at_once, told, short, same]))
"""


def limited(megabytes: float) -> Any:
    """What a step does in a process that may take so much more memory."""
    tests = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tests), str(megabytes)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@ON_LINUX
def test_a_batch_that_finds_no_memory_is_taken_again_in_parts() -> None:
    whole, parts, at_once, told, short, _ = limited(45)
    assert not short
    assert 1 <= at_once < 16
    assert told
    assert "memory ran out" in told[0]
    np.testing.assert_allclose(parts, whole, rtol=1e-5)


@ON_LINUX
def test_without_memory_for_one_face_nothing_changes() -> None:
    _, parts, _, told, short, same = limited(2)
    assert parts is None
    assert "room for one face of each side" in short
    assert len(told) == 4
    assert same
