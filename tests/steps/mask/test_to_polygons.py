"""Masks of a faceset become labels that draw them again."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_files import same
from labelled import LABEL, content, labelled_workspace, pixels_of
from made_faceset import make_workspace
from understudy.cli.main import main
from understudy.facesets.dfl import read_face, write_face
from understudy.files import read_json
from understudy.masks.outlines import iou_of
from understudy.masks.polygons import rasterize
from understudy.workspace import Workspace


def give_mask(workspace: Workspace, name: str, mask: np.ndarray) -> None:
    path = workspace.src.aligned_dir / name
    write_face(path, replace(read_face(path), mask=mask), durable=False)


def test_applied_masks_become_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = labelled_workspace(tmp_path / "w", labelled=[3])
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    oval = cv2.ellipse(np.zeros((256, 256), np.float32), (128, 130), (70, 90), 0, 0, 360, 1.0, -1)
    cv2.circle(oval, (150, 150), 20, 0.0, -1)
    give_mask(workspace, "00001_0.jpg", oval)
    give_mask(workspace, "00003_0.jpg", oval)
    before, pixels = content(aligned), pixels_of(aligned / "00001_0.jpg")
    assert main(["mask", "to-polygons", "src", *at]) == 0
    told = capsys.readouterr().out
    assert "2 masks traced" in told and "1 face has labels and stays; 1 face has no mask" in told
    face = read_face(aligned / "00001_0.jpg")
    assert [p.include for p in face.polygons] == [True, False]
    assert sum(len(p.points) for p in face.polygons) < 60
    small = cv2.resize(oval, (128, 128), interpolation=cv2.INTER_AREA)
    found = iou_of(rasterize(face.polygons, (128, 128)), small)
    details = read_json(workspace.reports_dir / "mask_to-polygons.json")["details"]
    assert details["iou_least"] <= round(found, 5) and found > 0.98
    assert f"{details['iou_least']:.4f} at least" in told
    assert pixels_of(aligned / "00001_0.jpg") == pixels
    np.testing.assert_array_equal(face.mask, oval)
    assert same(read_face(aligned / "00003_0.jpg").polygons, LABEL)
    assert main(["faceset", "undo", "src", *at]) == 0
    assert content(aligned) == before


def test_labels_give_way_only_when_asked(tmp_path: Path) -> None:
    workspace = labelled_workspace(tmp_path / "w", labelled=[2, 3])
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    assert main(["mask", "to-polygons", "src", "--kind", "hull", "--only", "00002_0", *at]) == 0
    assert same(read_face(aligned / "00002_0.jpg").polygons, LABEL)
    tokens = ["--kind", "hull", "--only", "00002_0", "00001_0.jpg", "--replace"]
    assert main(["mask", "to-polygons", "src", *tokens, *at]) == 0
    assert not same(read_face(aligned / "00002_0.jpg").polygons, LABEL)
    assert read_face(aligned / "00001_0.jpg").polygons
    assert same(read_face(aligned / "00003_0.jpg").polygons, LABEL)
    assert not read_face(aligned / "00004_0.jpg").polygons


def test_an_empty_mask_is_a_failure_and_gives_no_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_workspace(tmp_path / "w", src=3)
    give_mask(workspace, "00001_0.jpg", np.zeros((256, 256), np.float32))
    assert main(["mask", "to-polygons", "src", "--workspace", str(workspace.root)]) == 3
    assert "00001_0.jpg" in capsys.readouterr().err
    assert not read_face(workspace.src.aligned_dir / "00001_0.jpg").polygons
    assert read_face(workspace.src.aligned_dir / "00002_0.jpg").polygons


def test_what_can_t_be_traced_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = make_workspace(tmp_path / "w", src=3)
    at = ["--workspace", str(workspace.root)]
    assert main(["mask", "to-polygons", "src", "--only", "00001_0", "x", *at]) == 2
    assert "names of faces, found x." in capsys.readouterr().err
    assert main(["mask", "to-polygons", "src", "--only", "00001_0", *at]) == 2
    assert "an applied mask, found 1 without" in capsys.readouterr().err
    assert main(["faceset", "pack", "src", "--delete-originals", *at]) == 0
    assert main(["mask", "to-polygons", "src", *at]) == 2
    assert "faceset unpack src" in capsys.readouterr().err
