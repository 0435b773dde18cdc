"""Pictures of few colours: a palette by median cut, and each pixel the palette's nearest.

A picture in, one of at most that many colours out; no files, no state. Source: Heckbert, "Color
image quantization for frame buffer display", 1982, with the choices of reference section 18's
adaptive palette: boxes are cut by how many pixels they hold, across the side that differs most to
the eye.
"""

import heapq
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt8

from understudy.types import Image

_EYE = np.array([77, 150, 29])
"""How much a difference in red, green and blue counts."""
_MOST_DISTINCT = 65536
_BLOCK = 8192

Colors = Integer[np.ndarray, "n 3"]
Counts = Integer[np.ndarray, " n"]
Palette = UInt8[np.ndarray, "k 3"]


def reduce_colors(image: Image, num_colors: int = 256) -> Image:
    """`image` in the `num_colors` 8-bit colours that suit it best."""
    pixels = np.clip(image, 0, 1) * np.float32(255)
    levels = pixels.astype(np.uint8).reshape(-1, 3)
    packed = _packed(levels)
    distinct, places, counts = np.unique(packed, return_inverse=True, return_counts=True)
    colors = _unpacked(distinct)
    palette, boxes = _palette(colors, counts, num_colors)
    nearest = _nearest(colors, palette, boxes)
    reduced = palette[nearest][places].astype(np.float32) / np.float32(255)
    return np.asarray(reduced.reshape(image.shape))


def _palette(colors: Colors, counts: Counts, num_colors: int) -> tuple[Palette, Counts]:
    """Means of the boxes that the colours, each with its count, are cut into; the box of each."""
    shift, keys = 0, _packed(colors)
    # Too many colours to be told apart are so by fewer bits; means are those of all pixels.
    while len(np.unique(keys)) > _MOST_DISTINCT:
        shift += 1
        keys = _packed(colors >> shift)
    distinct, places = np.unique(keys, return_inverse=True)
    cells = _unpacked(distinct)
    weights = np.bincount(places, counts).astype(np.int64)
    box_of_cell = np.empty(len(cells), np.int64)
    for number, members in enumerate(_boxes(cells, weights, num_colors)):
        box_of_cell[members] = number
    boxes = box_of_cell[places]
    totals = np.bincount(boxes, counts)
    sums = np.stack([np.bincount(boxes, counts * colors[:, c]) for c in range(3)], axis=-1)
    return (sums / totals[:, None] + 0.5).astype(np.uint8), boxes


def _boxes(cells: Colors, weights: Counts, num_colors: int) -> list[np.ndarray]:
    """Members of each box; the fullest box that holds more than one colour is cut next."""
    everything = np.arange(len(cells))
    ends: list[np.ndarray] = []
    heap: list[tuple[int, int, Any]] = [(-int(weights.sum()), 0, everything)]
    made = 1
    while heap and len(heap) + len(ends) < num_colors:
        _, _, members = heapq.heappop(heap)
        parts = _cut(members, cells, weights)
        if len(parts) == 1:
            ends.append(members)
            continue
        for part in parts:
            heapq.heappush(heap, (-int(weights[part].sum()), made, part))
            made += 1
    return ends + [members for _, _, members in heap]


def _cut(members: np.ndarray, cells: Colors, weights: Counts) -> list[np.ndarray]:
    """`members` in two by the median of the axis that spreads most; one if all are one colour."""
    colors = cells[members]
    spread = (colors.max(0) - colors.min(0)) * _EYE
    axis = int(np.argmax(spread))
    if spread[axis] == 0:
        return [members]
    along = colors[:, axis]
    # From the brightest down, until more than half of the pixels are in; a level is never torn.
    amounts = np.bincount(along, weights[members], minlength=256)[::-1]
    half = amounts.sum() / 2
    level = 255 - int(np.argmax(np.cumsum(amounts) > half))
    level = max(level, int(along.min()) + 1)
    return [members[along >= level], members[along < level]]


def _nearest(colors: Colors, palette: Palette, boxes: Counts) -> Counts:
    """Index of the palette's colour that is nearest to each; of equal ones that of its own box."""
    wanted = palette.astype(np.float32)
    lengths = (wanted * wanted).sum(1)
    found = boxes.copy()
    for start in range(0, len(colors), _BLOCK):
        block = slice(start, start + _BLOCK)
        # Squared distances, less what is the same for all of a row; whole numbers.
        distances = lengths - 2 * (colors[block].astype(np.float32) @ wanted.T)
        rows = np.arange(len(distances))
        best = np.argmin(distances, axis=1)
        nearer = distances[rows, best] < distances[rows, boxes[block]]
        found[block][nearer] = best[nearer]
    return found


def _packed(colors: Integer[np.ndarray, "n 3"]) -> np.ndarray:
    wide = colors.astype(np.int32)
    return np.asarray(wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2])


def _unpacked(packed: np.ndarray) -> Colors:
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=-1)
