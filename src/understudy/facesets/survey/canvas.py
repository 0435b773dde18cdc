"""A dark picture to draw charts and contact sheets on: words, boxes, lines, pictures.

Words, numbers and pictures in, 8-bit RGB pixels out. The font is the one OpenCV carries, so a chart
looks the same everywhere and names in any script are readable. Knows nothing of faces.
"""

import unicodedata
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from jaxtyping import UInt8

Color = tuple[int, int, int]
"""8-bit RGB."""

Point = tuple[int | float, int | float]
"""x and y, or width and height."""

Align = Literal["left", "middle", "right"]

BACKGROUND: Color = (22, 22, 24)
PANEL: Color = (30, 30, 33)
LINE: Color = (62, 62, 68)
TEXT: Color = (226, 226, 228)
FAINT: Color = (152, 152, 158)
SRC: Color = (255, 170, 64)
DST: Color = (76, 168, 255)
ALERT: Color = (255, 92, 92)

REGULAR, MEDIUM, BOLD = 400, 500, 600
_ELLIPSIS = "\u2026"


class Canvas:
    """Pixels being drawn; `pixels` is the result."""

    def __init__(self, width: int, height: int, *, background: Color = BACKGROUND) -> None:
        self.pixels: UInt8[np.ndarray, "h w 3"] = np.full((height, width, 3), background, np.uint8)
        self._font = cv2.FontFace("sans")

    def text_width(self, text: str, *, size: int = 14, weight: int = REGULAR) -> int:
        """Pixels the text takes from left to right."""
        shape = (4096, 64)
        _, _, width, _ = cv2.getTextSize(shape, _shown(text), (0, 0), self._font, size, weight)
        return int(width)

    def text(
        self,
        text: str,
        at: Point,
        *,
        size: int = 14,
        weight: int = REGULAR,
        color: Color = TEXT,
        align: Align = "left",
    ) -> int:
        """Right end of the text drawn; `at` is the point on its base line that `align` names."""
        shown = _shown(text)
        width = self.text_width(text, size=size, weight=weight)
        x = round(at[0] - {"left": 0.0, "middle": width / 2, "right": float(width)}[align])
        # Without room to its right a text would go on in the next line.
        cv2.putText(self.pixels, shown, (x, round(at[1])), color, self._font, size, weight, 0,
                    (0, 1 << 20))  # fmt: skip
        return x + width

    def fitted(self, text: str, width: int, *, size: int = 14, weight: int = REGULAR) -> str:
        """`text`, with its middle left out where it is wider than `width`."""
        if self.text_width(text, size=size, weight=weight) <= width:
            return text
        for kept in range(len(text) - 1, 0, -1):
            head = (kept + 1) // 2
            tail = text[len(text) - (kept - head) :] if kept > head else ""
            short = text[:head] + _ELLIPSIS + tail
            if self.text_width(short, size=size, weight=weight) <= width:
                return short
        return _ELLIPSIS

    def box(self, corner: Point, size: Point, color: Color) -> None:
        """A filled rectangle of width and height `size` from its top left `corner`."""
        left, top = (round(v) for v in corner)
        right, bottom = round(corner[0] + size[0]), round(corner[1] + size[1])
        self.pixels[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = color

    def frame(self, corner: Point, size: Point, color: Color, *, px: int = 1) -> None:
        """The outline of a rectangle, drawn inside it."""
        (left, top), (width, height) = corner, size
        self.box((left, top), (width, px), color)
        self.box((left, top + height - px), (width, px), color)
        self.box((left, top), (px, height), color)
        self.box((left + width - px, top), (px, height), color)

    def lines(self, points: Sequence[Point], color: Color, *, px: int = 2) -> None:
        """A smooth broken line through `points`."""
        shift = 4
        path = np.rint(np.array(points, np.float64) * (1 << shift)).astype(np.int32)
        cv2.polylines(self.pixels, [path], False, color, px, cv2.LINE_AA, shift)

    def paste(self, picture: UInt8[np.ndarray, "_ _ 3"], corner: tuple[int, int]) -> None:
        """A picture with its top left at `corner`; it must lie inside."""
        left, top = corner
        height, width = picture.shape[:2]
        self.pixels[top : top + height, left : left + width] = picture


def _shown(text: str) -> str:
    """Text without what a font can't draw: control signs, halves of characters."""
    return "".join("?" if unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in text)
