"""The model folder: what is saved comes back, and no kill, damage or full disk loses it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from understudy.errors import FileError, StateError
from understudy.files import sha256_file
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.training.plan.options import TrainOptions
from understudy.training.state.backups import BACKUPS_KEPT
from understudy.training.state.model_folder import (
    ModelFolder,
    create_model,
    load_model,
    open_model,
)
from understudy.training.state.train_state import TrainState


def _state(config: ModelConfig, iteration: int = 3) -> TrainState:
    model = build(config, seed=iteration)
    weights = dict(model.named_parameters())
    state = TrainState(config, model, TrainOptions(seed=5), iteration, 12.5, 1)
    state.optimizer = {
        f"{slot}/{k}": torch.full_like(v, index)
        for index, slot in enumerate(("m", "v"))
        for k, v in weights.items()
    } | {f"average/{k}": v.detach() * 2 for k, v in weights.items()}
    state.optimizer_iteration = iteration + 7
    for index in range(iteration):
        state.history.add(1 / (index + 1), 2 / (index + 3))
    state.history.measure(iteration, "src SSIM", 0.5)
    return state


@pytest.fixture
def saved(tmp_path: Path, tiny_config: ModelConfig) -> tuple[ModelFolder, TrainState]:
    folder = create_model(tmp_path / "Modèle 顔", tiny_config)
    state = _state(tiny_config)
    folder.save(state)
    return folder, state


def _fail(text: str) -> None:
    pytest.fail(f"unexpected message: {text}")


def _same_weights(one: torch.nn.Module, two: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_what_is_saved_comes_back(saved) -> None:
    folder, state = saved
    loaded = open_model(folder.path).load(_fail)
    assert _same_weights(loaded.model, state.model)
    assert loaded.options == state.options
    assert (loaded.iteration, loaded.seconds, loaded.attempt) == (3, 12.5, 1)
    assert loaded.optimizer_iteration == 10
    assert set(loaded.optimizer) == set(state.optimizer)
    for key, tensor in state.optimizer.items():
        assert torch.equal(loaded.optimizer[key], tensor)
    assert list(loaded.history.src) == list(state.history.src)
    assert loaded.history.measures == [(3, "src SSIM", 0.5)]


def test_merging_takes_the_averaged_weights(saved) -> None:
    folder, state = saved
    averaged, iteration, digest = load_model(folder.path, _fail)
    assert iteration == 3
    assert digest == sha256_file(folder.saves_dir / "000001" / "state.safetensors")
    for name, parameter in averaged.named_parameters():
        assert torch.equal(parameter, state.averaged[name])
    plain = load_model(folder.path, _fail, averaged=False).model
    assert _same_weights(plain, state.model)


def test_the_last_two_saves_are_kept(saved, tiny_config) -> None:
    folder, _ = saved
    for iteration in (4, 5):
        folder.save(_state(tiny_config, iteration))
    assert folder.numbers() == [2, 3]
    assert folder.load(_fail).iteration == 5
    assert not list(folder.path.rglob("*.partial*"))


def _flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGE = {
    "one bit": lambda save: _flip_byte(save / "state.safetensors"),
    "cut short": lambda save: os.truncate(save / "state.safetensors", 100),
    "gone": lambda save: (save / "state.safetensors").unlink(),
    "no list": lambda save: (save / "save.json").write_text("{}"),
    "no folder": shutil.rmtree,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_save_falls_back_to_the_one_before_loudly(kind, saved, tiny_config) -> None:
    folder, _ = saved
    folder.save(_state(tiny_config, 6))
    DAMAGE[kind](folder.saves_dir / "000002")
    said: list[str] = []
    loaded = open_model(folder.path).load(said.append)
    assert loaded.iteration == 3
    assert len(loaded.history) == 3
    assert any("000002" in text and "trying the one before" in text for text in said)


def test_what_was_saved_after_a_fall_back_outlives_the_damaged_one(saved, tiny_config) -> None:
    folder, _ = saved
    folder.save(_state(tiny_config, 6))
    _flip_byte(folder.saves_dir / "000002" / "state.safetensors")
    state = folder.load(lambda text: None)
    state.iteration = 4
    state.history.add(0.25, 0.25)
    folder.save(state)
    again = open_model(folder.path).load(_fail)
    assert again.iteration == 4
    assert list(again.history.src) == [1.0, 0.5, 1 / 3, 0.25]
    assert list(folder.saves_dir.glob("*.damaged*"))


def test_no_whole_save_is_an_error_and_never_a_fresh_start(saved) -> None:
    folder, _ = saved
    _flip_byte(folder.saves_dir / "000001" / "state.safetensors")
    with pytest.raises(StateError, match=r"1 damaged.*backups"):
        open_model(folder.path).load(lambda text: None)


def test_a_damaged_pointer_takes_the_newest_save(saved) -> None:
    folder, _ = saved
    (folder.path / "current.json").write_text("{]")
    said: list[str] = []
    assert folder.load(said.append).iteration == 3
    assert "current.json" in said[0]


def test_lost_losses_do_not_stop_training(saved) -> None:
    folder, _ = saved
    (folder.path / "history.jsonl").write_text("nonsense\n" * 40)
    said: list[str] = []
    state = folder.load(said.append)
    assert "losses" in said[0]
    state.history.add(1.0, 2.0)
    state.iteration += 1
    folder.save(state)
    again = open_model(folder.path).load(_fail)
    assert (again.history.start, list(again.history.dst)) == (3, [2.0])


def test_another_config_is_refused_naming_both(saved, tiny_config) -> None:
    folder, _ = saved
    other = tiny_config.model_copy(update={"resolution": 64, "ae_dims": 16})
    with pytest.raises(StateError, match=r"resolution 32, ae_dims 8\), found resolution 64, ae_di"):
        create_model(folder.path, other)
    assert create_model(folder.path, tiny_config).load(_fail).iteration == 3


def test_a_model_of_a_newer_version_is_refused(saved) -> None:
    folder, _ = saved
    path = folder.path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(StateError, match="version 99"):
        open_model(folder.path)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nowhere"):
        open_model(tmp_path / "nowhere")


def test_weights_of_another_model_are_refused(saved) -> None:
    folder, _ = saved
    path = folder.path / "config.json"
    value = json.loads(path.read_text())
    value["config"]["ae_dims"] = 16
    path.write_text(json.dumps(value))
    with pytest.raises(StateError, match="1 damaged"):
        open_model(folder.path).load(lambda text: None)


def test_backups_move_up_and_are_models_themselves(saved, tiny_config) -> None:
    folder, _ = saved
    folder.backup()
    folder.save(_state(tiny_config, 8))
    folder.save(_state(tiny_config, 9))
    assert folder.backup().name == "01"
    assert open_model(folder.backups_dir / "01").load(_fail).iteration == 9
    assert open_model(folder.backups_dir / "02").load(_fail).iteration == 3
    for _ in range(BACKUPS_KEPT):
        folder.backup()
    names = sorted(p.name for p in folder.backups_dir.iterdir())
    assert names == [f"{n:02d}" for n in range(1, BACKUPS_KEPT + 1)]


CHILD = """
import os, random, resource, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from test_model_folder import _state
from understudy.errors import StorageError
from understudy.models.config import ModelConfig
from understudy.training.state.model_folder import create_model, open_model

