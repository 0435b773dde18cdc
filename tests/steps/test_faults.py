"""Faults while training runs: what was saved stays, what was lost is told, the run goes on as ever.

Kills are real (`kill -9`), the disk is full, files are damaged on disk. A run that met them gives
the losses of one that did not, bit for bit.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from training.conftest import faces_of
from understudy.cli.main import main
from understudy.facesets.dfl import write_face
from understudy.training.state.model_folder import ModelFolder, open_model
from understudy.workspace import Workspace

SMALL = ["--resolution", "64", "--ae-dims", "16", "--e-dims", "8", "--d-dims", "8"]
SMALL += ["--d-mask-dims", "4", "--batch-size", "2", "--threads", "1"]
RANDOM = ["--random-src-flip", "--random-hsv-power", "0.1", "--ct-mode", "sot", "--lr-dropout"]
RANDOM += ["--uniform-yaw", "--repeat-unwarped", "3", "--eyes-mouth-prio", "--ema", "0.9"]
GAN = ["--gan-power", "0.1", "--gan-dims", "4"]
SAEHD = ["--preset", "saehd", *SMALL, *RANDOM, *GAN, "--true-face-power", "0.1"]
AMP = ["--preset", "amp", "--face-type", "full_face", *SMALL, "--inter-dims", "16", *RANDOM, *GAN]
QUICK96 = ["--preset", "quick96", "--batch-size", "1", "--threads", "1"]
EVERY_ITERATION = ["--save-minutes", "1e-9"]
KILLS = 50


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with twelve painted faces on each side."""
    return painted(tmp_path / "w")


def painted(root: Path) -> Path:
    made = Workspace.create(root)
    for side, first in ((made.src, 0), (made.dst, 100)):
        for face in faces_of(12, first=first, size=96):
            write_face(side.aligned_dir / str(face.name), face, durable=False)
    return root


def train(workspace: Path, model: str, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "understudy.cli.main", "train", "--workspace", str(workspace)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, "--model", model, *options], stdout=pipe, stderr=pipe, text=True
    )


def train_to_the_end(workspace: Path, model: str, *options: str) -> str:
    """What was told on the way."""
    with train(workspace, model, *options) as run:
        _, told = run.communicate()
    assert run.returncode == 0, told
    return told


def folder_of(workspace: Path, model: str) -> ModelFolder:
    return open_model(workspace / "model" / model)


def losses(workspace: Path, model: str) -> list[tuple[float, ...]]:
    """All losses, as saved; nothing may be amiss with the save."""
    history = folder_of(workspace, model).load(pytest.fail, mend=False).history
    return list(zip(*history.curves.values(), strict=True))


def holding(folder: Path) -> int:
    """Iteration of the save that the pointer names; 0 before the first."""
    if not (folder / "current.json").exists():
        return 0
    name = json.loads((folder / "current.json").read_text())["save"]
    saved: int = json.loads((folder / "saves" / name / "save.json").read_text())["iteration"]
    return saved


def kill_after_saves(
    run: "subprocess.Popen[str]", folder: Path, iteration: int, wait: float
) -> str:
    """Kills the run a moment after it has saved so far; what it told."""
    while holding(folder) < iteration and run.poll() is None:
        time.sleep(0.02)
    time.sleep(wait)
    run.send_signal(signal.SIGKILL)
    return run.communicate()[1]


@pytest.mark.slow
@pytest.mark.parametrize("options", [SAEHD, AMP, QUICK96], ids=["SAEHD", "AMP", "Quick96"])
def test_a_run_killed_twice_has_the_losses_of_the_unbroken_one(
    options: list[str], workspace: Path
) -> None:
    train_to_the_end(workspace, "whole", *options, "--target-iter", "12")
    rng = random.Random(3)
    for iteration in (3, 7):
        with train(workspace, "killed", *options, *EVERY_ITERATION) as run:
            kill_after_saves(run, workspace / "model" / "killed", iteration, rng.uniform(0, 0.5))
        assert run.returncode == -signal.SIGKILL
    train_to_the_end(workspace, "killed", "--target-iter", "12")
    whole = losses(workspace, "whole")
    assert len(set(whole)) == 12
    assert losses(workspace, "killed") == whole


def _kill_in_a_save(run: "subprocess.Popen[str]", folder: Path, rng: random.Random) -> int:
    """Kills the run in the middle of one of its next saves; the iteration that was held before.

    The moment is drawn from the time the saves before took and a little more, so that it may fall
    into the writing, the naming, the pointer or the backup.
    """
    left_before = _begun(folder)
    wanted, took = rng.randint(2, 4), [0.1]
    while wanted and run.poll() is None:
        if _begun(folder) - left_before:
            wanted, held, start = wanted - 1, holding(folder), time.monotonic()
            while wanted and _begun(folder) - left_before:
                time.sleep(0.0005)
            took.append(time.monotonic() - start)
        time.sleep(0.0005)
    time.sleep(rng.uniform(0, 1.5) * took[-2])
    run.send_signal(signal.SIGKILL)
    return held


def _begun(folder: Path) -> set[Path]:
    """Saves that are being written, or were when a run was killed."""
    return set((folder / "saves").glob(".*.partial"))


