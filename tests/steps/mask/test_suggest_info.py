"""What to label next, and how far the labels go, as commands."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from labelled import content, label_faces, labelled_workspace
from made_faceset import make_workspace
from understudy.cli.main import main
from understudy.facesets.dfl import read_face, write_face
from understudy.files import read_json
from understudy.workspace import Workspace


def suggested(workspace: Workspace, *tokens: str, at: str = "src") -> list[str]:
    assert main(["mask", "suggest", at, *tokens, "--workspace", str(workspace.root)]) == 0
    names: list[str] = read_json(workspace.reports_dir / "mask_suggest.json")["details"][
        "suggested"
    ]
    return names


def test_faces_unlike_the_labelled_ones_are_suggested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seven faces that look from one side to the other; the leftmost two have labels."""
    workspace = labelled_workspace(tmp_path / "w", src=7, labelled=[1, 2])
    before = content(workspace.src.aligned_dir)
    first = suggested(workspace, "3")
    assert first[0] == "00007_0.jpg" and len(set(first)) == 3
    assert not {"00001_0.jpg", "00002_0.jpg"} & set(first)
    told = capsys.readouterr().out
    assert "3 faces to label next; of 7, 2 have labels" in told and "00007_0.jpg  yaw" in told
    assert suggested(workspace, "3") == first
    assert content(workspace.src.aligned_dir) == before
    label_faces(workspace.src.aligned_dir, first[:1])
    assert suggested(workspace, "1") == [first[1]]


def test_it_works_without_any_labels(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", src=7)
    names = suggested(workspace, "20")
    assert names[0] == "00004_0.jpg" and set(names[1:3]) == {"00001_0.jpg", "00007_0.jpg"}
    assert len(names) == 7


def test_a_doubtful_mask_is_preferred(tmp_path: Path) -> None:
    workspace = labelled_workspace(tmp_path / "w", src=7, labelled=[4])
    plain = suggested(workspace, "2")
    assert set(plain) == {"00001_0.jpg", "00007_0.jpg"}
    clean = cv2.circle(np.zeros((256, 256), np.float32), (128, 128), 80, 1.0, -1)
    noise = np.random.default_rng(0).random((256, 256)).astype(np.float32)
    for name, mask in zip(plain, (clean, noise), strict=True):
        path = workspace.src.aligned_dir / name
        write_face(path, replace(read_face(path), mask=mask), durable=False)
    assert suggested(workspace, "2") == plain[::-1]


def test_they_can_be_looked_at_and_labelled_elsewhere(tmp_path: Path) -> None:
    workspace = labelled_workspace(tmp_path / "w", src=4)
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    sheet, copies = tmp_path / "x" / "sheet.png", tmp_path / "to label"
    names = suggested(workspace, "2", "--sheet", str(sheet), "--copy-to", str(copies))
    assert cv2.imread(str(sheet)) is not None
    assert content(copies) == {name: (aligned / name).read_bytes() for name in sorted(names)}
    label_faces(copies, names)
    assert main(["mask", "suggest", "src", "2", "--copy-to", str(copies), *at]) == 3
    assert main(["mask", "import", "src", str(copies), "--target", "polygons", *at]) == 0
    assert all(read_face(aligned / name).polygons for name in names)
    assert main(["mask", "suggest", "src", "--copy-to", str(aligned), *at]) == 2


def test_what_can_t_be_suggested_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = labelled_workspace(tmp_path / "w", src=2, labelled=[1, 2])
    at = ["--workspace", str(workspace.root)]
    assert main(["mask", "suggest", "src", *at]) == 2
    assert "all of them labelled" in capsys.readouterr().err
    assert main(["faceset", "pack", "src", "--delete-originals", *at]) == 0
    assert main(["mask", "suggest", "src", *at]) == 2
    assert "faceset unpack" in capsys.readouterr().err


@pytest.mark.parametrize("packed", [False, True])
def test_info_counts_labels_masks_and_directions(
    packed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = labelled_workspace(tmp_path / "w", src=7, labelled=[1, 2])
    at = ["--workspace", str(workspace.root)]
    if packed:
        assert main(["faceset", "pack", "src", "--delete-originals", *at]) == 0
    capsys.readouterr()
    assert main(["mask", "info", "src", *at]) == 0
    told = capsys.readouterr().out
    assert "7 faces: 2 labelled, 1 with an applied mask, 5 with neither" in told
    details = read_json(workspace.reports_dir / "mask_info.json")["details"]
    assert details["both"] == 1
    assert sum(one["faces"] for one in details["yaw"]) == 7
    assert sum(one["labelled"] for one in details["yaw"]) == 2
    assert 2 / 7 - 1e-3 <= details["poses_covered"] < 0.6
    assert "labels look in the direction of" in told
