"""Labels, masks, models and facesets that don't fit: an error or a defined result, nothing lost."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from labelled import LABEL, OVAL, content, labelled_workspace
from made_faceset import make_workspace
from understudy.cli.main import main
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.faceset import Faceset
from understudy.types import Polygon
from understudy.workspace import Workspace

TINY = ["--resolution", "64", "--base-dims", "2", "--batch-size", "2", "--threads", "1"]
STAR = OVAL[[0, 5, 10, 2, 7, 12, 4, 9, 1, 6, 11, 3, 8]]


@pytest.fixture(scope="module")
def full_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of whole faces with a mask model of full faces."""
    root = tmp_path_factory.mktemp("masks") / "w"
    labelled_workspace(root, src=6, labelled=range(1, 7))
    train = ["mask", "train", "--workspace", str(root), *TINY, "--target-iter", "1"]
    assert main([*train, "--face-type", "full_face"]) == 0
    return root


def test_odd_labels_are_learned_as_they_are_drawn_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = labelled_workspace(tmp_path / "w", src=8, labelled=range(1, 9))
    odd = {
        "00001": (Polygon(True, OVAL + 500),),
        "00003": (Polygon(True, OVAL[:2]),),
        "00004": (Polygon(True, OVAL), Polygon(False, OVAL + 0)),
        "00005": (Polygon(True, STAR),),
        "00006": (Polygon(True, OVAL - 60), Polygon(False, OVAL[:2])),
    }
    for name, polygons in odd.items():
        path = workspace.src.aligned_dir / f"{name}_0.jpg"
        write_face(path, replace(read_face(path), polygons=polygons), durable=False)
    before = content(workspace.src.aligned_dir)
    train = ["mask", "train", "--workspace", str(workspace.root), *TINY, "--target-iter", "2"]
    assert main(train) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "3 labels cover nothing of the picture (00001_0.jpg, 00003_0.jpg, 00004_0.jpg)" in told
    assert content(workspace.src.aligned_dir) == before


@pytest.mark.parametrize("shape_hw", [(128, 100), (64, 128), (1, 1), (300, 128)])
def test_a_mask_of_other_proportions_is_told_and_the_others_come_in(
    shape_hw: tuple[int, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_workspace(tmp_path / "w", src=3)
    aligned, masks = workspace.src.aligned_dir, tmp_path / "m"
    masks.mkdir()
    for name, shape in (("00001_0", shape_hw), ("00003_0", (32, 32))):
        data = cv2.imencode(".png", np.full(shape, 255, np.uint8))[1]
        (masks / f"{name}.png").write_bytes(data.tobytes())
    before = content(aligned)
    rc = main(["mask", "import", "src", str(masks), "--workspace", str(workspace.root)])
    square = shape_hw == (1, 1)  # the smallest mask in a face's proportions: all of it
    assert rc == (0 if square else 3)
    first, third = (read_face(aligned / f"{n}_0.jpg").mask for n in ("00001", "00003"))
    assert third is not None and third.all()
    if square:
        assert first is not None and first.all()
    else:
        assert content(aligned)["00001_0.jpg"] == before["00001_0.jpg"]
        assert f"one of {shape_hw[1]}x{shape_hw[0]}" in capsys.readouterr().err


def test_a_model_of_another_face_type_paints_what_it_sees_of_the_faces(
    full_face: Path, tmp_path: Path
) -> None:
    workspace = Workspace.open(Path(shutil.copytree(full_face, tmp_path / "w")))
    assert main(["mask", "apply", "dst", "--soft", "--workspace", str(workspace.root)]) == 0
    for face in Faceset.open(workspace.dst.aligned_dir):
        assert face.mask is not None and face.mask.max() > 0
        rim = np.concatenate([face.mask[0], face.mask[-1], face.mask[:, 0], face.mask[:, -1]])
        assert not rim.any(), "a full face ends before the rim of a whole one"


def test_a_face_type_that_does_not_fit_is_refused(
    full_face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace.open(Path(shutil.copytree(full_face, tmp_path / "w")))
    model = content(workspace.model_dir)
    train = ["mask", "train", "--workspace", str(workspace.root)]
    assert main([*train, "--face-type", "whole_face"]) == 2
    assert "full_face, as the model was made" in capsys.readouterr().err
    assert main([*train, "--model", "other", *TINY, "--face-type", "head"]) == 2
    assert "6 show too little" in capsys.readouterr().err
    assert not (workspace.model_dir / "other").exists()
    assert content(workspace.model_dir) == model


def test_without_any_labels_no_model_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_workspace(tmp_path / "w", src=6)
    (workspace.src.aligned_dir / "00002_0.jpg").unlink()  # it has a mask
    assert main(["mask", "train", "--workspace", str(workspace.root), *TINY]) == 2
    assert "found none" in capsys.readouterr().err
    assert not (workspace.model_dir / "XSeg").exists()


COMMANDS = (
    ["apply", "src", "--generic"],
    ["apply", "src"],
    ["remove", "src"],
    ["remove-labels", "src"],
    ["to-polygons", "src", "--kind", "hull"],
    ["import", "src", "MASKS"],
    ["import", "src", "MASKS", "--target", "polygons"],
    ["fetch", "src", "--delete-originals"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_pak_is_left_as_it_is_with_the_remedy(
    command: list[str], full_face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace.open(Path(shutil.copytree(full_face, tmp_path / "w")))
    at = ["--workspace", str(workspace.root)]
    masks = tmp_path / "m"
    masks.mkdir()
    for number in range(1, 7):
        data = cv2.imencode(".png", np.full((128, 128), 255, np.uint8))[1]
        (masks / f"{number:05d}_0.png").write_bytes(data.tobytes())
    assert main(["faceset", "pack", "src", "--delete-originals", *at]) == 0
    before = content(workspace.src.frames_dir)
    capsys.readouterr()
    words = [str(masks) if word == "MASKS" else word for word in command]
    assert main(["mask", *words, *at]) == 2
    assert "understudy faceset unpack src" in capsys.readouterr().err
    assert content(workspace.src.frames_dir) == before


def test_a_pak_of_labelled_faces_trains(full_face: Path, tmp_path: Path) -> None:
    workspace = Workspace.open(Path(shutil.copytree(full_face, tmp_path / "w")))
    at = ["--workspace", str(workspace.root)]
    assert main(["faceset", "pack", "src", "--delete-originals", *at]) == 0
    assert main(["mask", "train", "--target-iter", "2", "--threads", "1", *at]) == 0
    assert all(len(face.polygons) == len(LABEL) for face in Faceset.open(workspace.src.aligned_dir))
