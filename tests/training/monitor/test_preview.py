"""Preview pictures: layout, curve, files, and whose weights they show."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy.models import build
from understudy.training.monitor.preview import loss_graph, preview_picture, write_preview
from understudy.training.monitor.sheets import Sheet
from understudy.training.monitor.watch import Viewer
from understudy.training.plan.options import TrainOptions
from understudy.training.state.history import History
from understudy.training.step.face_step import TrainStep

SRC_BLUE = (96, 165, 250)


def _history(count: int) -> History:
    history = History()
    for i in range(count):
        history.add(2 / (1 + i / 50), 3 / (1 + i / 50))
    return history


@pytest.mark.parametrize("size", [32, 96, 300])
def test_faces_stand_in_rows_and_columns_under_the_graph(size: int) -> None:
    colors = torch.rand(2, 3, 3)
    rows = [[c.view(3, 1, 1).expand(3, size, size) for c in row] for row in colors]
    sheet = Sheet("name", (("a", "b", "c"),), rows)
    picture = preview_picture(sheet, _history(10), title="t")
    tile = size * -(-160 // size)
    step = tile + 3
    start = (picture.shape[1] - 3 * step - 3) // 2 + 3
    for row in range(2):
        line = picture[picture.shape[0] - 3 - tile // 2 - (1 - row) * step]
        seen = [line[start + column * step + tile // 2] for column in range(3)]
        np.testing.assert_allclose(seen, colors[row] * 255, atol=1)


def test_pixels_of_large_faces_are_shown_as_they_are() -> None:
    face = torch.rand(3, 200, 200)
    picture = preview_picture(Sheet("n", (), [[face]]), History(), title="")
    start = (picture.shape[1] - 206) // 2 + 3
    seen = picture[-203:-3, start : start + 200]
    np.testing.assert_array_equal(seen, (face.permute(1, 2, 0).numpy() * 255).round())


def test_the_curve_is_drawn_and_falls() -> None:
    for count in (2, 50, 5000):
        graph = loss_graph(_history(count), width=600, title="t").astype(int)
        blue = np.abs(graph[40:, :536] - SRC_BLUE).sum(2) < 60
        rows, columns = np.nonzero(blue)
        left, right = rows[columns < 50].mean(), rows[columns > 480].mean()
        assert right > left + (20 if count > 2 else 0)


def test_files_are_whole_and_numbered(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    folder = tmp_path / "Vorschau 顔"
    latest = write_preview(folder, picture, number=12)
    read = cv2.imdecode(np.fromfile(latest, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(read[:, :, ::-1], picture)
    write_preview(folder, picture, number=None)
    assert sorted(p.name for p in folder.iterdir()) == ["0000012.jpg", "latest.png"]


def test_the_viewer_shows_averaged_weights(tiny_config) -> None:
    model, other = build(tiny_config, seed=0), build(tiny_config, seed=1)
    viewer = Viewer(TrainStep(model, TrainOptions(precision="fp32", batch_size=1)))
    faces = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        plain, wanted = model.view(faces, faces), other.view(faces, faces)
    shown = viewer.view(faces, faces, averaged={})
    torch.testing.assert_close(shown.src_dst, plain.src_dst)
    averaged = {name: p.detach() for name, p in other.named_parameters()}
    shown = viewer.view(faces, faces, averaged=averaged)
    torch.testing.assert_close(shown.src_dst, wanted.src_dst)
    torch.testing.assert_close(viewer.view(faces, faces, averaged={}).src_dst, plain.src_dst)
