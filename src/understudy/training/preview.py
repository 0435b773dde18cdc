"""Pictures that show how training goes: faces, what the networks make of them, the losses.

Tensors and a history in, RGB pictures and files out. Knows no training. Columns are src, src
rebuilt, dst, dst rebuilt, the swap, and the swap inside the dst face's picture.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from understudy import files
from understudy.errors import from_os_error
from understudy.models.face_model import FaceModel, View
from understudy.training.history import History

COLUMNS = ("src", "src rebuilt", "dst", "dst rebuilt", "swap", "swap in dst")
ROWS_MAX = 4
_TILE_MIN, _TILE_MAX = 160, 256
_GAP, _GRAPH_PX, _LINE_PX = 3, 120, 26
_BACK, _INK, _FAINT = (24, 24, 27), (228, 228, 231), (63, 63, 70)
_CURVE_COLORS = ((96, 165, 250), (251, 191, 36))  # src and dst, or the one there is
_JPEG_QUALITY = 92
_ALONE_PX = 1200

Picture = UInt8[np.ndarray, "h w 3"]
Column = Float64[np.ndarray, "..."]
Spread = tuple[Column, Column, Column]


class Viewer:
    """Shows faces as the averaged weights paint them (the present ones where none are kept)."""

    def __init__(self, model: FaceModel, *, dtype: torch.dtype) -> None:
        self._model = model
        self._shown = copy.deepcopy(model).requires_grad_(False)
        self._dtype = dtype

    @torch.no_grad()
    def view(
        self,
        src: Float[Tensor, "b 3 r r"],
        dst: Float[Tensor, "b 3 r r"],
        *,
        averaged: Mapping[str, Tensor],
    ) -> View:
        """What the networks make of both sides, in float32."""
        shown = self._shown.to(self._dtype)
        weights = averaged or dict(self._model.named_parameters())
        for name, parameter in shown.named_parameters():
            parameter.copy_(weights[name])
        made = shown.view(src.to(self._dtype), dst.to(self._dtype))
        return View(*(part.float().clamp(0, 1) for part in made))


def preview_picture(
    src: Float[Tensor, "b 3 r r"],
    dst: Float[Tensor, "b 3 r r"],
    view: View,
    *,
    history: History,
    title: str,
) -> Picture:
    """Faces in labelled columns, at most four rows, under the curve of the losses."""
    mask = (view.dst_dst_mask * view.src_dst_mask).clamp(0, 1)
    placed = dst * (1 - mask) + view.src_dst * mask
    columns = (src, view.src_src, dst, view.dst_dst, view.src_dst, placed)
    tile = _tile_size(src.shape[-1])
    rows = min(ROWS_MAX, len(src), len(dst))
    step = tile + _GAP
    width = len(columns) * step + _GAP
    picture = np.full((_LINE_PX + rows * step + _GAP, width, 3), _BACK, np.uint8)
    for c, faces in enumerate(columns):
        left = _GAP + c * step
        _text(picture, COLUMNS[c], (left + 2, _LINE_PX - 8))
        for r in range(rows):
            top = _LINE_PX + r * step
            picture[top : top + tile, left : left + tile] = _tile(faces[r], tile)
    return np.vstack([loss_graph(history, width=width, title=title), picture])


def loss_graph(history: History, *, width: int, title: str) -> Picture:
    """Each loss over all iterations: the spread per column faint, its middle clear.

    The scale is logarithmic, from the lowest to the highest middle, so that late gains still show.
    """
    picture = np.full((_LINE_PX + _GRAPH_PX, width, 3), _BACK, np.uint8)
    _text(picture, title, (_GAP + 2, _LINE_PX - 8))
    curves = [_finite(values) for values in history.curves.values()]
    if len(history) < 2:
        return picture
    plot_width = width - 64
    spreads = [_column_spreads(curve, plot_width) for curve in curves]
    middles = np.concatenate([spread[1] for spread in spreads])
    low, high = np.log(max(middles.min(), 1e-6)), np.log(max(middles.max(), 2e-6))
    room = max(high - low, 0.05)

    def row(values: Column) -> Column:
        part = (np.log(np.maximum(values, 1e-9)) - low) / room
        height: Column = _LINE_PX + 8 + (1 - np.clip(part, -0.05, 1.05)) * (_GRAPH_PX - 20)
        return height

    for value in (low, low + room / 2, low + room):
        y = int(row(np.exp(np.array([value])))[0])
        cv2.line(picture, (_GAP, y), (plot_width, y), _FAINT, 1)
        _text(picture, f"{np.exp(value):.3f}", (plot_width + 6, y + 4))
    for spread, color in zip(spreads, _CURVE_COLORS, strict=False):
        _draw_curve(picture, spread, row, color)
    _legend(picture, history.curves, width)
    return picture


def write_loss_graph(folder: Path, history: History, *, title: str) -> Path:
    """Path of `loss.png`, the curve of the losses by itself.

    Raises:
        StorageError: the disk is full or can't be written.
    """
    path = files.make_dir(folder) / "loss.png"
    _write(path, loss_graph(history, width=_ALONE_PX, title=title))
    return path


def write_preview(folder: Path, picture: Picture, *, number: int | None) -> Path:
    """Path of `latest.png`; with a `number` a JPEG that stays is written beside it.

    Raises:
        StorageError: the disk is full or can't be written.
    """
    files.make_dir(folder)
    latest = folder / "latest.png"
    _write(latest, picture)
    if number is not None:
        _write(folder / f"{number:07d}.jpg", picture)
    return latest


def _write(path: Path, picture: Picture) -> None:
    settings: Sequence[int] = ()
    if path.suffix == ".jpg":
        settings = (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)
    good, data = cv2.imencode(path.suffix, picture[:, :, ::-1], settings)
    if not good:
        raise from_os_error(OSError("the encoder failed"), path, doing="write")
    files.write_bytes(path, data.tobytes(), durable=False)


def _draw_curve(
    picture: Picture, spread: Spread, row: Callable[[Column], Column], color: tuple[int, int, int]
) -> None:
    bottom, middle, top = (row(values) for values in spread)
    faint = tuple(int(0.35 * c + 0.65 * b) for c, b in zip(color, _BACK, strict=True))
    for x, (y0, y1) in enumerate(zip(bottom, top, strict=True)):
        cv2.line(picture, (_GAP + x, int(y0)), (_GAP + x, int(y1)), faint, 1)
    points = np.stack([np.arange(len(middle)) + _GAP, middle], 1)
    cv2.polylines(picture, [points.round().astype(np.int32)], False, color, 1, cv2.LINE_AA)


def _finite(values: Sequence[float]) -> Column:
    """The losses, those that are no numbers at the height of the middle one."""
    curve = np.asarray(values, np.float64)
    good = np.isfinite(curve)
    middle = np.median(curve[good]) if good.any() else 1.0
    return np.where(good, curve, middle)


def _column_spreads(curve: Column, columns: int) -> Spread:
    """Tenth, middle and ninetieth percentile of the part of the curve behind each column."""
    if len(curve) <= columns:
        at = np.linspace(0, len(curve) - 1, columns)
        smooth = np.interp(at, np.arange(len(curve)), curve)
        return smooth, smooth, smooth
    edges = np.linspace(0, len(curve), columns + 1).astype(int)
    parts = [curve[a:b] for a, b in pairwise(edges.tolist())]
    table = np.array([np.percentile(part, (10, 50, 90)) for part in parts])
    return table[:, 0], table[:, 1], table[:, 2]


def _legend(picture: Picture, names: Iterable[str], width: int) -> None:
    for place, (name, color) in enumerate(zip(names, _CURVE_COLORS, strict=False)):
        x = width - 150 + place * 70
        cv2.line(picture, (x, _LINE_PX - 12), (x + 18, _LINE_PX - 12), color, 2, cv2.LINE_AA)
        _text(picture, name, (x + 24, _LINE_PX - 8))


def _tile_size(resolution: int) -> int:
    if resolution >= _TILE_MAX:
        return _TILE_MAX
    return resolution * -(-_TILE_MIN // resolution)


def _tile(face: Float[Tensor, "3 r r"], size: int) -> Picture:
    picture = (
        (face.nan_to_num(0.0).clamp(0, 1).permute(1, 2, 0).cpu().numpy() * 255)
        .round()
        .astype(np.uint8)
    )
    if picture.shape[0] == size:
        return picture
    kind = cv2.INTER_AREA if picture.shape[0] > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (size, size), interpolation=kind), np.uint8)


def _text(picture: Picture, text: str, where: tuple[int, int]) -> None:
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
