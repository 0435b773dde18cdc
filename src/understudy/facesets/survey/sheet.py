"""Contact sheets: many faces on one page, to be looked at before hours are spent on them.

Small pictures with their captions in, one page out. Knows no files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from understudy.facesets.survey.canvas import BOLD, FAINT, PANEL, TEXT, Canvas
from understudy.types import Image

MARGIN_PX = 24
GAP_PX = 8
_TITLE_PX = 22
_HEADER_PX = 44
_LEAST_TITLE_WIDTH = 420


@dataclass(frozen=True, slots=True)
class Cell:
    """One face on a sheet: its picture, a caption below it, a faint word at the caption's end."""

    picture: UInt8[np.ndarray, "h w 3"]
    caption: str = ""
    note: str = ""


def thumbnail(picture: Image, side: int) -> UInt8[np.ndarray, "{side} {side} 3"]:
    """The whole picture in a square of `side` pixels, on the sheet's grey where it is oblong."""
    height, width = picture.shape[:2]
    factor = side / max(height, width)
    shape = max(1, round(width * factor)), max(1, round(height * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    small = np.clip(cv2.resize(picture, shape, interpolation=method), 0, 1)
    result = np.full((side, side, 3), PANEL, np.uint8)
    left, top = (side - shape[0]) // 2, (side - shape[1]) // 2
    levels = np.rint(small * 255).astype(np.uint8)
    result[top : top + shape[1], left : left + shape[0]] = levels
    return result


def draw_sheet(
    cells: Sequence[Cell], *, columns: int, cell_px: int, title: str, subtitle: str = ""
) -> UInt8[np.ndarray, "h w 3"]:
    """A page with the faces from left to right, row by row; only as high as it needs to be."""
    letter_px = min(15, max(11, cell_px // 10))
    captioned = any(cell.caption or cell.note for cell in cells)
    step_x = cell_px + GAP_PX
    step_y = cell_px + GAP_PX + (letter_px + 8 if captioned else 0)
    rows = -(-len(cells) // columns)
    wide = min(columns, max(len(cells), 1))
    width = max(2 * MARGIN_PX + wide * step_x - GAP_PX, _LEAST_TITLE_WIDTH)
    canvas = Canvas(width, 2 * MARGIN_PX + _HEADER_PX + rows * step_y - GAP_PX)
    _draw_header(canvas, title, subtitle, width)
    for place, cell in enumerate(cells):
        row, column = divmod(place, columns)
        left = MARGIN_PX + column * step_x
        top = MARGIN_PX + _HEADER_PX + row * step_y
        canvas.paste(thumbnail_of(cell, cell_px), (left, top))
        base, room = top + cell_px + letter_px + 3, cell_px
        if cell.note:
            note = canvas.fitted(cell.note, cell_px, size=letter_px)
            canvas.text(note, (left + cell_px, base), size=letter_px, color=FAINT, align="right")
            room -= canvas.text_width(note, size=letter_px) + letter_px // 2
        if cell.caption and room > 2 * letter_px:
            caption = canvas.fitted(cell.caption, room, size=letter_px)
            canvas.text(caption, (left, base), size=letter_px)
    return canvas.pixels


def thumbnail_of(cell: Cell, side: int) -> UInt8[np.ndarray, "{side} {side} 3"]:
    """The cell's picture in a square of `side` pixels."""
    if cell.picture.shape[:2] == (side, side):
        return cell.picture
    return thumbnail(cell.picture.astype(np.float32) / np.float32(255), side)


def _draw_header(canvas: Canvas, title: str, subtitle: str, width: int) -> None:
    base = MARGIN_PX + _TITLE_PX - 4
    room = width - 2 * MARGIN_PX
    shown = canvas.fitted(title, room, size=_TITLE_PX, weight=BOLD)
    end = canvas.text(shown, (MARGIN_PX, base), size=_TITLE_PX, weight=BOLD, color=TEXT)
    left = width - MARGIN_PX - end - 20
    if subtitle and left > 0:
        words = canvas.fitted(subtitle, left, size=14)
        canvas.text(words, (width - MARGIN_PX, base), size=14, color=FAINT, align="right")


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` places out of `count`, evenly spread and in order; all of them if it is 0."""
    if not wanted or wanted >= count:
        return list(range(count))
    return [int(place) for place in np.linspace(0, count - 1, wanted).round()]
