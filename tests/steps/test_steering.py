"""A running job is watched through its events file and steered through its standard input."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tiny_model import TINY
from understudy.cli.main import main
from understudy.training.state.model_folder import open_model
from understudy.workspace import Workspace

Clips = tuple[Path, Path]


@pytest.fixture(scope="module")
def with_faces(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faces") / "w"
    Workspace.create(root)
    for side, clip in zip(("src", "dst"), clips, strict=True):
        at = ["--workspace", str(root)]
        assert main(["frames", side, "--video", str(clip), *at]) == 0
        assert main(["extract", side, "--image-size", "256", *at]) == 0
    return root


@pytest.fixture
def workspace(with_faces: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(with_faces, tmp_path / "w"))


def start_training(
    workspace: Path, *more: str, hang_up: signal.Handlers = signal.SIG_DFL
) -> "subprocess.Popen[str]":
    """A training of its own, to which closing a terminal is what `hang_up` says.

    A child takes that over, and these tests may themselves run under nohup.
    """
    command = [sys.executable, "-m", "understudy.cli.main", "train", "--workspace", str(workspace)]
    pipe = subprocess.PIPE
    before = signal.signal(signal.SIGHUP, hang_up)
    try:
        return subprocess.Popen(
            [*command, *TINY, *more], stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
    finally:
        signal.signal(signal.SIGHUP, before)


def wait_for(path: Path, kind: str, seconds: float = 60.0) -> dict[str, object]:
    """First event of a kind in the events file."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if path.exists():
            for line in path.read_text().splitlines():
                event: dict[str, object] = json.loads(line)
                if event["event"] == kind:
                    return event
        time.sleep(0.05)
    raise AssertionError(f"no {kind} within {seconds} s")


