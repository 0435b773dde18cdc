"""One picture that tells whether src can play dst: directions, sharpness, sizes, light.

Traits of one or two facesets in, a chart out. Directions are laid out as one sees them: a face that
looks to the picture's left is on the left. Knows no files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from understudy.facesets.survey.canvas import (
    ALERT,
    BOLD,
    DST,
    FAINT,
    LINE,
    MEDIUM,
    PANEL,
    SRC,
    TEXT,
    Canvas,
    Color,
    Point,
)
from understudy.facesets.survey.statistics import (
    PITCH_EDGES_DEG,
    YAW_EDGES_DEG,
    Grid,
    Traits,
    lacking,
    pose_grid,
)

_WIDTH, _HEIGHT = 1560, 860
_MARGIN = 40
_CELL_W, _CELL_H = 48, 54
_GRID_LEFT, _GRID_TOP = 104, 176
_PANEL_LEFT, _PANEL_WIDTH, _PANEL_HEIGHT, _PANEL_GAP = 1060, 460, 196, 42
_NUM_BARS = 40
_PALE: Color = (58, 47, 38)
_BLACK: Color = (20, 20, 22)


@dataclass(frozen=True, slots=True)
class Series:
    """One faceset on the chart: its name, its traits, its colour."""

    name: str
    traits: Traits
    color: Color


def draw_chart(
    src: Traits, dst: Traits | None = None, *, src_name: str = "src", dst_name: str = "dst"
) -> UInt8[np.ndarray, "h w 3"]:
    """The chart of `src`, set against `dst` if there is one."""
    series = [Series(src_name, src, SRC)]
    if dst is not None:
        series.append(Series(dst_name, dst, DST))
    canvas = Canvas(_WIDTH, _HEIGHT)
    _draw_title(canvas, series)
    grids = [pose_grid(one.traits) for one in series]
    _draw_grid(canvas, grids)
    _draw_legend(canvas, series, grids)
    panels = (
        ("Sharpness", "0 is soft, 1 is sharp", 0.2, [one.traits.sharpness for one in series]),
        ("Size in the frame", "pixels", 40.0, [one.traits.size_px for one in series]),
        ("Brightness", "levels of 255", 40.0, [one.traits.brightness for one in series]),
    )
    for place, (title, unit, least, values) in enumerate(panels):
        top = _GRID_TOP - 58 + place * (_PANEL_HEIGHT + _PANEL_GAP)
        ticks = _ticks(values, least)
        _draw_panel(canvas, top, title=title, unit=unit, ticks=ticks, values=values, series=series)
    return canvas.pixels


def _draw_title(canvas: Canvas, series: Sequence[Series]) -> None:
    x, base = _MARGIN, 60
    for place, one in enumerate(series):
        if place:
            x = canvas.text("against", (x + 14, base), size=22, color=FAINT) + 14
        name = canvas.fitted(one.name, 300, size=30, weight=BOLD)
        x = canvas.text(name, (x, base), size=30, weight=BOLD, color=one.color)
        x = canvas.text(_thousands(len(one.traits)), (x + 10, base), size=22, color=FAINT)
        x = canvas.text("faces", (x + 6, base), size=22, color=FAINT)


def _draw_grid(canvas: Canvas, grids: Sequence[Grid]) -> None:
    """A cell per direction: src as its fill and upper number, dst as the lower number."""
    rows, columns = grids[0].shape
    left, top = _GRID_LEFT, _GRID_TOP
    canvas.text("Directions", (_MARGIN, top - 40), size=18, weight=MEDIUM)
    canvas.box((left, top), (columns * _CELL_W, rows * _CELL_H), PANEL)
    canvas.box((left + columns // 2 * _CELL_W, top), (1, rows * _CELL_H), LINE)
    canvas.box((left, top + rows // 2 * _CELL_H), (columns * _CELL_W, 1), LINE)
    most = max(int(grids[0].max()), 1)
    missing = lacking(grids[0], grids[1]) if len(grids) > 1 else np.zeros_like(grids[0], bool)
    for row in range(rows):
        for column in range(columns):
            # Up is up, and looking to the picture's left is left: the pose counts it positive.
            place = rows - 1 - row, columns - 1 - column
            corner = left + column * _CELL_W, top + row * _CELL_H
            counts = [int(grid[place]) for grid in grids]
            _draw_cell(canvas, corner, counts, most=most, missing=bool(missing[place]))
    _draw_axes(canvas, rows, columns)


def _draw_cell(
    canvas: Canvas, corner: tuple[int, int], counts: Sequence[int], *, most: int, missing: bool
) -> None:
    x, y = corner
    inner, size = (x + 1, y + 1), (_CELL_W - 2, _CELL_H - 2)
    level = float(np.log1p(counts[0]) / np.log1p(most))
    if counts[0]:
        canvas.box(inner, size, _mixed(_PALE, SRC, level))
        ink = _BLACK if level > 0.45 else SRC
        middle = y + (23 if len(counts) > 1 else 32)
        canvas.text(_short(counts[0]), (x + _CELL_W / 2, middle), size=14, weight=MEDIUM,
                    color=ink, align="middle")  # fmt: skip
    if len(counts) > 1 and counts[1]:
        badge = (x + 1, y + _CELL_H - 21), (_CELL_W - 2, 20)
        canvas.box(*badge, ALERT if missing else DST)
        canvas.text(_short(counts[1]), (x + _CELL_W / 2, y + _CELL_H - 6), size=13, weight=BOLD,
                    color=_BLACK, align="middle")  # fmt: skip
    if missing:
        canvas.frame(inner, size, ALERT, px=2)


def _draw_axes(canvas: Canvas, rows: int, columns: int) -> None:
    left, top = _GRID_LEFT, _GRID_TOP
    right, bottom = left + columns * _CELL_W, top + rows * _CELL_H
    for number, edge in enumerate(YAW_EDGES_DEG):
        if not edge % 30:
            x = left + number * _CELL_W
            canvas.box((x, bottom), (1, 6), LINE)
            canvas.text(f"{abs(edge):.0f}\u00b0", (x, bottom + 22), size=13, color=FAINT,
                        align="middle")  # fmt: skip
    for number, edge in enumerate(PITCH_EDGES_DEG[::-1]):
        if not edge % 20:
            y = top + number * _CELL_H
            canvas.box((left - 6, y), (6, 1), LINE)
            canvas.text(f"{abs(edge):.0f}\u00b0", (left - 11, y + 5), size=13, color=FAINT,
                        align="right")  # fmt: skip
    below = bottom + 44
    canvas.text("looks to the picture's left", (left, below), size=13, color=FAINT)
    canvas.text("straight ahead", ((left + right) / 2, below), size=13, color=FAINT, align="middle")
    canvas.text("to its right", (right, below), size=13, color=FAINT, align="right")
    canvas.text("up", (_MARGIN, top + 24), size=13, color=FAINT)
    canvas.text("down", (_MARGIN, bottom - 14), size=13, color=FAINT)


def _draw_legend(canvas: Canvas, series: Sequence[Series], grids: Sequence[Grid]) -> None:
    """What the fill and the badges of the cells mean, and the sum of it in a sentence."""
    top = _GRID_TOP - 28
    x = _GRID_LEFT + 2
    for step in range(48):
        canvas.box((x + 2 * step, top), (2, 12), _mixed(_PALE, SRC, step / 47))
    most = int(grids[0].max())
    name = canvas.fitted(series[0].name, 160, size=13)
    x = canvas.text(f"1 to {_thousands(most)} faces of {name}", (x + 106, top + 11), size=13) + 28
    if len(series) == 1:
        return
    other = canvas.fitted(series[1].name, 160, size=13)
    for color, words in ((DST, f"faces of {other}"), (ALERT, f"{other} looks there, {name} never")):
        canvas.box((x, top), (22, 12), color)
        x = canvas.text(words, (x + 30, top + 11), size=13) + 28
    lost = int(grids[1][lacking(grids[0], grids[1])].sum())
    faces = f"{_thousands(lost)} of {_thousands(int(grids[1].sum()))} {other} faces"
    words = (
        f"{faces} look where {name} never does"
        if lost
        else (f"{name} looks everywhere {other} does")
    )
    bottom = _GRID_TOP + grids[0].shape[0] * _CELL_H
    color = ALERT if lost else TEXT
    canvas.text(words, (_GRID_LEFT, bottom + 82), size=18, weight=MEDIUM, color=color)


def _draw_panel(
    canvas: Canvas,
    top: int,
    *,
    title: str,
    unit: str,
    ticks: Sequence[float],
    values: Sequence[Float64[np.ndarray, " _"]],
    series: Sequence[Series],
) -> None:
    """How one measure is spread: an outline per faceset over shared axes, its median marked."""
    left, width, height = _PANEL_LEFT, _PANEL_WIDTH, _PANEL_HEIGHT
    x = canvas.text(title, (left, top + 16), size=18, weight=MEDIUM)
    canvas.text(unit, (x + 10, top + 16), size=13, color=FAINT)
    box_top, box_height = top + 30, height - 56
    canvas.box((left, box_top), (width, box_height), PANEL)
    low, high = ticks[0], ticks[-1]
    for tick in ticks:
        at = left + (tick - low) / (high - low) * width
        canvas.box((min(at, left + width - 1), box_top), (1, box_height + 5), LINE)
        canvas.text(f"{tick:g}", (at, box_top + box_height + 20), size=13, color=FAINT,
                    align="middle")  # fmt: skip
    edges = np.linspace(low, high, _NUM_BARS + 1)
    shares = [np.histogram(v, edges)[0] / max(len(v), 1) for v in values]
    most = max(float(max(share.max() for share in shares)), 1e-9)
    for one, share in zip(series, shares, strict=True):
        points = _outline(share / most, left, box_top + 8, width, box_height - 8)
        canvas.lines(points, one.color)
    end = left + width
    for one, column in reversed(list(zip(series, values, strict=True))):
        median = float(np.median(column)) if len(column) else 0.0
        at = left + (median - low) / (high - low) * width
        _mark(canvas, at, box_top, one.color)
        words = f"median {median:.2f}" if high <= 2 else f"median {median:.0f}"
        shown = canvas.text_width(words, size=13, weight=MEDIUM)
        canvas.text(words, (end, top + 16), size=13, weight=MEDIUM, color=one.color, align="right")
        end -= shown + 16


def _mark(canvas: Canvas, x: float, top: int, color: Color) -> None:
    """A small wedge that points down at the median."""
    for row in range(7):
        half = 6 - row
        canvas.box((x - half, top + row), (2 * half + 1, 1), color)


def _outline(
    share: Float64[np.ndarray, " _"], left: int, top: int, width: int, height: int
) -> list[Point]:
    """Corners of the steps of a histogram whose highest step is 1."""
    step = width / len(share)
    points: list[Point] = [(left, top + height)]
    for number, value in enumerate(share):
        y = top + height * (1 - float(value))
        points += [(left + number * step, y), (left + (number + 1) * step, y)]
    return [*points, (left + width, top + height)]


def _ticks(values: Sequence[Float64[np.ndarray, " _"]], least: float) -> list[float]:
    """Round numbers, four to nine of them, from below the least value to above the largest.

    They span `least` even where the values are close together: small differences stay small.
    """
    some = np.concatenate([v for v in values if len(v)] or [np.zeros(1)])
    low, high = float(some.min()), float(some.max())
    if high - low < least:
        low = max((low + high - least) / 2, 0.0)
        high = max(high, low + least)
    power = 10.0 ** np.floor(np.log10(high - low))
    step = next(power * f for f in (0.1, 0.2, 0.25, 0.5, 1, 2) if (high - low) / (power * f) <= 7)
    first, last = np.floor(low / step), np.ceil(high / step)
    return [round(float(step * n), 6) for n in np.arange(first, last + 1)]


def _mixed(low: Color, high: Color, level: float) -> Color:
    red, green, blue = (round(a + (b - a) * level) for a, b in zip(low, high, strict=True))
    return red, green, blue


def _short(count: int) -> str:
    """A count that fits into a cell: 987, 9.9k, 98k."""
    if count < 1000:
        return str(count)
    return f"{count / 1000:.1f}k" if count < 9950 else f"{count / 1000:.0f}k"


def _thousands(count: int) -> str:
    return f"{count:,}".replace(",", "\u2009")
