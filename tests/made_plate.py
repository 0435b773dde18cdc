"""A plate, landmarks and models that are made up, for tests of merging."""

from collections.abc import Callable

import numpy as np

from understudy.faces.landmarks import ALIGN_INDICES, ALIGN_TARGETS
from understudy.merging.predict import Networks
from understudy.types import FaceType, Prediction

RESOLUTION = 64


def plate_of(shape_hw: tuple[int, int], dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    """A smooth, coloured picture with some grain."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : shape_hw[0], 0 : shape_hw[1]] / 40.0
    waves = np.stack([np.sin(rows), np.cos(columns), np.sin(rows + columns)], axis=-1)
    picture = np.clip(0.5 + 0.25 * waves + rng.normal(0, 0.01, (*shape_hw, 3)), 0, 1)
    if dtype is np.float32:
        return picture.astype(np.float32)
    return np.rint(picture * np.iinfo(dtype).max).astype(dtype)


def landmarks_at(x: float, y: float, side: float, degrees: float = 0.0) -> np.ndarray:
    """68 points of a frontal face whose inner square has that side and centre."""
    points = np.empty((68, 2))
    jaw = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([0.49 + 0.55 * np.cos(jaw), 0.25 + 0.85 * np.sin(jaw)], axis=-1)
    points[17:] = (0.49, 0.75)  # lips, until the aligned points overwrite what they know
    points[list(ALIGN_INDICES)] = ALIGN_TARGETS
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (points - 0.5) @ turn.T * side + (x, y)


class Model:
    """A predictor that gives `picture(face)` with the same mask twice, and counts its calls."""

    resolution = RESOLUTION
    face_type = FaceType.FULL

    def __init__(
        self, picture: Callable[[np.ndarray], np.ndarray], mask: Callable[[int], np.ndarray]
    ) -> None:
        self.picture, self.mask, self.faces = picture, mask, list[np.ndarray]()

    def __call__(self, face: np.ndarray) -> Prediction:
        self.faces.append(face)
        mask = self.mask(len(face))
        return Prediction(self.picture(face), mask, mask)


def ones(size: int) -> np.ndarray:
    return np.ones((size, size), np.float32)


def zeros(size: int) -> np.ndarray:
    return np.zeros((size, size), np.float32)


def disc(size: int) -> np.ndarray:
    rows, columns = np.mgrid[0:size, 0:size] - (size - 1) / 2
    return np.clip(size * 0.36 - np.hypot(rows, columns), 0, 1).astype(np.float32)


def tinted(face: np.ndarray) -> np.ndarray:
    return np.clip(face * np.float32([1.3, 0.7, 0.9]) + np.float32(0.05), 0, 1)


def painted(face: np.ndarray, landmarks: np.ndarray, face_type: FaceType) -> np.ndarray:
    assert face.shape == (256, 256, 3)
    assert (landmarks[30] > 64).all(), "the nose lies in the middle of the square"
    return disc(256)


NETWORKS = Networks(painted, lambda face: np.repeat(np.repeat(face, 4, 0), 4, 1))
