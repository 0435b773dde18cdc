"""Trimming and statistics as commands."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from made_faceset import head_face, make_workspace
from understudy.cli.main import main
from understudy.facesets.dfl import write_face
from understudy.facesets.moves.edit import undo
from understudy.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """src looks far and wide, dst straight ahead; one src face is far too bright."""
    workspace = make_workspace(tmp_path / "w", src=0, dst=0)
    src, dst = workspace.src.aligned_dir, workspace.dst.aligned_dir
    for number, yaw in enumerate(np.linspace(-0.8, 0.8, 9)):
        write_face(src / f"{number}.jpg", head_face(number, yaw=float(yaw)), durable=False)
    write_face(src / "bright.jpg", head_face(20, brightness=0.9), durable=False)
    for number, yaw in enumerate((-0.1, 0.0, 0.1)):
        write_face(dst / f"{number}.jpg", head_face(30 + number, yaw=yaw), durable=False)
    return workspace


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if p.name[0] != "."}


def test_trim_and_take_back(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    src = workspace.src.aligned_dir
    before = names(src)
    at = ["--workspace", str(workspace.root)]
    assert main(["faceset", "match", "src", "--dry-run", *at]) == 0
    assert "would be trimmed" in capsys.readouterr().out
    assert names(src) == before
    assert main(["faceset", "match", "src", *at]) == 0
    assert "by pose, 1 by brightness" in capsys.readouterr().out
    kept = names(src)
    assert {"3.jpg", "4.jpg", "5.jpg"} <= kept < before
    assert not kept & {"0.jpg", "8.jpg", "bright.jpg"}
    report = json.loads((workspace.reports_dir / "faceset_match.json").read_text())
    details = report["details"]
    assert details["trimmed_names"]["brightness"] == ["bright.jpg"]
    assert details["kept"] + sum(details["trimmed"].values()) == len(before)
    assert names(workspace.src.frames_dir / "aligned_trash") == before - kept
    assert main(["faceset", "match", "src", *at]) == 0
    assert names(src) == kept, "what is left is all needed"
    undo(src)
    assert names(src) == before


def test_what_match_refuses(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--workspace", str(workspace.root)]
    before = names(workspace.src.aligned_dir)
    for tokens, reason in (
        (["src", "--to", "src"], "another faceset"),
        (["src", "--to", "nowhere"], "nowhere"),
        (["src", "--brightness", "0.0001", "--as-they-are"], "Nothing was moved"),
    ):
        capsys.readouterr()
        assert main(["faceset", "match", *tokens, *at]) == 2
        assert reason in capsys.readouterr().err
    assert names(workspace.src.aligned_dir) == before


def test_stats(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--workspace", str(workspace.root)]
    assert main(["faceset", "stats", *at]) == 0
    assert "10 faces of src" in capsys.readouterr().out
    found = json.loads((workspace.reports_dir / "faceset_stats_src.json").read_text())
    assert found["src"]["count"] == np.sum(found["src"]["poses"]) == 10
    assert found["dst"]["count"] == 3
    assert 0 <= found["covered"] <= 1
    assert cv2.imread(str(workspace.reports_dir / "faceset_stats_src.png")).shape[1] > 1000
    out = workspace.root / "own.png"
    assert main(["faceset", "stats", "dst", "--against", "none", "--out", str(out), *at]) == 0
    assert "against" not in json.loads(out.with_suffix(".json").read_text())
    assert main(["faceset", "stats", "src", "--against", "nowhere", *at]) == 2


def test_a_damaged_face_hides_no_other(workspace: Workspace) -> None:
    (workspace.src.aligned_dir / "1.jpg").write_bytes(b"no picture")
    assert main(["faceset", "stats", "--workspace", str(workspace.root)]) == 3
    found = json.loads((workspace.reports_dir / "faceset_stats_src.json").read_text())
    assert found["src"]["count"] == 9
    assert found["dst"]["count"] == 3
