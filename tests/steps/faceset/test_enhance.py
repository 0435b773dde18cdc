"""Enhancing faces as a command."""

import functools
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from made_faceset import head_face, make_workspace
from understudy import safe_pickle
from understudy.cli.main import main
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.enhance import ENHANCED_KEY
from understudy.models import face_enhancer
from understudy.models.dfl_weights import dump_network
from understudy.models.face_enhancer import FaceEnhancer
from understudy.steps.faceset.enhance import EnhanceOptions
from understudy.steps.faceset.enhancers import ENHANCERS, dfl_weights_path


def test_sharper_beside_and_in_place_but_never_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_workspace(tmp_path / "w", src=0)
    aligned = workspace.src.aligned_dir
    for number in range(3):
        face = head_face(number, size=128)
        soft = cv2.GaussianBlur(face.image, (0, 0), 1.5)
        write_face(aligned / f"{number}.jpg", replace(face, load=lambda s=soft: s), durable=False)
    at = ["--workspace", str(workspace.root)]
    assert main(["faceset", "enhance", "src", *at]) == 0
    before, after = read_face(aligned / "1.jpg"), read_face(
        workspace.src.frames_dir / "aligned_enhanced" / "1.jpg"
    )  # fmt: skip
    detail = [cv2.Laplacian(f.image, cv2.CV_32F).var() for f in (before, after)]
    assert detail[1] > 1.3 * detail[0]
    assert np.array_equal(after.landmarks, before.landmarks)
    assert after.extra[ENHANCED_KEY] == "deconvolve"
    assert main(["faceset", "enhance", "src", "--replace", "--restart", *at]) == 0
    capsys.readouterr()
    pixels = (aligned / "1.jpg").read_bytes()
    assert main(["faceset", "enhance", "src", "--replace", *at]) == 0
    assert "0 faces (3 are so already)" in capsys.readouterr().out
    assert (aligned / "1.jpg").read_bytes() == pixels


def test_every_enhancer_is_an_option() -> None:
    field = EnhanceOptions.model_fields["enhancer"]
    assert set(field.annotation.__args__) == set(ENHANCERS)


def test_dfl_weights_are_the_users_to_bring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    workspace = make_workspace(tmp_path / "w", src=1, dst=0, size=32)
    enhance = ["faceset", "enhance", "src", "--enhancer", "dfl", "--workspace", str(workspace.root)]
    assert main(enhance) == 2
    assert "FaceEnhancer.npy out of a DeepFaceLab installation" in capsys.readouterr().err
    path = dfl_weights_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(safe_pickle.dumps({"conv1/weight:0": "text"}))
    assert main(enhance) == 2
    assert "the weights of a network" in capsys.readouterr().err
    path.write_bytes(safe_pickle.dumps({"conv1/weight:0": np.zeros((3, 3, 3, 64), np.float32)}))
    assert main(enhance) == 2
    assert "conv1/bias:0" in capsys.readouterr().err
    torch.manual_seed(0)
    small = functools.partial(face_enhancer.enhance_picture, patch=32)
    monkeypatch.setattr(face_enhancer, "enhance_picture", small)
    path.write_bytes(safe_pickle.dumps(dump_network(FaceEnhancer())))
    assert main(enhance) == 0
    face = read_face(workspace.src.frames_dir / "aligned_enhanced" / "00001_0.jpg")
    assert face.extra[ENHANCED_KEY] == "dfl"
