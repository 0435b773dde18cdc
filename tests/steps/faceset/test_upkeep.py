"""Debug pictures, recovered names and exported masks, as commands."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from made_faceset import head_face, make_workspace
from understudy.cli.main import main
from understudy.faces.regions import hull_mask
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.moves.edit import Move, apply_moves, undo


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name[0] != ".")


def test_debug_pictures_come_and_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = make_workspace(tmp_path / "w", src=3)
    aligned = workspace.src.aligned_dir
    before = names(aligned)
    at = ["--workspace", str(workspace.root)]
    assert main(["faceset", "debug", "src", *at]) == 0
    added = sorted(set(names(aligned)) - set(before))
    assert added == ["00001_0_debug.jpg", "00002_0_debug.jpg", "00003_0_debug.jpg"]
    drawn = cv2.imread(str(aligned / added[1])).astype(int)
    green = (drawn[..., 1] - drawn[..., 0] > 90) & (drawn[..., 1] - drawn[..., 2] > 90)
    assert green.sum() > 200
    face = read_face(aligned / "00002_0.jpg")
    inside = hull_mask(face.landmarks, (128, 128)) > 0
    assert drawn[inside & ~green].mean() < 0.6 * 255 * face.image[inside].mean()
    capsys.readouterr()
    assert main(["faceset", "debug", "src", *at]) == 0
    assert "0 debug pictures, 3 kept" in capsys.readouterr().out
    # A face that bears such a name is no debug picture.
    write_face(aligned / "own_debug.jpg", head_face(9), durable=False)
    assert main(["faceset", "debug", "src", "--remove", *at]) == 0
    assert names(aligned) == sorted([*before, "own_debug.jpg"])
    write_face(aligned / "00001_0_debug.jpg", head_face(9), durable=False)
    assert main(["faceset", "debug", "src", *at]) == 3
    assert read_face(aligned / "00001_0_debug.jpg").source_name == "00009.png"


def test_names_come_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = make_workspace(tmp_path / "w", src=4)
    aligned = workspace.src.aligned_dir
    before = {name: (aligned / name).read_bytes() for name in names(aligned)}
    moves = [Move(aligned / name, aligned / f"{9 - i}.jpg") for i, name in enumerate(before)]
    apply_moves(aligned, moves, operation="sort")
    sorted_names = names(aligned)
    (aligned / "picture.png").write_bytes(cv2.imencode(".png", np.zeros((9, 9)))[1].tobytes())
    at = ["--workspace", str(workspace.root)]
    assert main(["faceset", "recover-names", "src", *at]) == 0
    told = capsys.readouterr()
    assert "4 of 4 faces renamed" in told.out
    assert "1 picture is no face: picture.png" in told.err
    (aligned / "picture.png").unlink()
    assert {name: (aligned / name).read_bytes() for name in names(aligned)} == before
    assert undo(aligned).operation == "recover-names"
    assert names(aligned) == sorted_names


def test_sheets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = make_workspace(tmp_path / "w", src=5)
    at = ["--workspace", str(workspace.root), "--cell-px", "32"]
    for labels in ("name", "number", "pose", "size", "none"):
        out = tmp_path / f"{labels}.png"
        tokens = ["--labels", labels, "--landmarks", "--out", str(out)]
        assert main(["faceset", "sheet", "src", *tokens, *at]) == 0
        assert cv2.imread(str(out)) is not None
    capsys.readouterr()
    assert main(["faceset", "sheet", "src", "--columns", "2", "--rows", "1", *at]) == 0
    assert "5 faces on 3 pages" in capsys.readouterr().out
    assert len(list(workspace.reports_dir.glob("faceset_sheet_src_00[123].png"))) == 3
    assert main(["faceset", "sheet", "src", "--num-faces", "2", *at]) == 0
    assert "2 faces on 1 page" in capsys.readouterr().out


def test_nothing_is_written_through_a_link(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A faceset from a stranger may hold a person's folder that is a folder of the user's."""
    workspace = make_workspace(tmp_path / "w", src=2)
    aligned, mine = workspace.src.aligned_dir, tmp_path / "mine"
    mine.mkdir()
    (aligned / "00002_0.jpg").rename(mine / "00002_0.jpg")
    (aligned / "alice").symlink_to(mine)
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    at = ["--workspace", str(workspace.root)]
    assert main(["faceset", "save-meta", "src", *at]) == 0
    for command in ("debug", "restore-meta"):
        capsys.readouterr()
        assert main(["faceset", command, "src", *at]) == 3
        assert "a link to" in capsys.readouterr().err
        assert {path.name: path.read_bytes() for path in mine.iterdir()} == before
