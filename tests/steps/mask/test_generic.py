"""The mask that ships: applied, painted while extracting, begun from; here a small stand-in."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from labelled import labelled_workspace
from understudy.cli.main import main
from understudy.facesets.faceset import Faceset
from understudy.masks import generic
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.training.state.model_folder import open_model
from understudy.types import FaceType
from understudy.workspace import Workspace

Clips = tuple[Path, Path]
SHAPE = ModelConfig(kind="XSeg", resolution=64, base_dims=2, face_type=FaceType.WHOLE)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "generic.safetensors"
    tensors = {name: tensor.half() for name, tensor in build(SHAPE, seed=4).state_dict().items()}
    facts = json.dumps({"held_out": {"faces kept aside": {"iou": 0.912}}})
    header = {generic.CONFIG: SHAPE.model_dump_json(), generic.FACTS: facts}
    save_file(tensors, path, header)
    monkeypatch.setattr(generic, "WEIGHTS", path)
    return path


def test_without_weights_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generic, "WEIGHTS", tmp_path / "none.safetensors")
    root = labelled_workspace(tmp_path / "w").root
    assert main(["mask", "apply", "--generic", "--workspace", str(root)]) == 2
    assert "weights of the mask that ships" in capsys.readouterr().err


def test_it_is_applied_and_begun_from(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = labelled_workspace(tmp_path / "w", src=6, labelled=(1, 3, 4, 5, 6))
    at = ["--workspace", str(workspace.root)]
    assert main(["mask", "apply", "dst", "--generic", *at]) == 0
    assert "IoU 0.91 on faces kept aside; Apache-2.0" in capsys.readouterr().err
    assert all(face.mask is not None for face in Faceset.open(workspace.dst.aligned_dir))
    begin = ["mask", "train", "--begin", "generic", "--target-iter", "1", "--threads", "1"]
    assert main([*begin, "--batch-size", "2", "--learning-rate", "1e-9", *at]) == 0
    state = open_model(workspace.model_dir / "XSeg").load(pytest.fail)
    first = build(SHAPE, seed=4).state_dict()["XSeg.conv11.conv.weight"]
    found = state.model.state_dict()["XSeg.conv11.conv.weight"]
    np.testing.assert_allclose(found, first, atol=1e-3)


def test_faces_get_masks_as_they_are_cut(
    clips: Clips, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace.create(tmp_path / "w")
    at = ["--workspace", str(workspace.root)]
    assert main(["frames", "src", "--video", str(clips[0]), *at]) == 0
    assert main(["extract", "src", "--mask", "generic", *at]) == 0
    faces = list(Faceset.open(workspace.src.aligned_dir))
    assert faces
    assert all(face.mask is not None and face.mask.shape == (256, 256) for face in faces)
    assert main(["mask", "apply", "src", "--generic", *at]) == 0, "these are known for done"
    report = json.loads((workspace.root / "reports" / "mask_apply.json").read_text())
    assert (report["done"], report["skipped"]) == (0, len(faces))
