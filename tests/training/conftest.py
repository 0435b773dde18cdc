"""Faces small enough to train on in a test: painted, with landmarks that fit."""

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

from understudy.models.config import ModelConfig
from understudy.training.loop import pace
from understudy.training.plan.options import TrainOptions
from understudy.types import FaceSample, FaceType


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def saves_as_they_are() -> None:
    """Let saves come as often as they do outside of tests."""


@pytest.fixture(autouse=True)
def _saves_are_dear(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a large model on a slow disk: how fast a machine is changes no test then."""
    if "saves_as_they_are" not in request.fixturenames:
        monkeypatch.setattr(pace, "SAVING_SHARE", 1e-9)
        monkeypatch.setattr(pace, "FIRST_SAVE_SECONDS", math.inf)


def face_landmarks(size: int) -> np.ndarray:
    """68 points of a plain frontal face in a full-face picture."""
    angle = np.linspace(np.pi, 0, 17)
    jaw = np.stack([0.5 + 0.33 * np.cos(angle), 0.45 + 0.43 * np.sin(angle)], 1)
    brow = np.stack([np.linspace(0.22, 0.42, 5), 0.30 - 0.03 * np.sin(np.linspace(0, 3, 5))], 1)
    mirrored = np.stack([1 - brow[::-1, 0], brow[::-1, 1]], 1)
    nose = np.stack([np.full(4, 0.5), np.linspace(0.38, 0.55, 4)], 1)
    base = np.stack([np.linspace(0.43, 0.57, 5), [0.58, 0.595, 0.6, 0.595, 0.58]], 1)
    turn = np.deg2rad([180, 240, 300, 0, 60, 120])
    eye = np.stack([0.06 * np.cos(turn), 0.03 * np.sin(turn)], 1)
    turn = np.linspace(np.pi, -np.pi, 12, endpoint=False)
    mouth = np.stack([0.5 + 0.12 * np.cos(turn), 0.72 - 0.05 * np.sin(turn)], 1)
    turn = np.linspace(np.pi, -np.pi, 8, endpoint=False)
    lips = np.stack([0.5 + 0.08 * np.cos(turn), 0.72 - 0.02 * np.sin(turn)], 1)
    eyes = [eye + np.array([x, 0.38]) for x in (0.33, 0.67)]
    parts = [jaw, brow, mirrored, nose, base, *eyes, mouth, lips]
    return np.concatenate(parts) * size


def painted_face(index: int, size: int) -> np.ndarray:
    """RGB picture, float32, of a face that differs with `index`."""
    generator = np.random.default_rng(index)
    points = face_landmarks(size).astype(np.int32)
    image = np.full((size, size, 3), generator.uniform(0.1, 0.4, 3), np.float32)
    cv2.fillConvexPoly(image, cv2.convexHull(points[:27]), generator.uniform(0.5, 0.9, 3).tolist())
    for part in (slice(36, 42), slice(42, 48), slice(48, 60)):
        cv2.fillConvexPoly(image, points[part], generator.uniform(0, 0.4, 3).tolist())
    return image


MakeFaces = Callable[..., list[FaceSample]]


def faces_of(
    count: int, *, size: int = 64, face_type: FaceType = FaceType.FULL, first: int = 0
) -> list[FaceSample]:
    """`count` painted faces."""
    return [
        FaceSample(
            load=lambda i=i: painted_face(i, size),
            landmarks=face_landmarks(size),
            face_type=face_type,
            source_name=f"{i:05d}.png",
            name=f"{i:05d}_0.jpg",
        )
        for i in range(first, first + count)
    ]


@pytest.fixture
def make_faces() -> MakeFaces:
    """Function that gives `count` painted faces."""
    return faces_of


@pytest.fixture
def tiny_config() -> ModelConfig:
    return ModelConfig(
        kind="SAEHD",
        resolution=32,
        face_type=FaceType.FULL,
        archi="df-ud",
        ae_dims=8,
        e_dims=4,
        d_dims=4,
        d_mask_dims=2,
    )


@pytest.fixture
def tiny_options() -> TrainOptions:
    return TrainOptions(
        batch_size=2,
        learning_rate=1e-3,
        precision="fp32",
        device="cpu",
        threads=1,
        held_out=0.1,
        memory_check=False,
    )
