"""The mesh network against the original, and the 68 points against exact ones."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy import weights
from understudy.errors import OptionError
from understudy.faces.detectors.registry import Detection, Detector
from understudy.faces.landmarkers.facemesh import (
    LEFT_EYE,
    LEFT_IRIS,
    LIPS,
    RIGHT_EYE,
    RIGHT_IRIS,
    build_attention_mesh,
)
from understudy.faces.landmarkers.ibug68 import reduce_mesh
from understudy.faces.landmarkers.registry import LANDMARKERS, Landmarker

OUTPUTS = Path(__file__).parent / "data" / "network_outputs.npz"


def wave_picture(size: int) -> np.ndarray:
    """The picture the reference outputs were made from by the original runtime, in 8 bit."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float64) / size
    waves = [np.sin(9 * x + 5 * y * y), np.cos(7 * y - 3 * x), np.sin(11 * x * y + 1)]
    return np.round(np.stack([0.5 + 0.5 * w for w in waves], -1) * 255) / 255


def test_network_agrees_with_the_original(face_models: Path) -> None:
    net = build_attention_mesh(weights.load("mediapipe", "mesh_attention"))
    x = torch.from_numpy(wave_picture(192).astype(np.float32)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        mesh, points, presence = net(torch.cat([torch.zeros_like(x), x]))
    reference = np.load(OUTPUTS)
    expected = np.full((478, 2), np.nan)
    expected[:468] = reference["attention_mesh"]
    np.testing.assert_allclose(mesh[1], expected[:468], atol=4e-4)
    parts = {
        "lips": LIPS,
        "right_eye": RIGHT_EYE,
        "left_eye": LEFT_EYE,
        "right_iris": RIGHT_IRIS,
        "left_iris": LEFT_IRIS,
    }
    for name, index in parts.items():
        expected[list(index)] = reference[f"attention_{name}"].reshape(-1, 2)
    # In pixels of 192; float32 rounding of other kernels.
    np.testing.assert_allclose(points[1], expected, atol=4e-4)
    np.testing.assert_allclose(presence[1], reference["attention_presence"][0], atol=4e-4)


# Mean error of the inner points in per cent of the eye distance, with room for other kernels; what
# the reduced mesh measures on these frames is 2.7 and 4.7.
@pytest.mark.parametrize(
    ("clip", "first", "limit"), [("dst_b", 0, 3.3), ("src_a", 100, 5.5)], ids=["frontal", "turned"]
)
def test_points_lie_near_exact_ones(
    clip: str,
    first: int,
    limit: float,
    detector: Detector,
    landmarker: Landmarker,
    read_clip,
    shared: Path,
) -> None:
    frames = read_clip(f"doubles/data/{clip}.mp4", first=first, step=7, count=6)
    truth = np.load(shared / f"doubles/data/{clip}.npz")
    numbers = first + 7 * np.arange(6)
    exact = truth["landmarks68"][numbers] - 0.5  # ours count from the centre of the first pixel
    camera = truth["landmarks68_camera_cm"][numbers]
    depth = -(camera[:, 36, 2] + camera[:, 45, 2]) / 2
    eyes = np.linalg.norm(camera[:, 36] - camera[:, 45], axis=1) * truth["focal_px"] / depth
    detections = [d[:1] for d in detector.detect(frames, min_face_px=100)]
    found = landmarker.landmarks(frames, detections)
    points = np.stack([f[0].points for f in found])
    error = np.linalg.norm(points - exact, axis=2) / eyes[:, None] * 100
    assert error[:, 17:].mean() < limit
    assert all(f[0].score > 0.99 for f in found)


@pytest.mark.parametrize("name", list(LANDMARKERS))
def test_every_landmarker_repeats_itself_at_any_roll(
    name: str, detector: Detector, face_models: Path, read_clip
) -> None:
    landmarker = LANDMARKERS[name]("cpu")
    (frame,) = read_clip("media/image_astronaut.png")
    detection = detector.detect([frame])[0][0]
    upright = landmarker.landmarks([frame], [[detection]])[0][0]
    again = landmarker.landmarks([frame, frame], [[], [detection, detection]])
    assert again[0] == [] and len(again[1]) == 2
    np.testing.assert_allclose(again[1][0].points, upright.points, atol=0.05)
    assert upright.points.shape == (68, 2) and 0.9 < upright.score <= 1
    centre = np.array(frame.shape[1::-1]) / 2 - 0.5
    for degrees in (-150, -60, 35, 100):
        turn = cv2.getRotationMatrix2D(tuple(centre), -degrees, 1.0)
        rolled = cv2.warpAffine(frame, turn, frame.shape[1::-1])
        points = detection.keypoints @ turn[:, :2].T + turn[:, 2]
        middle = np.array([np.reshape(detection.box, (2, 2)).mean(0)]) @ turn[:, :2].T + turn[:, 2]
        half = detection.size / 2
        box = (*(middle[0] - half).tolist(), *(middle[0] + half).tolist())
        roll = detection.roll + np.radians(degrees)
        found = landmarker.landmarks([rolled], [[Detection(box, 0.9, points, float(roll))]])[0][0]
        expected = upright.points @ turn[:, :2].T + turn[:, 2]
        assert np.linalg.norm(found.points - expected, axis=1)[17:].mean() < 1.5


def test_a_place_without_a_face_scores_low(landmarker: Landmarker) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (200, 200, 3), np.uint8)
    detection = Detection((50.0, 50.0, 150.0, 150.0), 0.9, np.zeros((0, 2), np.float32), 0.0)
    assert landmarker.landmarks([noise], [[detection]])[0][0].score < 0.5


def test_the_reduced_points_are_means_of_the_mesh() -> None:
    mesh = np.random.default_rng(0).normal(size=(478, 2))
    points = reduce_mesh(mesh)
    np.testing.assert_allclose(reduce_mesh(mesh * 3 + (5, -2)), points * 3 + (5, -2), atol=1e-9)
    np.testing.assert_array_equal(points[36], mesh[33])
    np.testing.assert_array_equal(points[8], mesh[152])


def test_an_unknown_landmarker_is_refused_with_the_list() -> None:
    with pytest.raises(OptionError, match="mesh"):
        LANDMARKERS["2dfan"]
