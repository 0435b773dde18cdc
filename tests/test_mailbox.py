"""Commands of other processes: taken in order, answered, none lost, none for a later run."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from understudy.errors import OptionError
from understudy.job import Event, Job
from understudy.mailbox import listening, send
from understudy.workspace import Workspace

SEND = """
import sys, pathlib
from understudy.mailbox import send
from understudy.workspace import Workspace
for number in range(10):
    said = {"command": "set", "values": {f"{sys.argv[2]}-{number}": number}}
    print(send(Workspace.open(pathlib.Path(sys.argv[1])), said, wait=30.0))
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


@contextmanager
def at_work(workspace: Workspace, job: Job, done: list[str]) -> Iterator[None]:
    """A step that holds the workspace and obeys now and then."""
    ended = threading.Event()

    def change(values: dict[str, dict[str, int]]) -> str:
        (name,) = values["values"]
        if name == "colour":
            raise OptionError("set colour", expected="an option", found="none", remedy="See.")
        done.append(name)
        return f"{name} is set"

    def loop() -> None:
        while not ended.wait(0.02):
            job.obey({"set": change, "save": lambda _: "saved"})

    with workspace.lock(), listening(workspace, job):
        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def test_a_command_is_answered_by_the_step(workspace: Workspace) -> None:
    with at_work(workspace, Job("train"), []):
        assert send(workspace, {"command": "save"}, wait=30.0) == "saved"
        assert send(workspace, {"command": "pause"}, wait=30.0) == "paused"
        with pytest.raises(OptionError, match=r"set colour: expected an option, found none\. See"):
            send(workspace, {"command": "set", "values": {"colour": 1}}, wait=30.0)
        with pytest.raises(OptionError, match="one of set, save"):
            send(workspace, {"command": "dance"}, wait=30.0)
    assert list(workspace.commands_dir.iterdir()) == []


def test_senders_at_once_lose_nothing(workspace: Workspace) -> None:
    done: list[str] = []
    with at_work(workspace, Job("train"), done):
        command = [sys.executable, "-c", SEND, str(workspace.root)]
        with ThreadPoolExecutor(4) as pool:
            runs = list(
                pool.map(
                    lambda name: subprocess.run(
                        [*command, name], capture_output=True, text=True, check=False
                    ),
                    "abcd",
                )
            )
    for name, run in zip("abcd", runs, strict=True):
        assert run.stdout.splitlines() == [f"{name}-{k} is set" for k in range(10)], run.stderr
        assert [n for n in done if n[0] == name] == [f"{name}-{k}" for k in range(10)]


def test_nobody_listens(workspace: Workspace) -> None:
    with pytest.raises(OptionError, match=r"running train.*found none"):
        send(workspace, {"command": "save"}, wait=30.0)
    with workspace.lock(), pytest.raises(OptionError, match="a job that takes none"):
        send(workspace, {"command": "save"}, wait=30.0)


def test_a_killed_step_is_told_and_its_commands_reach_no_later_one(workspace: Workspace) -> None:
    code = "import pathlib, sys, time\nfrom understudy.job import Job\n"
    code += "from understudy.mailbox import listening\nfrom understudy.workspace import Workspace\n"
    code += "w = Workspace.open(pathlib.Path(sys.argv[1]))\n"
    code += "with w.lock(), listening(w, Job('train')):\n print('up', flush=True)\n time.sleep(99)"
    command = [sys.executable, "-c", code, str(workspace.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"up\n"
        threading.Timer(2.0, run.kill).start()
        with pytest.raises(OptionError, match="ended before it came to this"):
            send(workspace, {"command": "save"}, wait=60.0)
    assert workspace.listener_path.exists()
    with pytest.raises(OptionError, match="found none"):
        send(workspace, {"command": "save"}, wait=1.0)
    left = workspace.commands_dir / "0badf00d.1.2.json"
    left.write_text('{"command": "stop"}')
    job = Job("train")
    with workspace.lock():
        assert not workspace.listener_path.exists()
        with listening(workspace, job):
            time.sleep(0.5)
            assert job.commands() == []
            assert send(workspace, {"command": "resume"}, wait=30.0) == "going on"


def test_a_step_that_ends_refuses_what_it_did_not_come_to(workspace: Workspace) -> None:
    job = Job("train")
    with ThreadPoolExecutor(1) as pool:
        with workspace.lock(), listening(workspace, job):
            asked = pool.submit(send, workspace, {"command": "save"}, wait=60.0)
            while job._commands.empty():
                time.sleep(0.02)
        with pytest.raises(OptionError, match="ended before it came to this"):
            asked.result()


def test_a_busy_step_will_come_to_it(workspace: Workspace) -> None:
    job = Job("train")
    with workspace.lock(), listening(workspace, job):
        assert "will come to it" in send(workspace, {"command": "save"}, wait=1.0)
        assert [command.name for command in job.commands()] == ["save"]


def test_what_is_no_command_is_told_and_removed(workspace: Workspace) -> None:
    heard: list[Event] = []
    job = Job("train", sinks=[heard.append])
    with workspace.lock(), listening(workspace, job):
        mark = json.loads(workspace.listener_path.read_text())["mark"]
        (workspace.commands_dir / f"{mark}.1.2.json").write_text("{")
        (workspace.commands_dir / f"{mark}.2.2.json").write_bytes(b" " * (1 << 17))
        assert send(workspace, {"command": "resume"}, wait=30.0) == "going on"
    assert ["can't be read" in event.data["text"] for event in heard] == [True, True]
    assert list(workspace.commands_dir.iterdir()) == []
