"""Every step leaves its report, however it ends."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.cli.main import main
from understudy.errors import Cancelled, MaterialError
from understudy.job import Event, Job
from understudy.options import parse
from understudy.steps import STEPS, clear
from understudy.steps.perform import perform
from understudy.workspace import Workspace


def run(name: str, workspace: Path, sinks: tuple[object, ...] = ()) -> None:
    options = parse(STEPS[name].options, {"workspace": workspace})
    perform(name, options, Job(name, sinks=sinks))


def report_of(workspace: Path, name: str) -> dict[str, object]:
    return json.loads((workspace / "reports" / f"{name}.json").read_text())


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return Workspace.create(tmp_path / "w").root


def test_wrong_input_is_in_the_report(workspace: Path) -> None:
    with pytest.raises(MaterialError) as caught:
        run("merge", workspace)
    (failure,) = report_of(workspace, "merge")["failed"]
    assert failure == {"item": "merge", "reason": str(caught.value)}


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [(ZeroDivisionError("a bug"), "failed", "a bug"), (Cancelled(), "cancelled", "stopped")],
)
def test_watchers_and_report_tell_how_it_ended(
    error: BaseException, kind: str, reason: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(options: clear.ClearOptions, job: Job) -> None:
        raise error

    monkeypatch.setattr(clear, "clear", broken)
    events: list[Event] = []
    with pytest.raises(type(error)):
        run("clear", workspace, (events.append,))
    assert [event.kind for event in events] == ["started", kind]
    assert report_of(workspace, "clear")["failed"] == [{"item": "clear", "reason": reason}]


LOOKING = (
    ["info"],
    ["model", "list"],
    ["faceset", "sheet", "dst"],
    ["faceset", "stats"],
    ["mask", "export", "dst"],
    ["faceset", "inspect", "data_dst/aligned"],
)


def test_some_steps_look_while_another_works(merged: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(merged, tmp_path / "w"))
    held = "from understudy.workspace import Workspace; import pathlib, sys; "
    held += "ws = Workspace.open(pathlib.Path(sys.argv[1])); lock = ws.lock(); lock.__enter__(); "
    held += "print('held', flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", held, str(workspace)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        for words in LOOKING:
            place = [str(workspace / words[-1])] if words[-1].startswith("data") else words[2:]
            at = [str(workspace)] if words == ["info"] else ["--workspace", str(workspace)]
            assert main([*words[:2], *place, *at]) == 0
        assert main(["sort", "dst", "--workspace", str(workspace)]) == 2
        other.communicate()
    assert (workspace / "reports/faceset_sheet_dst.png").exists()


def test_info_tells_when_its_report_finds_no_place(workspace: Path) -> None:
    (workspace / "reports").write_text("in the way")
    events: list[Event] = []
    run("info", workspace, (events.append,))
    assert any("no report" in str(event.data.get("text")) for event in events)
    assert events[-1].kind == "finished"