@pytest.mark.slow
def test_fifty_kills_in_the_middle_of_saves_lose_nothing(workspace: Path) -> None:
    """What each kill left is written to `kills.json` beside the workspace."""
    rng = random.Random(11)
    options = ["--preset", "saehd", *SMALL, *RANDOM, *EVERY_ITERATION]
    path = workspace / "model" / "killed"
    report = []
    for kill in range(KILLS):
        backups = ["--backup-minutes", "1e-9" if kill % 3 == 2 else "0"]
        with train(workspace, "killed", *options, *backups) as run:
            held = _kill_in_a_save(run, path, rng)
            told = run.communicate()[1]
        assert run.returncode == -signal.SIGKILL, told
        assert "damaged" not in told, told
        if not path.joinpath("current.json").exists():
            report.append({"kill": kill, "left": "no save yet"})
            continue
        left = sorted(p.relative_to(path).as_posix() for p in path.rglob("*.partial*"))
        state = folder_of(workspace, "killed").load(pytest.fail, mend=False)
        assert state.iteration >= held
        assert len(state.history) == state.iteration
        report.append({"kill": kill, "held": held, "goes on from": state.iteration, "left": left})
    (workspace.parent / "kills.json").write_text(json.dumps(report, indent=1))
    inside = [entry for entry in report if entry["left"] and entry["left"] != "no save yet"]
    assert len(inside) >= KILLS // 4, "kills were to fall into saves"
    target = str(holding(path) + 3)
    train_to_the_end(workspace, "killed", "--target-iter", target)
    assert not list(path.rglob("*.partial*")), "the next run sweeps"
    train_to_the_end(workspace, "whole", *options[:-2], "--target-iter", target)
    assert losses(workspace, "killed") == losses(workspace, "whole")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True
    )
    if not done or done.returncode:
        pytest.skip("mounting a disk in memory is not allowed here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_the_run_and_loses_nothing(small_disk: Path, workspace: Path) -> None:
    options = ["--preset", "saehd", *SMALL, *RANDOM]
    root = painted(small_disk / "w")
    filling = [*EVERY_ITERATION, "--backup-minutes", "1e-9"]
    with train(root, "m", *options, *filling, "--target-iter", "400") as run:
        said, told = run.communicate()
    last = told.strip().splitlines()[-1]
    assert run.returncode == 2, told
    assert "expected free disk space, found a full disk" in last
    assert "done:" not in said
    path = root / "model" / "m"
    held = holding(path)
    assert len(losses(root, "m")) == held >= 2
    assert not list(path.rglob("*.partial*"))
    # the way out that the disk leaves
    assert (
        main(["model", "prune", "m", "--backups", "1", "--delete", "--workspace", str(root)]) == 0
    )
    off = ["--save-minutes", "25", "--backup-minutes", "0"]
    told = train_to_the_end(root, "m", *off, "--target-iter", str(held + 2))
    assert f"going on from iteration {held}" in told
    train_to_the_end(workspace, "whole", *options, "--target-iter", str(held + 2))
    assert losses(root, "m") == losses(workspace, "whole")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)


def newest(path: Path) -> Path:
    return sorted((path / "saves").iterdir())[-1]


DAMAGES: dict[str, tuple[Callable[[Path], object], int, str]] = {
    # what is done to a model saved at 4 and 6; where it goes on; what is said
    "state cut short": (lambda p: cut(newest(p) / "state.safetensors"), 4, "instead of"),
    "state flipped": (lambda p: flip(newest(p) / "state.safetensors"), 4, "other bytes"),
    "state gone": (
        lambda p: (newest(p) / "state.safetensors").unlink(),
        4,
        "state.safetensors: no such",
    ),
    "options cut short": (lambda p: cut(newest(p) / "options.json"), 4, "options.json"),
    "list cut short": (lambda p: cut(newest(p) / "save.json"), 4, "save.json: text that is none"),
    "save gone": (lambda p: shutil.rmtree(newest(p)), 4, "gone"),
    "pointer gone": (lambda p: (p / "current.json").unlink(), 6, "taking the newest save"),
    "pointer cut short": (lambda p: cut(p / "current.json"), 6, "taking the newest save"),
    "history cut short": (lambda p: cut(p / "history.jsonl"), 6, "losses of the first 6"),
    "history gone": (lambda p: (p / "history.jsonl").unlink(), 6, "losses of the first 6"),
}


@pytest.fixture(scope="module")
def saved_twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a model saved at iterations 4 and 6, and one that went through to 8."""
    root = painted(tmp_path_factory.mktemp("faults") / "w")
    for model, targets in (("m", ("4", "6")), ("whole", ("8",))):
        for target in targets:
            at = ["--workspace", str(root), "--model", model, "--target-iter", target]
            assert main(["train", "--preset", "saehd", *SMALL, *RANDOM, *at]) == 0
    return root


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_on_disk_is_told_and_costs_no_more_than_the_last_save(
    damage: str, saved_twice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, goes_on, said = DAMAGES[damage]
    root = Path(shutil.copytree(saved_twice, tmp_path / "w"))
    path = root / "model" / "m"
    spoil(path)
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    capsys.readouterr()
    at = ["--workspace", str(root), "--model", "m", "--target-iter", "8", "--threads", "1"]
    assert main(["train", *at]) == 0
    told = capsys.readouterr().err
    assert told.count(said) == 1, told
    assert f"going on from iteration {goes_on}" in told
    made = losses(root, "m")
    assert made == losses(root, "whole")[-len(made) :]
    assert len(made) == (2 if "history" in damage else 8)
    if "state" in damage and "gone" not in damage:  # the evidence stays
        spoiled = before[path / "saves" / "000002" / "state.safetensors"]
        assert any(p.read_bytes() == spoiled for p in path.rglob("state.safetensors"))
