"""Labels in, a mask model, masks on both facesets, and off again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelled import label_faces, labelled_workspace, pixels_of
from understudy.cli.main import main
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.faceset import Faceset
from understudy.workspace import Workspace

TINY = ["--resolution", "64", "--base-dims", "2", "--batch-size", "2", "--threads", "1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with six labelled faces of src, two of dst, and a mask model."""
    root = tmp_path_factory.mktemp("masks") / "w"
    workspace = labelled_workspace(root, src=6, labelled=range(1, 7))
    face = workspace.src.aligned_dir / "00002_0.jpg"
    write_face(face, replace(read_face(face), mask=None), durable=False)
    train = ["mask", "train", "--workspace", str(root), *TINY, "--target-iter", "3"]
    assert main(train) == 0
    return root


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Workspace:
    import shutil

    return Workspace.open(Path(shutil.copytree(trained, tmp_path / "w")))


def masks_of(folder: Path) -> list[np.ndarray | None]:
    return [face.mask for face in Faceset.open(folder)]


def test_training_goes_on_restarts_and_keeps_its_shape(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--workspace", str(workspace.root)]
    assert main(["mask", "train", *at, "--target-iter", "5", "--threads", "1"]) == 0
    told = capsys.readouterr()
    assert "6 faces with labels (6 of src)" in told.err + told.out
    report = json.loads((workspace.root / "reports" / "mask_train.json").read_text())
    assert (report["details"]["iteration"], report["done"], report["skipped"]) == (5, 2, 3)
    assert report["details"]["config"]["base_dims"] == 2
    assert main(["mask", "train", *at, "--base-dims", "4"]) == 2
    assert "2, as the model was made" in capsys.readouterr().err
    restart = ["mask", "train", *at, "--restart", *TINY, "--target-iter", "1"]
    assert main(restart) == 0
    report = json.loads((workspace.root / "reports" / "mask_train.json").read_text())
    assert report["details"]["iteration"] == 1
    assert list((workspace.root / "model_trash").iterdir())
    assert main(["train", *at, "--model", "XSeg"]) == 2
    assert "understudy mask train" in capsys.readouterr().err


def test_without_labels_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = labelled_workspace(tmp_path / "w", labelled=(3,)).root
    assert main(["mask", "train", "--workspace", str(root), *TINY]) == 2
    assert "1 face with labels (1 of src)" in capsys.readouterr().err
    assert not (root / "model" / "XSeg").exists()


def test_both_facesets_get_masks_and_nothing_else_changes(workspace: Workspace) -> None:
    src, dst = workspace.src.aligned_dir, workspace.dst.aligned_dir
    pixels = {p: pixels_of(p) for folder in (src, dst) for p in folder.glob("*.jpg")}
    polygons = [face.polygons for face in Faceset.open(src)]
    apply = ["mask", "apply", "--workspace", str(workspace.root)]
    assert main(apply) == 0
    for folder in (src, dst):
        for mask in masks_of(folder):
            assert mask is not None
            assert mask.shape == (256, 256)
            assert set(np.unique(mask)) <= {0.0, 1.0}
    assert {p: pixels_of(p) for p in pixels} == pixels
    for before, face in zip(polygons, Faceset.open(src), strict=True):
        assert all(np.array_equal(a[1], b[1]) for a, b in zip(before, face.polygons, strict=True))
    report = workspace.root / "reports" / "mask_apply.json"
    assert json.loads(report.read_text())["done"] == 8
    stamps = {p: p.stat().st_mtime_ns for p in pixels}
    assert main(apply) == 0, "all is done"
    assert {p: p.stat().st_mtime_ns for p in pixels} == stamps
    assert json.loads(report.read_text())["skipped"] == 8
    label_faces(src, ["00001_0.jpg"])
    assert main([*apply, "--soft", "--smooth", "2"]) == 0, "masks painted here may be replaced"
    assert json.loads(report.read_text())["done"] == 8
    assert any(len(np.unique(mask)) > 2 for mask in masks_of(dst) if mask is not None)


def test_masks_from_elsewhere_are_kept_unless_told_and_then_in_the_trash(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    dst = workspace.dst.aligned_dir
    path = dst / "00001_0.jpg"
    write_face(path, replace(read_face(path), mask=np.eye(32, dtype=np.float32)), durable=False)
    before = path.read_bytes()
    apply = ["mask", "apply", "dst", "--workspace", str(workspace.root)]
    assert main(apply) == 2
    assert "1 of 2 with masks from elsewhere" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert read_face(dst / "00002_0.jpg").mask is None, "nothing was painted"
    assert main([*apply, "--replace"]) == 0
    assert path.read_bytes() != before
    kept = workspace.dst.frames_dir / "aligned_trash" / "mask-apply-1" / "00001_0.jpg"
    assert kept.read_bytes() == before


def test_masks_come_off_and_back(workspace: Workspace) -> None:
    src, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    assert main(["mask", "apply", "src", *at]) == 0
    masked = masks_of(src)
    assert main(["mask", "remove", "src", *at]) == 0
    assert masks_of(src) == [None] * 6
    assert all(face.polygons for face in Faceset.open(src))
    assert main(["faceset", "undo", "src", *at]) == 0
    for before, after in zip(masked, masks_of(src), strict=True):
        assert before is not None and after is not None
        assert np.array_equal(before, after)


def test_what_can_t_be_done_is_said(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--workspace", str(workspace.root)]
    assert main(["mask", "apply", "--model", "none", *at]) == 2
    assert "understudy mask train" in capsys.readouterr().err
    assert main(["faceset", "pack", "src", *at]) == 0
    assert main(["mask", "apply", "src", *at]) == 2
    assert "faceset unpack" in capsys.readouterr().err
    assert main(["mask", "train", *at, "--target-iter", "4", "--threads", "1"]) == 0, "paks train"
    broken = workspace.dst.aligned_dir / "00001_0.jpg"
    data = broken.read_bytes()
    broken.write_bytes(data[: len(data) // 2])
    assert main(["mask", "apply", "dst", *at]) == 3
    assert read_face(workspace.dst.aligned_dir / "00002_0.jpg").mask is not None
    assert broken.read_bytes() == data[: len(data) // 2]
