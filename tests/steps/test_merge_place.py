"""Where merging puts faces: at the hair line where masks show one, by their features otherwise."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from understudy.cli.main import main
from understudy.job import Event, Job
from understudy.media.images import list_unique_images
from understudy.merging.settings import MergeSettings
from understudy.steps.merge import at_hair_line, faces_by_frame
from understudy.types import FaceType, Image, Prediction
from understudy.workspace import Workspace

SIZE, GAP = 64, 2.0


class Lower:
    """A model whose swaps begin two pixels below the plate's hair line."""

    resolution, face_type = SIZE, FaceType.FULL

    def __call__(self, face: Image) -> Prediction:
        def below(row: float) -> np.ndarray:
            rows = np.arange(SIZE, dtype=np.float32)[:, None]
            return np.broadcast_to(np.clip(rows - row + 0.5, 0, 1), (SIZE, SIZE)).copy()

        return Prediction(face, below(12.0 + GAP), below(12.0))


def test_faces_are_moved_to_the_hair_line(merged: Path) -> None:
    workspace, events = Workspace.open(merged), list[Event]()
    job = Job("merge", sinks=[events.append])
    frames = list_unique_images(workspace.dst.frames_dir).paths
    faces = faces_by_frame(workspace, frames, job)
    placed = at_hair_line(
        MergeSettings(face_down=1.0), Lower(), frames=frames, faces=faces, job=job
    )
    assert placed.face_down == pytest.approx(1.0 - 100 * GAP / SIZE, abs=0.1)
    assert "faces are moved 3.1 % up" in events[-1].data["text"]


def test_masks_without_a_hair_line_leave_faces_where_they_are(
    merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "w"
    shutil.copytree(merged, root)
    assert main(["merge", "--workspace", str(root), "--place", "hair-line"]) == 0
    assert "show no hair line" in capsys.readouterr().err
    session = json.loads((root / "merge.json").read_text())
    assert session["keyframes"][0]["settings"]["face_down"] == 0
