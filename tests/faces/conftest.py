"""The embedded face models, fetched once into the user's cache, and frames to try them on."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy import weights
from understudy.faces.detectors.registry import DETECTORS, Detector
from understudy.faces.landmarkers.registry import LANDMARKERS, Landmarker

Clip = Callable[..., list[np.ndarray]]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def face_models() -> Path:
    return weights.get("mediapipe")


@pytest.fixture(scope="session")
def detector(face_models: Path) -> Detector:
    return DETECTORS["blazeface"]("cpu")


@pytest.fixture(scope="session")
def landmarker(face_models: Path) -> Landmarker:
    return LANDMARKERS["mesh"]("cpu")


@pytest.fixture(scope="session")
def read_clip(shared: Path) -> Clip:
    """Reads frames of a clip or picture of the shared material, RGB uint8: name, first, step."""

    def read(name: str, *, first: int = 0, step: int = 1, count: int = 10**6) -> list[np.ndarray]:
        path = shared / name
        if path.suffix in (".png", ".jpg"):
            return [np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])]
        capture, frames, number = cv2.VideoCapture(str(path)), [], 0
        while len(frames) < count:
            good, frame = capture.read()
            if not good:
                break
            if number >= first and (number - first) % step == 0:
                frames.append(np.ascontiguousarray(frame[..., ::-1]))
            number += 1
        capture.release()
        assert frames, f"{path} gave no frames"
        return frames

    return read
