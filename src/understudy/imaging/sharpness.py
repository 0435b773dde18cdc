"""How sharp a picture is, by the cumulative probability of blur detection (CPBD).

A grey picture in, the share of its edges that are too narrow for the eye to see as blurred out,
0..1. Knows nothing of faces or files. Source: Narvekar and Karam, "A no-reference image blur metric
based on the cumulative probability of blur detection", 2011; which blocks count by Canny, "A
computational approach to edge detection", 1986; numbers of both as in reference "dfl-pipeline"
section 9, so that scores compare with those of facesets sorted elsewhere.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float64, Int, UInt8

from understudy.types import Image, Mask

BLOCK_PX = 64
_MIN_EDGE_SHARE = 0.002
_LOW, _HIGH = 0.1, 0.2
_RADIUS = 4  # of the smoothing kernel: four sigmas of 1 px
_LONGEST_WALK = 100
_STRONG_CONTRAST = 50
_WIDTHS = (5, 3)  # just noticeable widths below and above that contrast
_BORDER = 8  # how far outside its content a picture still matters, in pixels

Grey = Float64[np.ndarray, "h w"]


def sharpness_cpbd(image: Image, mask: Mask | None = None) -> float:
    """Sharpness of a picture, or of the part of it where `mask` is 1; 0 where it has no edges."""
    levels = np.rint(np.clip(image, 0.0, 1.0) * 255).astype(np.uint8)
    if mask is not None:
        levels = levels * (mask[..., None] > 0)
    return sharpness_of_levels(cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY))


def sharpness_of_levels(grey: UInt8[np.ndarray, "h w"]) -> float:
    """Sharpness of a grey picture of 8 bits."""
    height, width = (side - side % BLOCK_PX for side in grey.shape)
    if not height or not width or not grey.any():
        return 0.0
    top, left, picture = _content(grey)
    edges = _vertical_edges(picture, grey.size)
    edges &= _inner(picture.shape, top, left, grey.shape)
    rows, columns = np.nonzero(edges)
    block = (rows + top) // BLOCK_PX, (columns + left) // BLOCK_PX
    inside = (rows + top < height) & (columns + left < width)
    rows, columns = rows[inside], columns[inside]
    block = block[0][inside], block[1][inside]
    whole = grey[:height, :width]
    counts = _edge_blocks(picture, (top, left), grey.shape)[block]
    sides = _direction(picture, rows, columns)
    used = counts & (sides != 0)
    if not used.any():
        return 0.0
    spread = _widths(picture, rows[used], columns[used], sides[used])
    strong = _contrast(whole)[block[0][used], block[1][used]] > _STRONG_CONTRAST
    # The paper's probability 1 - exp(-(width / noticeable)^3.6) is at most 63 % up to that width.
    sharp = spread <= np.where(strong, _WIDTHS[1], _WIDTHS[0])
    return float(np.count_nonzero(sharp) / sharp.size)


def _content(
    grey: UInt8[np.ndarray, "whole_h whole_w"],
) -> tuple[int, int, Grey]:
    """The part of a picture that is not black, with a border, and where it begins.

    Blackness around it adds no edge; leaving it out halves the work on a masked face.
    """
    left, top, width, height = cv2.boundingRect(grey)
    bottom, right = top + height + _BORDER, left + width + _BORDER
    top, left = max(top - _BORDER, 0), max(left - _BORDER, 0)
    return top, left, grey[top:bottom, left:right].astype(np.float64)


def _inner(
    shape_hw: tuple[int, ...], top: int, left: int, whole_hw: tuple[int, ...]
) -> Bool[np.ndarray, "h w"]:
    """All of a part but what lies on the outermost ring of the whole."""
    inner = np.ones(shape_hw, bool)
    inner[: 1 - top if top < 1 else 0] = False
    inner[:, : 1 - left if left < 1 else 0] = False
    if top + shape_hw[0] == whole_hw[0]:
        inner[-1] = False
    if left + shape_hw[1] == whole_hw[1]:
        inner[:, -1] = False
    return inner


def _vertical_edges(picture: Grey, whole_size: int) -> Bool[np.ndarray, "h w"]:
    """Where the horizontal change is strong and peaks along its row or its column."""
    change = cv2.sepFilter2D(
        picture,
        cv2.CV_64F,
        np.array([1.0, 0.0, -1.0]),
        np.array([1.0, 2.0, 1.0]) / 8,
        borderType=cv2.BORDER_REFLECT,
    )
    power = change * change
    power[power <= 2 * np.sqrt(power.sum() / whole_size)] = 0
    padded = np.pad(power, 1)
    middle = padded[1:-1, 1:-1]
    along_row = (middle > padded[1:-1, :-2]) & (middle > padded[1:-1, 2:])
    along_column = (middle > padded[:-2, 1:-1]) & (middle > padded[2:, 1:-1])
    return np.asarray(along_row | along_column)


def _direction(
    picture: Grey, rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """1 where brightness rises to the right, -1 where it falls, 0 where it goes up or down."""
    last_row, last_column = picture.shape[0] - 1, picture.shape[1] - 1
    right = picture[rows, np.minimum(columns + 1, last_column)]
    below = picture[np.minimum(rows + 1, last_row), columns]
    gx = right - picture[rows, np.maximum(columns - 1, 0)]
    gy = below - picture[np.maximum(rows - 1, 0), columns]
    eighths = np.rint(np.degrees(np.arctan2(gy, gx)) / 45).astype(np.int64)
    return np.asarray(
        np.where((gx == 0) | (eighths == 0), 1, np.where(np.abs(eighths) == 4, -1, 0)), np.int64
    )


def _widths(
    picture: Grey,
    rows: Int[np.ndarray, " n"],
    columns: Int[np.ndarray, " n"],
    sides: Int[np.ndarray, " n"],
) -> Int[np.ndarray, " n"]:
    """Widths of edges: how far brightness goes on rising or falling to both sides, plus 2."""
    step = np.sign(np.diff(picture, axis=1)).astype(np.int8)
    left = np.where(sides > 0, _walk(step, rows, columns, 1), _walk(step, rows, columns, -1))
    flipped = -step[:, ::-1]
    from_right = picture.shape[1] - 1 - columns
    right = np.where(
        sides > 0, _walk(flipped, rows, from_right, -1), _walk(flipped, rows, from_right, 1)
    )
    return np.asarray(left + right + 2)


def _walk(
    step: Int[np.ndarray, "h w"],
    rows: Int[np.ndarray, " n"],
    columns: Int[np.ndarray, " n"],
    sign: int,
) -> Int[np.ndarray, " n"]:
    """Consecutive steps of one sign to the left of column - 1, at most 100."""
    places = np.arange(1, step.shape[1] + 1, dtype=np.int32)
    stops = np.maximum.accumulate(np.where(step == sign, np.int32(0), places), axis=1)
    stops = np.pad(stops, ((0, 0), (1, 0)))  # entry c: the last step up to column c that stops
    start = columns - 1
    return np.asarray(np.minimum(start - stops[rows, start], _LONGEST_WALK))


def _contrast(grey: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "r c"]:
    """Brightest minus darkest level of each block."""
    height, width = grey.shape
    blocks = grey.reshape(height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    return np.asarray(blocks.max((1, 3)) - blocks.min((1, 3)))


def _edge_blocks(
    picture: Grey, place: tuple[int, int], whole_hw: tuple[int, ...]
) -> Bool[np.ndarray, "r c"]:
    """Which blocks of the whole picture hold enough edges to count."""
    low, strong = _canny_peaks(picture, place, whole_hw)
    needed = _MIN_EDGE_SHARE * BLOCK_PX * BLOCK_PX
    sure = _per_block(low & strong, place, whole_hw) > needed
    maybe = _per_block(low, place, whole_hw) > needed
    if np.array_equal(sure, maybe):  # following edges would change nothing
        return sure
    count, labels = cv2.connectedComponents(low.astype(np.uint8), connectivity=8)
    kept = np.zeros(count, bool)
    kept[labels[low & strong]] = True
    return _per_block(kept[labels], place, whole_hw) > needed


def _per_block(
    flags: Bool[np.ndarray, "h w"], place: tuple[int, int], whole_hw: tuple[int, ...]
) -> Int[np.ndarray, "r c"]:
    """Number of flags set in each complete block of the whole picture."""
    whole = np.zeros(whole_hw, np.uint8)
    whole[place[0] : place[0] + flags.shape[0], place[1] : place[1] + flags.shape[1]] = flags
    rows, columns = (side // BLOCK_PX for side in whole_hw)
    blocks = whole[: rows * BLOCK_PX, : columns * BLOCK_PX].reshape(
        rows, BLOCK_PX, columns, BLOCK_PX
    )
    return np.asarray(blocks.sum(axis=(1, 3), dtype=np.int64))


def _canny_peaks(
    picture: Grey, place: tuple[int, int], whole_hw: tuple[int, ...]
) -> tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Pixels whose gradient peaks across the edge, and pixels with a strong gradient."""
    smooth = _smooth(picture, place, whole_hw)
    across, down = (
        cv2.sepFilter2D(smooth, cv2.CV_64F, *kernels, borderType=cv2.BORDER_REFLECT)
        for kernels in ((_SLOPE, _ROOF), (_ROOF, _SLOPE))
    )
    power = np.sqrt(across * across + down * down)
    candidates = (power >= _LOW) & _inner(picture.shape, place[0], place[1], whole_hw)
    candidates[[0, -1]] = candidates[:, [0, -1]] = False
    rows, columns = np.nonzero(candidates)
    dx, dy, here = across[rows, columns], down[rows, columns], power[rows, columns]
    steep = np.abs(dy) > np.abs(dx)
    long, short = np.where(steep, dy, dx), np.where(steep, dx, dy)
    share = np.abs(short) / np.abs(long)
    # One neighbour lies along the longer part of the gradient, one along the diagonal.
    step_x, step_y = np.where(dx < 0, -1, 1), np.where(dy < 0, -1, 1)
    plain_x, plain_y = np.where(steep, 0, step_x), np.where(steep, step_y, 0)
    peak = np.ones(here.size, bool)
    for sign in (1, -1):
        plain = power[rows + sign * plain_y, columns + sign * plain_x]
        diagonal = power[rows + sign * step_y, columns + sign * step_x]
        peak &= diagonal * share + plain * (1 - share) <= here
    low = np.zeros(picture.shape, bool)
    low[rows[peak], columns[peak]] = True
    return low, power > _HIGH


_SLOPE = np.array([-1.0, 0.0, 1.0])
_ROOF = np.array([1.0, 2.0, 1.0])
_BELL = np.exp(-0.5 * np.arange(-_RADIUS, _RADIUS + 1, dtype=np.float64) ** 2)
_BELL /= _BELL.sum()


def _smooth(picture: Grey, place: tuple[int, int], whole_hw: tuple[int, ...]) -> Grey:
    """The picture smoothed by one pixel; near the whole's borders by what of the bell is inside."""
    smooth: Grey = np.asarray(
        cv2.sepFilter2D(picture, cv2.CV_64F, _BELL, _BELL, borderType=cv2.BORDER_CONSTANT),
        np.float64,
    )
    for axis in (0, 1):
        inside = np.convolve(np.ones(whole_hw[axis]), _BELL, mode="same")
        part = inside[place[axis] : place[axis] + picture.shape[axis]]
        smooth = smooth / np.expand_dims(part, 1 - axis)
    return smooth
