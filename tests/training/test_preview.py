"""Preview pictures: layout, curve, files, and whose weights they show."""

from pathlib import Path

import cv2
import numpy as np
import torch

from understudy.models import build
from understudy.models.face_model import View
from understudy.training.history import History
from understudy.training.preview import (
    COLUMNS,
    Viewer,
    loss_graph,
    preview_picture,
    write_preview,
)

SRC_BLUE = (96, 165, 250)


def _history(count: int) -> History:
    history = History()
    for i in range(count):
        history.add(2 / (1 + i / 50), 3 / (1 + i / 50))
    return history


def test_faces_stand_in_their_columns() -> None:
    colors = torch.rand(6, 3)
    faces = [c.view(1, 3, 1, 1).expand(2, 3, 32, 32) for c in colors]
    mask = torch.zeros(2, 1, 32, 32)
    view = View(faces[1], faces[3], mask, faces[4], mask)
    picture = preview_picture(faces[0], faces[2], view, history=_history(10), title="t")
    tile = (picture.shape[1] - 3) // 6 - 3
    bottom = picture[-tile // 2]
    seen = [bottom[3 + c * (tile + 3) + tile // 2] for c in range(len(COLUMNS))]
    wanted = [colors[0], colors[1], colors[2], colors[3], colors[4], colors[2]]
    np.testing.assert_allclose(seen, torch.stack(wanted) * 255, atol=1)


def test_the_swap_is_placed_inside_both_masks() -> None:
    one = torch.ones(1, 3, 32, 32)
    inner, outer = torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32)
    inner[..., 8:24, 8:24] = 1
    view = View(one * 0, one * 0, inner, one, outer)
    picture = preview_picture(one * 0, one * 0, view, history=History(), title="")
    last = picture[-163:-3, -163:-3]
    assert last[80, 80].min() == 255
    assert last[5, 5].max() == 0


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
    viewer = Viewer(model, dtype=torch.float32)
    faces = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        plain, wanted = model.view(faces, faces), other.view(faces, faces)
    shown = viewer.view(faces, faces, averaged={})
    torch.testing.assert_close(shown.src_dst, plain.src_dst)
    averaged = {name: p.detach() for name, p in other.named_parameters()}
    shown = viewer.view(faces, faces, averaged=averaged)
    torch.testing.assert_close(shown.src_dst, wanted.src_dst)
    torch.testing.assert_close(viewer.view(faces, faces, averaged={}).src_dst, plain.src_dst)
