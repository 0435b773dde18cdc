"""Film-like plates to measure on, made from one small clip."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from understudy.media.images import Pixels
from understudy.media.video import decode_frames

GRAIN = 2.0


def plates(clip: Path, *, count: int, shape_hw: tuple[int, int], face_share: float) -> list[Pixels]:
    """Frames of `shape_hw` with the clip's picture `face_share` of the height tall, and grain.

    The rest of the frame is the picture out of focus, so that it codes like a film's background.
    """
    height, width = shape_hw
    side = round(height * face_share)
    left, top = (width - side) // 2, (height - side) // 2
    rng = np.random.default_rng(0)
    made: list[Pixels] = []
    for frame in decode_frames(clip):
        if len(made) == count:
            break
        picture = cv2.resize(frame.pixels, (side, side), interpolation=cv2.INTER_AREA)
        plate = cv2.GaussianBlur(cv2.resize(frame.pixels, (width, height)), (0, 0), width / 20)
        plate[top : top + side, left : left + side] = picture
        noisy: Any = rng.standard_normal(plate.shape, dtype=np.float32)  # numpy types it loosely
        noisy *= np.float32(GRAIN)
        noisy += plate
        made.append(np.clip(noisy + 0.5, 0, 255).astype(np.uint8))
    return made
