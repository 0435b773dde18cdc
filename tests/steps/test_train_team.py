"""Training in two processes: what one does with the whole batch; and how a team ends."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from made_faceset import make_workspace
from tiny_model import TINY
from understudy.cli.main import main
from understudy.processes import Place
from understudy.training.loop.trainer import Trainer
from understudy.training.state.model_folder import open_model
from understudy.workspace import Workspace

TRAIN = ["train", *TINY[:-4], "--batch-size", "5", "--threads", "1"]
TRAIN += ["--precision", "fp32", "--held-out", "0.2"]
IN_TWO = ["--devices", "cpu,cpu"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("team") / "w", src=13, dst=12).root


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(made, tmp_path / "w"))
    torch.set_num_threads(1)


def _losses(workspace: Path, model: str) -> list[float]:
    history = open_model(workspace / "model" / model).load(pytest.fail).history
    return [*history.src, *history.dst]


@pytest.mark.parametrize(
    ("changes", "targets"),
    [
        (["--eyes-mouth-prio", "--uniform-yaw", "--ct-mode", "sot"], "246"),
        (
            [
                *("--gan-power", "0.1", "--gan-dims", "4", "--true-face-power", "0.1"),
                *("--clipgrad", "--lr-dropout", "--lr-warmup", "4"),
            ],
            "246",
        ),
        (["--unwarped-end", "0.5", "--lr-fall", "0.5"], "6"),
    ],
)
def test_two_processes_train_as_one_with_the_whole_batch(
    workspace: Path, capsys: pytest.CaptureFixture[str], changes: list[str], targets: str
) -> None:
    train = [*TRAIN, *changes, "--workspace", str(workspace), "--model"]
    assert main([*train, "one", "--device", "cpu", "--target-iter", "6"]) == 0
    # in two, on from the save in one, in two again: who trains does not matter
    places = (IN_TWO, ["--device", "cpu"], IN_TWO)
    for target, where in zip(targets, places, strict=False):
        assert main([*train, "two", *where, "--target-iter", target]) == 0
    wanted, made = _losses(workspace, "one"), _losses(workspace, "two")
    assert len(made) == len(wanted) == 12
    assert made == pytest.approx(wanted, rel=1e-4)
    assert len(set(made)) == 12
    assert "2 processes share each batch" in capsys.readouterr().err
    report = json.loads((workspace / "reports" / "train.json").read_text())
    assert not report["failed"]


def _break_once(monkeypatch: pytest.MonkeyPatch, *, at: int) -> None:
    """After that iteration a weight is no number any more."""
    iterate, broken = Trainer._iterate, []

    def breaking(self: Trainer) -> None:
        iterate(self)
        if self.state.iteration == at and not broken:
            broken.append(at)
            with torch.no_grad():
                next(self.state.model.parameters()).fill_(math.nan)

    monkeypatch.setattr(Trainer, "_iterate", breaking)


def test_a_team_goes_back_to_the_last_good_save(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train = [*TRAIN, "--target-iter", "5", "--workspace", str(workspace)]
    for model, where in (("one", ["--device", "cpu"]), ("two", IN_TWO)):
        with monkeypatch.context() as patch:
            _break_once(patch, at=3)
            assert main([*train, "--model", model, *where]) == 0
        assert "back to iteration 1" in capsys.readouterr().err
    made = _losses(workspace, "two")
    assert made == pytest.approx(_losses(workspace, "one"), rel=1e-4)
    assert all(map(math.isfinite, made))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--devices", "cpu,cpu", "--batch-size", "1"], "--batch-size"),
        (["--devices", "cpu,warp9"], "--devices"),
        (["--devices", "7"], "--devices"),
    ],
)
def test_what_can_not_be_is_refused(workspace: Path, told, options: list[str], said: str) -> None:
    line = told(*TRAIN, "--workspace", workspace, *options)
    assert said in line


def test_one_device_in_the_row_is_that_device(workspace: Path) -> None:
    at = ["--workspace", str(workspace)]
    assert main([*TRAIN, *at, "--devices", "cpu", "--target-iter", "1"]) == 0


class Running:
    """A team at work, started as the user does."""

    def __init__(self, workspace: Path, events: Path, *more: str) -> None:
        self.workspace, self._events = workspace, events
        command = [sys.executable, "-m", "understudy.cli.main", *TRAIN, *IN_TWO]
        command += ["--workspace", str(workspace), "--events", str(events), *more]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stderr=pipe, text=True)
        self.others = [0]

    def __enter__(self) -> "Running":
        self.wait_for("metric", iteration=3)
        self.others = _children(self.process.pid)
        assert len(self.others) == 1
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        for other in self.others:
            assert _is_gone(other), "a process was left behind"

    def wait_for(self, kind: str, text: str = "", *, iteration: int = 0) -> None:
        """Until an event of that kind that says so is in the log."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            lines = self._events.read_text().splitlines() if self._events.exists() else []
            for line in lines:
                event = json.loads(line)
                wanted = event["event"] == kind and text in line
                if wanted and (not iteration or event["step"] >= iteration):
                    return
            assert self.process.poll() is None, self.process.communicate()[1]
            time.sleep(0.05)
        raise AssertionError(f"no {kind} {text}")

    def say(self, **command: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def ended(self) -> tuple[int, str]:
        """Exit code and what was told."""
        said = self.process.communicate(timeout=120)[1]
        return self.process.returncode, said

    def saved_iteration(self) -> int:
        newest = open_model(self.workspace / "model" / "new").newest(pytest.fail)
        assert newest is not None
        return newest.iteration


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_gone(pid: int, seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        status = Path(f"/proc/{pid}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return True
        time.sleep(0.1)
    return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")


@pytest.fixture
def running(workspace: Path, tmp_path: Path) -> Running:
    return Running(workspace, tmp_path / "events.jsonl")


@needs_proc
def test_settings_a_pause_and_a_stop_hold_for_all(running: Running) -> None:
    with running:
        running.say(command="set", key="batch_size", value=1)
        running.wait_for("message", "a face for each process")
        running.say(command="set", key="batch_size", value=7)
        running.say(command="set", key="eyes_mouth_prio", value=True)
        running.wait_for("message", "eyes_mouth_prio is True")
        running.say(command="pause")
        time.sleep(1)
        running.say(command="resume")
        running.say(command="stop")
        code, said = running.ended()
    assert code == 0, said
    assert "ended: stopped" in said
    assert running.saved_iteration() >= 1


@needs_proc
def test_ctrl_c_saves_and_ends_all(running: Running) -> None:
    with running:
        for pid in (running.process.pid, *running.others):  # a terminal tells all of them
            os.kill(pid, signal.SIGINT)
        code, said = running.ended()
    assert code == 130, said
    assert said.splitlines()[-1].startswith("cancelled")
    assert running.saved_iteration() >= 3


@needs_proc
def test_a_further_process_asked_to_end_stops_the_run(running: Running) -> None:
    with running:
        os.kill(running.others[0], signal.SIGTERM)
        code, said = running.ended()
    assert code == 130, said
    assert running.saved_iteration() >= 3


@needs_proc
def test_a_process_killed_ends_the_run_and_is_named(running: Running) -> None:
    with running:
        os.kill(running.others[0], signal.SIGKILL)
        code, said = running.ended()
    assert code == 2, said
    assert "process 2 of 2" in said.splitlines()[-1]
    assert "signal 9" in said.splitlines()[-1]
    assert running.saved_iteration() == 1
    report = json.loads((running.workspace / "reports" / "train.json").read_text())
    assert "process 2 of 2" in report["failed"][0]["reason"]
    # the workspace is free, and training goes on
    again = [*TRAIN, "--workspace", str(running.workspace), *IN_TWO, "--target-iter", "3"]
    assert main(again) == 0
    assert running.saved_iteration() == 3


@needs_proc
def test_no_process_outlives_the_first(running: Running) -> None:
    with running:
        running.process.kill()
        assert _is_gone(running.others[0])
    assert running.saved_iteration() == 1


def test_an_error_in_a_further_process_is_told(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # started by torchrun, with the second process looking at another facesets' folder
    other = make_workspace(workspace.parent / "other", src=5, dst=5).root
    run = _torchrun(workspace, other)
    assert run.returncode != 0
    assert "src, on process 2" in run.stderr
    assert "the 13 faces of the first process" in run.stderr


def test_under_torchrun(workspace: Path) -> None:
    train = [*TRAIN, "--workspace", str(workspace), "--target-iter", "3"]
    assert main([*train, "--model", "one", "--device", "cpu"]) == 0
    for _ in range(2):  # the second time there is nothing left to do
        run = _torchrun(workspace, workspace, "--model", "two", "--target-iter", "3")
        assert run.returncode == 0, run.stderr
        assert run.stdout.splitlines()[-1].startswith("done: ")
    assert _losses(workspace, "two") == pytest.approx(_losses(workspace, "one"), rel=1e-4)
    with Workspace.open(workspace).lock():
        run = _torchrun(workspace, workspace)
    assert run.returncode != 0
    assert "nobody is working on" in run.stderr


def test_other_steps_run_alone(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in Place(1, 2, 1, 2).environment("127.0.0.1", 1).items():
        monkeypatch.setenv(name, value)
    assert main(["sort", "src", "--by", "hist", "--workspace", str(workspace)]) == 2
    assert "train or bench" in capsys.readouterr().err


def _torchrun(first: Path, second: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    """One process on each of two workspaces, as torchrun starts them on two machines."""
    script = first.parent / "of_rank"
    script.write_text(
        f"import os, sys\nfrom understudy.cli.main import main\n"
        f"where = [{str(first)!r}, {str(second)!r}][int(os.environ['RANK'])]\n"
        f"sys.exit(main({[*TRAIN, '--device', 'cpu', *more]!r} + ['--workspace', where]))\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(script)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
