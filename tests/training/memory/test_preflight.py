"""What is decided by memory before training: whole or in parts, where faces go, what is refused."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from understudy.errors import MemoryShortError
from understudy.job import Job
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.face_model import as_face_model
from understudy.models.model import Model
from understudy.training.loop.beginning import phases_ahead
from understudy.training.loop.trainer import train
from understudy.training.memory import preflight
from understudy.training.memory.footprint import footprint
from understudy.training.memory.preflight import Preflight
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.phases import Phase, Plan
from understudy.training.samples.bank import usual_host_bytes
from understudy.training.state.model_folder import create_model
from understudy.training.step.face_step import TrainStep

CPU, CARD = torch.device("cpu"), torch.device("cuda")
CONFIG = ModelConfig(
    kind="SAEHD", resolution=128, archi="df-ud", ae_dims=32, e_dims=16, d_dims=16, d_mask_dims=8
)
OPTIONS = TrainOptions(precision="fp32", batch_size=4, device="cpu")
PLENTY = 10**12


def make(model: Model, options: TrainOptions, device: torch.device) -> TrainStep:
    return TrainStep(as_face_model(model), options, device=device)


def need(device: torch.device = CPU, at_once: int | None = None, **options: Any) -> int:
    chosen = OPTIONS.model_copy(update=options)
    return known(CONFIG, chosen, device, make=make, at_once=at_once).at(device.type)


known = cache(footprint)
"""The real thing, but each only once: many tests ask for the same."""


@pytest.fixture
def flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Function that gives a check on a machine with so much free memory, and what it says."""

    def start(
        *, host: int | None = PLENTY, card: int | None = None, **more: Any
    ) -> tuple[Preflight, list[str]]:
        usable = {"cpu": host, "cuda": card}
        monkeypatch.setattr(preflight, "free_memory", lambda place: usable[place.type])
        monkeypatch.setattr(preflight, "_USABLE", 1.0)
        monkeypatch.setattr(preflight, "footprint", known)
        said: list[str] = []
        folder = create_model(tmp_path / "m", CONFIG)
        device = CPU if card is None else CARD
        return Preflight(folder, device, make=make, say=said.append, **more), said

    return start


def test_with_plenty_of_memory_batches_stay_whole_and_faces_take_their_usual_share(flight) -> None:
    check, said = flight()
    room = check.plan([("", OPTIONS)])
    assert room.device_bytes is None
    assert room.host_bytes == usual_host_bytes()
    assert len(said) == 1
    assert "training takes about" in said[0]
    step = TrainStep(as_face_model(_built()), OPTIONS)
    check.fit(step, OPTIONS)
    assert step.portions.at_once == 4


def test_what_does_not_fit_whole_is_computed_in_parts_and_settings_are_named(flight) -> None:
    check, said = flight(host=need(at_once=2))
    step = TrainStep(as_face_model(_built()), OPTIONS)
    check.fit(step, OPTIONS)
    assert step.portions.at_once == 2
    assert "2 parts" in said[0]
    assert "same result" in said[0]
    size = int(said[0].split("--batch-size ")[1].split()[0])
    assert need(batch_size=size) <= need(at_once=2) < need(batch_size=size + 1)


def test_what_can_not_fit_is_refused_with_settings_that_would(flight) -> None:
    least = min(need(at_once=k) for k in (1, 2, 4))
    check, _ = flight(host=int(0.9 * least))
    with pytest.raises(MemoryShortError) as raised:
        check.plan([("", OPTIONS)])
    assert "memory of the host" in raised.value.thing
    remedy = raised.value.remedy
    assert "--no-memory-check" in remedy
    side = int(remedy.split("--resolution ")[1].split()[0].rstrip(".;"))
    assert side < 128
    smaller = CONFIG.model_copy(update={"resolution": side})
    sizes = [known(smaller, OPTIONS, CPU, make=make, at_once=k) for k in (1, 2, 4)]
    assert min(size.at("cpu") for size in sizes) <= 0.9 * least
    without = min(need(at_once=k, ema=0.0) for k in (1, 2, 4))
    assert ("--ema 0 --acc" in remedy or "--ema 0;" in remedy) is (without <= int(0.9 * least))