config = ModelConfig.model_validate_json({config!r})
folder = create_model(Path({path!r}), config)
state = _state(config, 1)


def advance():
    state.iteration += 1
    state.history.add(1 / state.iteration, 0.5)
"""

KILLS = """
random.seed(1)
acknowledged, read_end, write_end = 0, *os.pipe()
folder.save(state)
for trial in range(20):
    child = os.fork()
    if not child:
        mine = open_model(folder.path)
        mine.sweep()
        state = mine.load(lambda text: None)
        os.write(write_end, bytes([0]))
        while state.iteration < 255:
            advance()
            mine.save(state)
            os.write(write_end, bytes([state.iteration]))
            if random.random() < 0.3:
                mine.backup()
        os._exit(0)
    acknowledged = max(acknowledged, *os.read(read_end, 1 << 16), 0)
    if trial % 2:  # some are killed in their first save, some in a later one, on any machine
        acknowledged = max(acknowledged, *os.read(read_end, 1 << 16), 0)
    time.sleep(random.uniform(0.0, 0.15))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.write(write_end, bytes([0]))
    acknowledged = max(acknowledged, *os.read(read_end, 1 << 16), 0)
    said = []
    loaded = open_model(folder.path).load(said.append, mend=False)
    assert not said, said
    assert loaded.iteration >= acknowledged, (loaded.iteration, acknowledged)
    assert len(loaded.history) == loaded.iteration
print("reached", loaded.iteration)
"""

FULL = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder.save(state)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    advance()
    folder.save(state)
except StorageError as error:
    print("refused", error)
print([str(p.name) for p in folder.path.rglob("*") if "partial" in p.name])
print(folder.numbers(), open_model(folder.path).load(print).iteration)
"""


def _run_child(script: str, folder: Path, config: ModelConfig) -> str:
    code = CHILD.format(
        tests=str(Path(__file__).parent), config=config.model_dump_json(), path=str(folder)
    )
    done = subprocess.run(
        [sys.executable, "-c", code + script], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_at_any_moment_leaves_a_state_that_loads(tmp_path: Path, tiny_config) -> None:
    reached = int(_run_child(KILLS, tmp_path / "m", tiny_config).split()[-1])
    assert reached > 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs resource limits")
def test_a_write_that_fails_leaves_the_old_save(tmp_path: Path, tiny_config) -> None:
    lines = _run_child(FULL, tmp_path / "m", tiny_config).splitlines()
    assert lines[0].startswith("refused")
    assert lines[1:] == ["[]", "[1] 1"]
