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
from understudy.merging.motion import Motion
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


CASES: dict[str, dict[str, Any]] = {
    "overlay": {},
    "hist-match": {"mode": "hist-match", "color_transfer": "none"},
    "seamless": {"mode": "seamless", "color_transfer": "none"},
    "erode-blur": {"erode_mask": 200.0, "blur_mask": 400.0},
    "idt": {"color_transfer": "idt"},
    "mix-m": {"color_transfer": "mix-m"},
    "sot-m": {"color_transfer": "sot-m"},
    "motion-blur": {"motion_blur": 100.0},
    "sharpen": {"sharpen_mode": "gaussian", "sharpen_amount": 10.0},
    "denoise": {"denoise": 50.0},
    "color-degrade": {"color_degrade": 100.0},
    "4k": {},
}
"""What is measured: settings beside the defaults; "4k" has 3840x2160 pixels, in memory already."""

MOTION = Motion(25.0, 20.0)


def bench_merge(clip: Path, case: str, *, frames: int, resolution: int, repeats: int) -> Any:
    """The best of some measurements over different plates; JSON values."""
    settings = MergeSettings(**CASES[case])
    enlarged = 2 if case == "4k" else 1
    shape = (enlarged * SHAPE[0], enlarged * SHAPE[1])
    landmarks = _landmarks(shape)
    predictor = PlainPredictor(resolution)
    with tempfile.TemporaryDirectory() as folder:
        made = plates(clip, count=frames, shape_hw=shape, face_share=0.9 / enlarged)
        paths = []
        for i, plate in enumerate(made if case != "4k" else ()):
            paths.append(Path(folder) / f"{i:05d}.png")
            write_image(paths[-1], plate)
        cv2.setNumThreads(1)

        def work() -> int:
            for _ in range(REPEATS):
                for plate in made if case == "4k" else map(read_pixels, paths):
                    merge_into(plate, [landmarks], predictor, settings, motions=[MOTION])
            return REPEATS * len(made)

        work()
        facts = {
            "case": case,
            "plate": f"{shape[1]}x{shape[0]} " + ("array" if case == "4k" else "png"),
            "face_px": FACE_PX,
            "resolution": resolution,
            "merge": settings.model_dump(mode="json"),
        }
        if paths:
            reading = measured("read", lambda: _read(paths), settings={}, item="frame")
            facts["of_it_reading_units"] = reading["cpu_units_per_item"]
        rows = [measured("merge", work, settings=facts, item="frame") for _ in range(repeats)]
        return min(rows, key=lambda row: float(row["cpu_units_per_item"]))


def _read(paths: Sequence[Path]) -> int:
    for _ in range(REPEATS):
        for path in paths:
            read_pixels(path)
    return REPEATS * len(paths)


def _landmarks(shape_hw: tuple[int, int]) -> Landmarks:
    """An upright face whose full-face square is `FACE_PX` wide, in the middle of the frame."""
    face = np.zeros((68, 2))
    face[17:] = CANONICAL_INNER
    face[:17] = CANONICAL_JAW
    side = np.linalg.inv(np.vstack([face_matrix(face, FACE_PX, FaceType.FULL), [0, 0, 1]]))[0, 0]
    middle = CANONICAL_INNER.mean(0)
    placed: Landmarks = (face - middle) / side + np.array([shape_hw[1] / 2, shape_hw[0] / 2])
    return placed