def test_an_accelerator_is_told_to_leave_the_optimizer_with_the_host(flight) -> None:
    apart = min(need(CARD, k, models_opt_on_gpu=False) for k in (1, 2, 4))
    there = need(CARD, 1)
    assert apart < 0.85 * there
    check, _ = flight(card=there // 2)
    check.plan([("", OPTIONS)])  # an estimate does not forbid to try what can't harm
    check, _ = flight(card=there)
    plain = MemoryShortError("memory of cuda", expected="room", found="none", remedy="Less.")
    remedy = check.advised(plain, OPTIONS).remedy
    assert remedy.startswith("What would fit: --no-models-opt-on-gpu")
    assert remedy.count(";") == 2


def test_faces_get_what_the_networks_leave(flight) -> None:
    check, _ = flight(card=need(CARD) + 4_000_000)
    assert check.plan([("", OPTIONS)]).device_bytes == pytest.approx(2_000_000, rel=0.02)
    check, _ = flight(host=need() + 6_000_000)
    assert check.plan([("", OPTIONS)]).host_bytes == pytest.approx(3_000_000, rel=0.02)
    given = OPTIONS.model_copy(update={"faces_memory": 0.001})
    check, _ = flight()
    assert check.plan([("", given)]).host_bytes == 1_000_000
    unknown, _ = flight(host=None)
    assert unknown.plan([("", OPTIONS)]).host_bytes == usual_host_bytes()


def test_every_phase_ahead_is_looked_at(flight) -> None:
    phases = (
        Phase(name="warped", iterations=5),
        Phase(name="sharp", iterations=5, options={"gan_power": 0.1, "gan_dims": 16}),
    )
    plan = Plan(recipe="r", phases=phases)
    ahead = phases_ahead(OPTIONS, plan)
    assert [name for name, _ in ahead] == ["warped", "sharp"]
    assert phases_ahead(OPTIONS, plan.model_copy(update={"place": 1})) == ahead[1:]
    sharp = {"gan_power": 0.1, "gan_dims": 16}
    assert need(at_once=2, **sharp) <= need() < need(**sharp)
    check, said = flight(host=need())
    check.plan(ahead)
    assert [text for text in said if text.startswith("phase sharp: batches of 4")]
    assert not [text for text in said if text.startswith("phase warped")]


def test_several_processes_share_the_host(flight) -> None:
    half, least = need(batch_size=2), need(batch_size=2, at_once=1)
    assert least < half
    check, said = flight(host=2 * half, processes=2)
    check.plan([("", OPTIONS)])
    assert not [text for text in said if "parts" in text]
    check, said = flight(host=2 * least, processes=2)
    check.plan([("", OPTIONS)])
    assert [text for text in said if "batches of 2" in text and "parts" in text]


def test_what_ran_short_once_is_not_tried_again_in_a_later_phase(flight) -> None:
    check, _ = flight()
    step = TrainStep(as_face_model(_built()), OPTIONS)
    step.portions.at_once, step.portions.was_short = 2, True
    check.remember(step)
    later = TrainStep(as_face_model(_built()), OPTIONS)
    check.fit(later, OPTIONS)
    assert later.portions.at_once == 2


def test_the_check_can_be_turned_off(flight) -> None:
    check, said = flight(host=1)
    unchecked = OPTIONS.model_copy(update={"memory_check": False})
    assert check.plan([("", unchecked)]).host_bytes == usual_host_bytes()
    step = TrainStep(as_face_model(_built()), unchecked)
    check.fit(step, unchecked)
    assert step.portions.at_once == 4
    assert not said


RUNS: list[dict[str, Any]] = [
    {"lr_dropout": True, "random_hsv_power": 0.1},
    {"precision": "bf16", "gan_power": 0.1, "gan_dims": 4, "true_face_power": 0.1},
    {"dfl_parity": True, "gan_power": 0.1, "gan_dims": 4, "ct_mode": "rct", "uniform_yaw": True},
]


@pytest.mark.parametrize("options", RUNS)
def test_the_batch_that_is_tried_changes_nothing(
    options: dict[str, Any], make_faces, tmp_path: Path, tiny_config, tiny_options
) -> None:
    """Losses, weights, optimizer, averages and discriminators, bit by bit, with it and without."""
    found = []
    for checks in (False, True):
        said: list[str] = []
        folder = create_model(tmp_path / str(checks), tiny_config)
        values = {"target_iter": 4, "memory_check": checks} | options
        job = Job("t", sinks=[lambda e, said=said: said.append(str(e.data))], workers=1)
        train(
            folder,
            make_faces(12),
            dst=make_faces(12, first=100),
            options=tiny_options.model_copy(update=values),
            job=job,
        )
        assert any("measured by a batch" in text for text in said) is (checks and _is_linux())
        state = folder.load(pytest.fail)
        tensors = {**state.model.state_dict(), **state.optimizer, **state.adversaries}
        found.append((list(state.history.src), list(state.history.dst), tensors))
    (src, dst, tensors), (src_too, dst_too, tensors_too) = found
    assert src == src_too
    assert dst == dst_too
    assert tensors.keys() == tensors_too.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, tensors_too[name]), name


