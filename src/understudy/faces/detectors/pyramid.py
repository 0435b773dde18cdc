"""The default detector: the full-range BlazeFace network over a pyramid of tiles.

Frames in, candidates out, many frames and tiles in one batch. The network sees 192 px; a face is
found from about 20 of them up, so that the whole frame alone would miss small faces. Each level of
the pyramid covers the frame with smaller tiles, until the smallest face asked for is large enough.
Knows nothing of landmarks or files.
Paper: Bazarevsky et al., "BlazeFace", 2019 (see blazeface.py). Licence of the original code and
weights (MediaPipe): Apache-2.0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from understudy import weights
from understudy.faces.detectors.blazeface import (
    FullRangeNet,
    ShortRangeNet,
    build_full_range,
    build_short_range,
    probabilities,
)
from understudy.faces.detectors.registry import Detection
from understudy.faces.detectors.suppression import merge_overlapping
from understudy.faces.patch import read_patch, square_matrix
from understudy.faces.pixels import Pixels, white
from understudy.types import Landmarks, Matrix

SMALLEST_IN_INPUT_PX = 20
MIN_SCORE = 0.5
_OVERLAP = 0.25
# The largest step that leaves no gap: what a level's overlap holds whole, the level above finds.
_STEP = _OVERLAP * FullRangeNet.size / SMALLEST_IN_INPUT_PX
_BATCH = 16
_RIGHT_EYE, _LEFT_EYE = 0, 1
_BORDER = 0.02
_FOREHEAD, _ROOM = 0.3, 1.65


@dataclass(frozen=True, slots=True)
class Tile:
    """A square of a frame; it may reach beyond the frame, and is black there."""

    left: int
    top: int
    side: int


def tiles_of(shape_hw: tuple[int, int], min_face_px: int, input_px: int) -> list[Tile]:
    """The pyramid: the whole frame first, then grids of smaller and smaller overlapping tiles."""
    height, width = shape_hw
    longer = max(height, width)
    whole = Tile((width - longer) // 2, (height - longer) // 2, longer)
    finest = max(min_face_px * input_px / SMALLEST_IN_INPUT_PX, 32.0)
    levels = int(np.ceil(np.log(longer / finest) / np.log(_STEP))) if finest < longer else 0
    tiles = [whole]
    for level in range(1, levels + 1):
        side = round(longer * (finest / longer) ** (level / levels))
        for top in _starts(height, side):
            tiles += [Tile(left, top, side) for left in _starts(width, side)]
    return tiles


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [(length - side) // 2]
    count = int(np.ceil((length - side) / (side * (1 - _OVERLAP)))) + 1
    return [round(x) for x in np.linspace(0, length - side, count)]


class PyramidDetector:
    """Finds faces with `FullRangeNet` and looks at each once more with `ShortRangeNet`."""

    def __init__(self, net: FullRangeNet, second: ShortRangeNet, device: str = "cpu") -> None:
        self._net, self._second = net.to(device), second.to(device)
        for each in (self._net, self._second):
            each.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = torch.device(device)
        self._anchors = net.anchors().numpy()

    @classmethod
    def from_weights(cls, device: str = "cpu") -> "PyramidDetector":
        """The detector with its weights, fetched on first use.

        Raises:
            WeightsError: they are not there and can't be fetched.
        """
        full_range = build_full_range(weights.load("mediapipe", "detector_full_range"))
        short_range = build_short_range(weights.load("mediapipe", "detector_short_range"))
        return cls(full_range, short_range, device)

    def detect(
        self, images: Sequence[Pixels], *, min_face_px: int = 32, quarter_turns: int = 0
    ) -> list[list[Detection]]:
        """Candidates of each image, largest first; see `Detector`."""
        turned = [np.rot90(image, -quarter_turns) for image in images]
        size = self._net.size
        jobs = [
            (number, tile)
            for number, image in enumerate(turned)
            for tile in tiles_of(image.shape[:2], min_face_px, size)
        ]
        found: list[list[Detection]] = [[] for _ in images]
        for start in range(0, len(jobs), _BATCH):
            batch = jobs[start : start + _BATCH]
            inputs = np.stack([read_tile(turned[number], tile, size) for number, tile in batch])
            scores, boxes = self._run(self._net, inputs)
            for (number, tile), score, box in zip(batch, scores, boxes, strict=True):
                shape = turned[number].shape[:2]
                found[number] += self._candidates(score, box, tile, shape)
        results = []
        for image, candidates in zip(turned, found, strict=True):
            merged = [c for c in merge_overlapping(candidates) if c.size >= min_face_px]
            upright = [unturn(c, image.shape[:2], quarter_turns) for c in merged]
            results.append(sorted(upright, key=lambda c: -c.area))
        return results

    def confirm(
        self,
        images: Sequence[Pixels],
        detections: Sequence[Sequence[Detection]],
        landmarks: Sequence[Sequence[Landmarks]],
    ) -> list[list[float]]:
        """Mean of the first score and that of another network on the upright face; see `Detector`.

        The two were trained apart, and what deceives one seldom deceives the other.
        """
        size = self._second.size
        crops = [
            read_patch(image, _upright(points, size), size) * 2 - 1
            for image, of_image in zip(images, landmarks, strict=True)
            for points in of_image
        ]
        scores: list[float] = []
        for start in range(0, len(crops), _BATCH):
            seen, _ = self._run(self._second, np.stack(crops[start : start + _BATCH]))
            scores += seen.max(axis=1).tolist()
        second = iter(scores)
        return [[(d.score + next(second)) / 2 for d in of_image] for of_image in detections]

    @torch.inference_mode()
    def _run(
        self, net: FullRangeNet | ShortRangeNet, inputs: Float32[np.ndarray, "b s s 3"]
    ) -> tuple[Float32[np.ndarray, "b n"], Float32[np.ndarray, "b n 16"]]:
        x: Tensor = torch.from_numpy(inputs).to(self._device).permute(0, 3, 1, 2)  # channels last
        logits, boxes = net(x)
        return probabilities(logits).cpu().numpy(), boxes.cpu().numpy()

    def _candidates(
        self,
        scores: Float32[np.ndarray, " n"],
        raw: Float32[np.ndarray, "n 16"],
        tile: Tile,
        shape_hw: tuple[int, int],
    ) -> Iterator[Detection]:
        """Detections of one tile in pixels of the frame."""
        keep = np.flatnonzero(scores >= MIN_SCORE)
        size = self._net.size
        # box centre, box size, six points; centre and points relative to the anchor
        values = raw[keep].reshape(len(keep), 8, 2) / size
        values[:, [0, 2, 3, 4, 5, 6, 7]] += self._anchors[keep][:, None]
        for score, (centre, extent, *points) in zip(scores[keep], values, strict=True):
            unit = np.stack([centre - extent / 2, centre + extent / 2])
            if _cut_by_tile(unit, tile, shape_hw):
                continue
            places = np.concatenate([unit, np.stack(points)]) * tile.side - 0.5
            places += (tile.left, tile.top)
            across = places[2 + _LEFT_EYE] - places[2 + _RIGHT_EYE]
            yield Detection(
                box=(*places[0].tolist(), *places[1].tolist()),
                score=float(score),
                keypoints=places[2:].astype(np.float32),
                roll=float(np.arctan2(across[1], across[0])),
            )


def _upright(points: Landmarks, size: int) -> Matrix:
    """Map from a patch that shows the face upright, with room around it, to the frame."""
    eyes = points[42:48].mean(0) - points[36:42].mean(0)
    angle = float(np.arctan2(eyes[1], eyes[0]))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    level = points @ turn
    low, high = level.min(0), level.max(0)
    # The points end at the brows; the face goes on for about a third of its height above them.
    low[1] -= (high[1] - low[1]) * _FOREHEAD
    side = float((high - low).max()) * _ROOM
    return square_matrix(turn @ ((low + high) / 2), side, angle, size)


def _cut_by_tile(unit: Float32[np.ndarray, "2 2"], tile: Tile, shape_hw: tuple[int, int]) -> bool:
    """Whether the box leaves the tile where the frame goes on: a neighbour sees more of it."""
    height, width = shape_hw
    (left, top), (right, bottom) = unit
    return bool(
        (left < _BORDER and tile.left > 0)
        or (top < _BORDER and tile.top > 0)
        or (right > 1 - _BORDER and tile.left + tile.side < width)
        or (bottom > 1 - _BORDER and tile.top + tile.side < height)
    )


def read_tile(image: Pixels, tile: Tile, size: int) -> Float32[np.ndarray, "size size 3"]:
    """The tile at the network's size, -1..1, black (-1) outside the frame."""
    height, width = image.shape[:2]
    left, top = max(tile.left, 0), max(tile.top, 0)
    right, bottom = min(tile.left + tile.side, width), min(tile.top + tile.side, height)
    scale = size / tile.side
    x0, y0 = round((left - tile.left) * scale), round((top - tile.top) * scale)
    x1 = max(round((right - tile.left) * scale), x0 + 1)
    y1 = max(round((bottom - tile.top) * scale), y0 + 1)
    part = image[top:bottom, left:right]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(np.ascontiguousarray(part), (x1 - x0, y1 - y0), interpolation=method)
    result = np.full((size, size, 3), -1.0, np.float32)
    result[y0:y1, x0:x1] = small * np.float32(2 / white(image)) - np.float32(1)
    return result


def unturn(found: Detection, turned_hw: tuple[int, int], quarter_turns: int) -> Detection:
    """What was found in a picture turned clockwise by quarters, in the picture as it was."""
    quarters = quarter_turns % 4
    if quarters == 0:
        return found
    points = np.concatenate([np.reshape(found.box, (2, 2)), found.keypoints]).astype(np.float64)
    height, width = turned_hw
    for _ in range(quarters):
        # One quarter back: (x, y) of the turned picture was (y, height - 1 - x)... of one w wide.
        points = np.stack([points[:, 1], width - 1 - points[:, 0]], 1)
        height, width = width, height
    low, high = points[:2].min(0), points[:2].max(0)
    roll = found.roll - quarters * np.pi / 2
    return Detection(
        box=(*low.tolist(), *high.tolist()),
        score=found.score,
        keypoints=points[2:].astype(np.float32),
        roll=float((roll + np.pi) % (2 * np.pi) - np.pi),
    )
