"""Pictures that show how training goes: sheets of faces, the losses.

Sheets and a history in, RGB pictures and files out. Knows no training and no layout.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float64, UInt8

from understudy import files
from understudy.errors import from_os_error
from understudy.training.monitor.sheets import Face, Sheet
from understudy.training.state.history import History

_TILE_MIN = 160
_NARROWEST_PX = 640  # what title and graph need
_GAP, _GRAPH_PX, _LINE_PX = 3, 120, 26
_BACK, _INK, _FAINT = (24, 24, 27), (228, 228, 231), (63, 63, 70)
_CURVE_COLORS = ((96, 165, 250), (251, 191, 36))  # src and dst, or the one there is
_JPEG_QUALITY = 92
_ALONE_PX = 1200

Picture = UInt8[np.ndarray, "h w 3"]
Column = Float64[np.ndarray, "..."]
Spread = tuple[Column, Column, Column]


def preview_picture(sheet: Sheet, history: History, *, title: str) -> Picture:
    """The sheet's faces with their captions, under the curve of the losses."""
    tile = _tile_size(sheet.rows[0][0].shape[-1])
    across = max(len(row) for row in sheet.rows) * (tile + _GAP) + _GAP
    width = max(across, _NARROWEST_PX)
    start = (width - across) // 2 + _GAP
    parts = [loss_graph(history, width=width, title=title)]
    for place, faces in enumerate(sheet.rows):
        captions = sheet.captions[place] if place < len(sheet.captions) else ()
        head = _LINE_PX if captions else 0
        part = np.full((head + tile + _GAP, width, 3), _BACK, np.uint8)
        for column, face in enumerate(faces):
            left = start + column * (tile + _GAP)
            part[head : head + tile, left : left + tile] = _tile(face, tile)
            if captions:
                _text(part, captions[column], (left + 2, _LINE_PX - 8))
        parts.append(part)
    return np.vstack(parts)


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
        x = width - 64 - 140 + place * 70  # where curves that fall leave room
        cv2.line(picture, (x, _LINE_PX + 18), (x + 18, _LINE_PX + 18), color, 2, cv2.LINE_AA)
        _text(picture, name, (x + 24, _LINE_PX + 22))


def _tile_size(resolution: int) -> int:
    """Side of a face on a picture: a whole multiple of its own, so that no detail is lost."""
    return resolution * -(-_TILE_MIN // resolution)


def _tile(face: Face, size: int) -> Picture:
    levels = (face.nan_to_num(0.0).clamp(0, 1) * 255).round().to(torch.uint8)
    picture = levels.expand(3, -1, -1).permute(1, 2, 0).cpu().numpy()
    if picture.shape[0] == size:
        return picture
    larger = cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(larger, np.uint8)


def _text(picture: Picture, text: str, where: tuple[int, int]) -> None:
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
