"""Cost of merging one 1920x1080 frame with one 450-px face: picture file to finished array.

The network's own time is measured apart: it depends on the model, not on the merger.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from understudy.bench.plates import plates
from understudy.bench.record import measured
from understudy.faces.align import face_matrix
from understudy.faces.landmarks import CANONICAL_INNER
from understudy.media.images import read_pixels, write_image
from understudy.merging.merge import merge_into
from understudy.merging.settings import MergeSettings
from understudy.types import FaceType, Image, Landmarks, Prediction

SHAPE = (1080, 1920)
FACE_PX = 450
REPEATS = 4

# A jaw for the canonical inner points: from ear to ear below the eyes, by eye.
_ANGLES = np.linspace(np.pi, 0, 17)
CANONICAL_JAW = np.stack([0.49 + 0.6 * np.cos(_ANGLES), 0.3 + 0.85 * np.sin(_ANGLES)], axis=1)


class PlainPredictor:
    """Returns the face as it came, a little darker, with a soft round mask: no network's time."""

    face_type = FaceType.FULL

    def __init__(self, resolution: int) -> None:
        self.resolution = resolution
        rows, columns = np.mgrid[0:resolution, 0:resolution].astype(np.float32)
        middle = (resolution - 1) / 2
        away = np.hypot(rows - middle, columns - middle) / middle
        self._mask = np.clip((0.9 - away) * 5, 0, 1).astype(np.float32)

    def __call__(self, face: Image) -> Prediction:
        """The same for every face."""
        return Prediction(face * np.float32(0.9), self._mask, self._mask)


def bench_merge(clip: Path, settings: MergeSettings, *, frames: int, resolution: int) -> Any:
    """One measurement over `frames` different plates; JSON values."""
    landmarks = _landmarks()
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for i, plate in enumerate(plates(clip, count=frames, shape_hw=SHAPE, face_share=0.9)):
            paths.append(Path(folder) / f"{i:05d}.png")
            write_image(paths[-1], plate)
        predictor = PlainPredictor(resolution)
        cv2.setNumThreads(1)
        reading = measured("read", lambda: _read(paths), settings={}, item="frame")

        def work() -> int:
            for _ in range(REPEATS):
                for path in paths:
                    merge_into(read_pixels(path), [landmarks], predictor, settings)
            return REPEATS * len(paths)

        work()
        facts = {
            "plate": f"{SHAPE[1]}x{SHAPE[0]} png",
            "face_px": FACE_PX,
            "resolution": resolution,
            "merge": settings.model_dump(mode="json"),
            "of_it_reading_units": reading["cpu_units_per_item"],
        }
        return measured("merge", work, settings=facts, item="frame")


def _read(paths: Sequence[Path]) -> int:
    for _ in range(REPEATS):
        for path in paths:
            read_pixels(path)
    return REPEATS * len(paths)


def _landmarks() -> Landmarks:
    """An upright face whose full-face square is `FACE_PX` wide, in the middle of the frame."""
    face = np.zeros((68, 2))
    face[17:] = CANONICAL_INNER
    face[:17] = CANONICAL_JAW
    side = np.linalg.inv(np.vstack([face_matrix(face, FACE_PX, FaceType.FULL), [0, 0, 1]]))[0, 0]
    middle = CANONICAL_INNER.mean(0)
    placed: Landmarks = (face - middle) / side + np.array([SHAPE[1] / 2, SHAPE[0] / 2])
    return placed
