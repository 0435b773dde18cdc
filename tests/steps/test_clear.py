"""Emptying a workspace: what is removed, what is refused, what is never touched."""

import json
import re
from pathlib import Path

import pytest

from understudy.cli.main import main
from understudy.workspace import Workspace


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def files(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    "names",
    [
        ["model/thesis.txt", "data_src/clip.mp4"],
        ["model/a.png", "reports/b.json"],
        ["data_src/a.png", "data_dst/b.png", "model/thesis.txt"],
        ["data_src/clip.mp4", "data_dst/b.png"],
    ],
)
def test_a_folder_that_is_no_workspace_stays_as_it_is(
    told: object, tmp_path: Path, names: list[str]
) -> None:
    for name in names:
        put(tmp_path / name)
    line = told("clear", tmp_path, "--yes")  # type: ignore[operator]
    assert "expected a workspace" in line and "understudy new" in line
    assert files(tmp_path) == sorted(names)


def test_a_dfl_workspace_is_cleared(tmp_path: Path) -> None:
    for name in ("data_src/1.png", "data_src/aligned/1_0.jpg", "data_dst/1.jpg"):
        put(tmp_path / name)
    for name in ("new_SAEHD_data.dat", "new_SAEHD_encoder.npy", "new_SAEHD_summary.txt"):
        put(tmp_path / "model" / name)
    put(tmp_path / "data_src.mp4")
    assert main(["clear", str(tmp_path), "--yes"]) == 0
    left = {"data_src.mp4", "workspace.json", "workspace.lock", "reports/clear.json"}
    left.add("reports/log.jsonl")  # of all that was ever done here
    assert set(files(tmp_path)) == left


def test_what_no_step_makes_is_kept_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Workspace.create(tmp_path / "w").root
    foreign = ["data_src/clip.mp4", "data_dst/deep/notes.txt", "model/thesis.txt"]
    for name in [*foreign, "data_src/1.png", "model/new/config.json"]:
        put(root / name)
    assert main(["clear", str(root), "--yes"]) == 0
    shown = capsys.readouterr()
    assert all(name in shown.out + shown.err for name in foreign)
    assert [name for name in foreign if not (root / name).exists()] == []
    assert not (root / "data_src" / "1.png").exists()
    assert not (root / "model" / "new").exists()


def test_the_number_told_is_the_number_removed(told: object, tmp_path: Path) -> None:
    root = Workspace.create(tmp_path / "w").root
    for name in ("data_src/1.png", "data_src/clip.mp4", "reports/train.json"):
        put(root / name)
    for _ in range(2):  # the refusal's own report does not count
        line = told("clear", root)  # type: ignore[operator]
        assert re.search(r"found (\d+) files", line)[1] == "2"  # type: ignore[index]
    assert main(["clear", str(root), "--yes"]) == 0
    assert json.loads((root / "reports" / "clear.json").read_text())["done"] == 2
