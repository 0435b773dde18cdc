"""Head pose against the predecessor's angles, and its signs."""

import json
from pathlib import Path

import numpy as np

from understudy.faces.landmarks import mirror_landmarks
from understudy.faces.pose import POSE_INDICES, POSE_POINTS, direction_words, head_pose


def test_poses_are_the_predecessors(shared: Path) -> None:
    with np.load(shared / "golden/imaging/pose.npz") as golden:
        cases = zip(
            golden["aligned_landmarks"], golden["size"], golden["pitch_yaw_roll"], strict=True
        )
        for landmarks, size, angles in cases:
            np.testing.assert_allclose(head_pose(landmarks, int(size)), angles, atol=1e-3)


def test_the_mean_head_is_the_predecessors(shared: Path) -> None:
    golden = json.loads((shared / "golden/imaging/canonical_points.json").read_text())
    assert list(POSE_INDICES) == golden["pose_indices"]
    expected = np.float32(golden["pose_points_3d"])[list(POSE_INDICES)]
    np.testing.assert_array_equal(POSE_POINTS, expected)


def test_a_mirrored_face_looks_the_other_way(shared: Path) -> None:
    with np.load(shared / "golden/imaging/pose.npz") as golden:
        landmarks, size = golden["aligned_landmarks"][0], int(golden["size"][0])
    pitch, yaw, roll = head_pose(landmarks, size)
    mirrored_pitch, mirrored_yaw, mirrored_roll = head_pose(mirror_landmarks(landmarks, size), size)
    assert abs(pitch - mirrored_pitch) < 0.08
    assert abs(yaw + mirrored_yaw) < 0.08
    assert abs(roll + mirrored_roll) < 0.08


def test_directions_are_the_pictures() -> None:
    assert direction_words(0.05, 0.7) == ("left 40°", "up 3°")
    assert direction_words(-0.2, -0.1) == ("right 6°", "down 11°")
    assert direction_words(0.001, -0.001) == ("ahead", "level")
