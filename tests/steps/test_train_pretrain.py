"""Pretraining as a command: from the faces given, and not without."""

from pathlib import Path

import pytest

from understudy.errors import OptionError
from understudy.steps.train import TrainStepOptions, _face_dirs
from understudy.training.plan.options import TrainOptions
from understudy.workspace import Workspace


def test_pretraining_learns_both_sides_from_the_faces_given(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    faces = tmp_path / "people"
    options = TrainStepOptions(workspace=tmp_path, pretrain=True, pretrain_faces=faces)
    assert _face_dirs(workspace, options, TrainOptions(pretrain=True)) == (faces, faces)
    pair = _face_dirs(workspace, options, TrainOptions())
    assert pair == (workspace.src.aligned_dir, workspace.dst.aligned_dir)


def test_pretraining_without_faces_is_refused(tmp_path: Path) -> None:
    options = TrainStepOptions(workspace=tmp_path, pretrain=True)
    with pytest.raises(OptionError, match="--pretrain-faces"):
        _face_dirs(Workspace(tmp_path), options, TrainOptions(pretrain=True))