def test_commands_on_standard_input(workspace: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    with start_training(workspace, "--events", str(events)) as run:
        assert run.stdin is not None and run.stdout is not None and run.stderr is not None
        wait_for(events, "metric")
        run.stdin.buffer.write(b"\xff no text\n")
        for command in ("preview", "backup", "dance", "stop"):
            run.stdin.write(json.dumps({"command": command}) + "\n")
            run.stdin.flush()
        said, told = run.stdout.read(), run.stderr.read()
    assert run.returncode == 0, told
    assert said.splitlines()[-1].startswith("done: ")
    assert "dance" in told
    assert "no text" in told
    model = workspace / "model" / "new"
    assert (model / "backups" / "01" / "config.json").exists()
    assert list((model / "previews").glob("*.png"))
    kinds = [json.loads(line)["event"] for line in events.read_text().splitlines()]
    assert kinds[0] == "started"
    assert kinds[-1] == "finished"
    assert "preview" in kinds


def test_commands_from_another_terminal(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "events.jsonl"
    at = ["--workspace", str(workspace)]

    def tell(*tokens: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["train", *tokens, *at])
        said = capsys.readouterr()
        return code, said.out, said.err

    assert tell("save")[0] == 2  # nothing runs yet
    with start_training(workspace, "--events", str(events)) as run:
        assert run.stdout is not None and run.stderr is not None
        wait_for(events, "metric")
        code, said, _ = tell("set", "batch_size=3", "random-warp=off")
        assert code == 0
        assert "done: batch_size is 3, random_warp is False from iteration" in said
        code, _, told = tell("set", "batch_size=4", "resolution=128")
        assert code == 2
        assert "fixes the shape of the weights" in told
        code, _, told = tell("set", "batch_size")
        assert (code, "KEY=VALUE" in told) == (2, True)
        assert "done: paused" in tell("pause")[1]
        assert "is kept in" in tell("backup")[1]  # a paused job still obeys
        assert "done: going on" in tell("resume")[1]
        face = sorted((workspace / "data_src" / "aligned").iterdir())[2].name
        assert "preview of iteration" in tell("preview", "--src", face)[1]
        assert "name of a face" in tell("preview", "--dst", "nobody.jpg")[2]
        assert "saved at iteration" in tell("save")[1]
        code, said, _ = tell("stop")
        assert (code, "done: stopping after iteration" in said) == (0, True)
        told = run.stderr.read()
    assert run.returncode == 0, told
    assert "batch_size is 3" in told, "the job itself says so, too"
    newest = open_model(workspace / "model" / "new").newest(print)
    assert newest is not None
    assert (newest.options.batch_size, newest.options.random_warp) == (3, False)
    assert newest.options.preview_src == (face,)
    assert tell("save")[0] == 2  # nothing runs any more


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_says_so(
    number: signal.Signals, workspace: Path, tmp_path: Path
) -> None:
    events = tmp_path / "events.jsonl"
    with start_training(workspace, "--events", str(events)) as run:
        assert run.stderr is not None
        wait_for(events, "metric")
        run.send_signal(number)
        told = run.stderr.read()
    assert run.returncode == 130, told
    assert told.splitlines()[-1].startswith("cancelled")
    newest = open_model(workspace / "model" / "new").newest(print)
    assert newest is not None
    assert newest.iteration >= 1
    last = json.loads(events.read_text().splitlines()[-1])
    assert last["event"] == "cancelled"


def test_training_goes_on_when_nobody_reads_what_it_says(workspace: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    with start_training(workspace, "--events", str(events)) as run:
        assert run.stderr is not None and run.stdin is not None and run.stdout is not None
        run.stderr.close()
        wait_for(events, "metric")
        for command in ("save", "stop"):  # both are told to nobody
            run.stdin.write(json.dumps({"command": command}) + "\n")
            run.stdin.flush()
        said = run.stdout.read()
    assert run.returncode == 0
    assert said.splitlines()[-1].startswith("done: ")
    newest = open_model(workspace / "model" / "new").newest(print)
    assert newest is not None
    assert newest.iteration >= 1


def test_what_outlives_its_terminal_is_not_ended_with_it(workspace: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    nohup = signal.SIG_IGN
    with start_training(workspace, "--events", str(events), hang_up=nohup) as run:
        assert run.stdin is not None and run.stdout is not None
        wait_for(events, "metric")
        run.send_signal(signal.SIGHUP)
        run.stdin.write(json.dumps({"command": "stop"}) + "\n")
        run.stdin.flush()
        said = run.stdout.read()
    assert run.returncode == 0
    assert said.splitlines()[-1].startswith("done: ")


def test_a_model_keeps_its_shape(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", "--workspace", str(workspace), "--threads", "1"]
    assert main([*train, *TINY[:-2], "--target-iter", "2"]) == 0
    capsys.readouterr()
    assert main([*train, "--resolution", "96"]) == 2
    assert "--resolution" in capsys.readouterr().err
    assert main([*train, "--target-iter", "3"]) == 0
    newest = open_model(workspace / "model" / "new").newest(print)
    assert newest is not None
    assert newest.iteration == 3


def test_a_face_for_previews_that_is_not_there_is_refused_first(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", "--workspace", str(workspace), *TINY, "--target-iter", "1"]
    assert main([*train, "--preview-dst", "nobody.jpg"]) == 2
    assert "--preview-dst: expected the name of a face" in capsys.readouterr().err
    assert not (workspace / "model" / "new").exists()


def test_curves_are_written_on_request(workspace: Path) -> None:
    train = ["train", "--workspace", str(workspace), *TINY, "--target-iter"]
    assert main([*train, "1"]) == 0
    where = workspace / "model" / "new" / "tensorboard"
    assert not where.exists()
    for target in ("2", "3"):  # what is asked for once holds
        assert main([*train, target, *(["--tensorboard"] if target == "2" else [])]) == 0
    assert len(list(where.iterdir())) == 2


def test_damaged_newest_save_falls_back_loudly(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", "--workspace", str(workspace), *TINY]
    assert main([*train, "--target-iter", "1"]) == 0
    assert main([*train, "--target-iter", "2"]) == 0
    saves = sorted((workspace / "model" / "new" / "saves").iterdir())
    tensors = saves[-1] / "state.safetensors"
    tensors.write_bytes(tensors.read_bytes()[: tensors.stat().st_size // 2])
    capsys.readouterr()
    assert main([*train, "--target-iter", "3"]) == 0
    assert "damaged" in capsys.readouterr().err


def test_extract_refuses_other_options_and_restarts_on_demand(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extract = ["extract", "src", "--workspace", str(workspace), "--image-size"]
    faces = sorted((workspace / "data_src" / "aligned").iterdir())
    assert len(faces) == 6
    assert main([*extract, "128"]) == 2
    assert "image_size 256 before, 128 now" in capsys.readouterr().err
    assert sorted((workspace / "data_src" / "aligned").iterdir()) == faces
    assert main([*extract, "128", "--restart"]) == 0
    assert sorted((workspace / "data_src" / "aligned").iterdir()) == faces


def test_an_unreadable_frame_is_listed_not_fatal(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = workspace / "data_dst" / "00003.png"
    frame.write_bytes(frame.read_bytes()[:500])
    code = main(
        ["extract", "dst", "--workspace", str(workspace), "--image-size", "256", "--restart"]
    )
    assert code == 3
    captured = capsys.readouterr()
    assert "00003.png" in captured.err
    assert captured.out.splitlines()[-1].startswith("done: ")
    report = json.loads((workspace / "reports" / "extract.json").read_text())
    assert [f["item"] for f in report["failed"]] == ["00003.png"]
    assert report["done"] == 4
