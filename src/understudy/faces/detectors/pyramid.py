"""The default detector: the full-range BlazeFace network over a pyramid of sizes.

Frames in, candidates out, frames of one size in one batch. The network was made for 192 px and
finds faces from about 20 px up, so that a frame brought to 192 px would lose its small faces. It
has no layer of fixed size, hence each frame is looked at whole in several sizes, the largest one
such that the smallest face asked for is seen. Candidates are looked at a second time by the
short-range network. Knows nothing of landmarkers or files.
Paper: Bazarevsky et al., "BlazeFace", 2019 (see blazeface.py). Licence of the original code and
weights (MediaPipe): Apache-2.0.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from understudy import weights
from understudy.faces.detectors.blazeface import (
    CELL_PX,
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
_STEP = 2.4
_STRIDE = 32
# What lies between two layers has to stay in a core's cache; a GPU wants the opposite.
_BATCH_PX = {torch.float32: 4 * FullRangeNet.size**2, torch.bfloat16: 9 * FullRangeNet.size**2}
_BATCH_PX_GPU = 64 * FullRangeNet.size**2
_BATCH = 16
_RIGHT_EYE, _LEFT_EYE = 0, 1
_FOREHEAD, _ROOM = 0.3, 1.65


@dataclass(frozen=True, slots=True)
class Level:
    """One size a frame is looked at: `content_hw` in the middle of a black `canvas_hw`."""

    content_hw: tuple[int, int]
    canvas_hw: tuple[int, int]

    @property
    def corner(self) -> tuple[int, int]:
        """Left and top of the content in the canvas."""
        (height, width), (canvas_height, canvas_width) = self.content_hw, self.canvas_hw
        return (canvas_width - width) // 2, (canvas_height - height) // 2


def levels_of(shape_hw: tuple[int, int], min_face_px: int, input_px: int) -> list[Level]:
    """The pyramid: the frame at half the network's own size first, then larger and larger.

    At its own size the network misses faces that fill the frame.
    """
    longer = max(shape_hw)
    smallest = input_px / longer / 2
    largest = SMALLEST_IN_INPUT_PX / min_face_px
    # A canvas of whole strides holds no padding; a face may be a little smaller for it.
    strides = largest * longer / _STRIDE
    if np.floor(strides) > 0.95 * strides:
        largest = float(np.floor(strides)) * _STRIDE / longer
    steps = int(np.ceil(np.log(largest / smallest) / np.log(_STEP))) if largest > smallest else 0
    scales = [smallest * (largest / smallest) ** (k / max(steps, 1)) for k in range(steps + 1)]
    return [_level(shape_hw, scale) for scale in scales]


def _level(shape_hw: tuple[int, int], scale: float) -> Level:
    height, width = (max(round(length * scale), 1) for length in shape_hw)
    canvas_height, canvas_width = (-(-length // _STRIDE) * _STRIDE for length in (height, width))
    return Level((height, width), (canvas_height, canvas_width))


class PyramidDetector:
    """Finds faces with `FullRangeNet` and looks at each once more with `ShortRangeNet`."""

    def __init__(self, net: FullRangeNet, second: ShortRangeNet, device: str = "cpu") -> None:
        self._net, self._second = net.to(device, _fast_type(device)), second.to(device)
        for each in (self._net, self._second):
            each.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = torch.device(device)
        on_cpu = _BATCH_PX[_fast_type(device)]
        self._batch_px = on_cpu if self._device.type == "cpu" else _BATCH_PX_GPU

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
        jobs: dict[tuple[int, int], list[tuple[int, Level, Pixels]]] = defaultdict(list)
        for number, image in enumerate(turned):
            for level, content in contents(image, min_face_px, self._net.size):
                jobs[level.canvas_hw].append((number, level, content))
        found: list[list[Detection]] = [[] for _ in images]
        for canvas_hw, of_size in jobs.items():
            at_once = max(self._batch_px // (canvas_hw[0] * canvas_hw[1]), 1)
            for start in range(0, len(of_size), at_once):
                batch = of_size[start : start + at_once]
                inputs = np.stack([on_canvas(content, level) for _, level, content in batch])
                scores, boxes = self._run(self._net, inputs)
                for (number, level, _), score, box in zip(batch, scores, boxes, strict=True):
                    shape = turned[number].shape[:2]
                    found[number] += _candidates(score, box, level, shape)
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
        self, net: FullRangeNet | ShortRangeNet, inputs: Float32[np.ndarray, "b h w 3"]
    ) -> tuple[Float32[np.ndarray, "b n"], Float32[np.ndarray, "b n 16"]]:
        kind = next(net.parameters()).dtype
        x: Tensor = torch.from_numpy(inputs).to(self._device, kind).permute(0, 3, 1, 2)
        logits, boxes = net(x)  # of channels last
        return probabilities(logits.float()).cpu().numpy(), boxes.float().cpu().numpy()


def _fast_type(device: str) -> torch.dtype:
    """Half precision where the processor computes in it: twice as fast for the search."""
    in_half = device == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if in_half else torch.float32


def _candidates(
    scores: Float32[np.ndarray, " n"],
    raw: Float32[np.ndarray, "n 16"],
    level: Level,
    shape_hw: tuple[int, int],
) -> Iterator[Detection]:
    """Detections at one level in pixels of the frame."""
    keep = np.flatnonzero(scores >= MIN_SCORE)
    columns = level.canvas_hw[1] // CELL_PX
    anchors = (np.stack([keep % columns, keep // columns], 1) + 0.5) * CELL_PX
    to_frame = np.divide(shape_hw[::-1], level.content_hw[::-1])
    # box centre, box size, six points; centre and points relative to the anchor
    for score, anchor, values in zip(
        scores[keep], anchors, raw[keep].reshape(len(keep), 8, 2).astype(np.float64), strict=True
    ):
        centre, extent, points = values[0], values[1], values[2:]
        places = np.concatenate([[centre - extent / 2, centre + extent / 2], points])
        places = (places + anchor - level.corner) * to_frame - 0.5
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


def contents(image: Pixels, min_face_px: int, input_px: int) -> Iterator[tuple[Level, Pixels]]:
    """The levels of a frame, largest first, and the frame at the size of each.

    Each is made from the one before: going down in small steps costs a third.
    """
    picture = np.ascontiguousarray(image)
    for level in reversed(levels_of(image.shape[:2], min_face_px, input_px)):
        height, width = level.content_hw
        shrinks = height < picture.shape[0]
        flags = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=flags))
        yield level, picture


def on_canvas(content: Pixels, level: Level) -> Float32[np.ndarray, "_ _ 3"]:
    """A frame at the level's size, -1..1, black (-1) around it."""
    height, width = level.content_hw
    left, top = level.corner
    result = np.full((*level.canvas_hw, 3), -1.0, np.float32)
    inner = result[top : top + height, left : left + width]
    np.multiply(content, np.float32(2 / white(content)), out=inner)
    inner -= np.float32(1)
    return result


def unturn(found: Detection, turned_hw: tuple[int, int], quarter_turns: int) -> Detection:
    """What was found in a picture turned clockwise by quarters, in the picture as it was."""
    quarters = quarter_turns % 4
    if quarters == 0:
        return found
    points = np.concatenate([np.reshape(found.box, (2, 2)), found.keypoints]).astype(np.float64)
    height, width = turned_hw
    for _ in range(quarters):
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
