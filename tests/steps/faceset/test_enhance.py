"""Enhancing faces as a command."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from made_faceset import head_face, make_workspace
from understudy.cli.main import main
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.enhance import ENHANCED_KEY
from understudy.steps.faceset.enhance import EnhanceOptions
from understudy.steps.faceset.enhancers import ENHANCERS


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