def test_a_setting_that_does_not_fit_is_answered_and_training_goes_on(
    make_faces, tmp_path: Path, tiny_config, tiny_options, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job("t", workers=1)
    answers: list[str] = []
    room = footprint(
        tiny_config, tiny_options.model_copy(update={"batch_size": 2}), CPU, make=make
    ).at("cpu")
    monkeypatch.setattr(preflight, "free_memory", lambda place: int(1.4 * room))
    wish = {"key": "gan_power", "value": 0.1}
    job.command("set", wish, lambda said: answers.append(str(said)))
    folder = create_model(tmp_path / "m", tiny_config)
    options = tiny_options.model_copy(
        update={"memory_check": True, "target_iter": 3, "gan_dims": 512}
    )
    faces = {"dst": make_faces(12, first=100), "options": options, "job": job}
    assert train(folder, make_faces(12), **faces).iteration == 3
    assert len(answers) == 1
    assert "stays as it was" in answers[0]
    assert folder.load(pytest.fail).options.gan_power == 0


FILLED = """
import json, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from training.conftest import faces_of
from understudy.errors import MemoryShortError
from understudy.job import Job
from understudy.models.config import ModelConfig
from understudy.training.loop.trainer import train
from understudy.training.plan.options import TrainOptions
from understudy.training.state.model_folder import create_model

torch.set_num_threads(1)
torch.backends.mkldnn.enabled = False
ballast = []

def fill(event):
    if event.kind == "metric" and event.data["step"] == 3 and not ballast:
        text = Path("/proc/self/status").read_text()
        size = int(text.split("VmSize:")[1].split()[0]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
        try:
            while True:
                ballast.append(bytearray(1 << 18))
        except MemoryError:
            resource.setrlimit(resource.RLIMIT_AS, (size + (3 << 20), resource.RLIM_INFINITY))

config = ModelConfig(resolution=128, archi="df-ud", ae_dims=16, e_dims=16, d_dims=16)
options = TrainOptions(
    precision="fp32", batch_size=2, device="cpu", threads=1, target_iter=6, memory_check=False
)
folder = create_model(Path(sys.argv[2]), config)
job = Job("t", sinks=[fill], workers=1)
try:
    train(folder, faces_of(12), dst=faces_of(12, first=100), options=options, job=job)
    said = ""
except MemoryShortError as error:
    said = str(error)
ballast.clear()
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(json.dumps([said, folder.load(print).iteration]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits address space")
def test_when_memory_is_gone_for_good_what_was_learned_is_saved(tmp_path: Path) -> None:
    tests = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", FILLED, str(tests), str(tmp_path / "m")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said, iteration = json.loads(done.stdout.splitlines()[-1])
    assert "room for" in said
    assert iteration == 3


def _built() -> Model:
    return build(CONFIG)


def _is_linux() -> bool:
    return sys.platform == "linux"
