"""Head pose from aligned landmarks, by the rigid mean head the field measures with.

Landmarks and a picture size in, three angles out; no pictures, no files. The angles are relative to
the aligned picture, so roll is what the alignment left over.
"""

import cv2
import numpy as np
from jaxtyping import Float32

from understudy.types import Landmarks

POSE_INDICES = (*range(27), *range(30, 36))

POSE_POINTS: Float32[np.ndarray, "33 3"] = np.array(
    [
        [-73.3935242, -29.8014317, 47.6675339],
        [-72.7750168, -10.9497662, 45.9094048],
        [-70.533638, 7.92981815, 44.8425789],
        [-66.8500595, 26.0742798, 43.1411133],
        [-59.7901878, 42.5643883, 38.6352997],
        [-48.3689728, 56.4810791, 30.7506218],
        [-34.1211014, 67.246994, 18.4564533],
        [-17.8754101, 75.0568924, 3.60903502],
        [0.0987489969, 77.0612869, -0.881698012],
        [17.4770317, 74.7584457, 5.18120098],
        [32.6489677, 66.9290237, 19.1765633],
        [46.3723564, 56.3113899, 30.7705708],
        [57.3434792, 42.4191246, 37.6286278],
        [64.3884811, 25.4558792, 40.8863106],
        [68.2120361, 6.99080515, 42.2814484],
        [70.4864044, -11.666193, 44.1425667],
        [71.375824, -30.3651905, 47.1404266],
        [-61.1194077, -49.3616028, 14.2544222],
        [-51.2875862, -58.7697945, 7.26814699],
        [-37.8047981, -61.9961548, 0.442050993],
        [-24.0227547, -61.0333977, -6.6065011],
        [-11.6357126, -56.6867599, -11.9673977],
        [12.0566359, -57.3910332, -12.0512037],
        [25.1062565, -61.9021873, -7.31509781],
        [38.3385887, -62.7777138, -1.02295303],
        [51.1910057, -59.3023453, 5.34943485],
        [60.0538521, -50.1902542, 11.6157455],
        [1.22678304, -8.41454124, -36.9480591],
        [-14.7724724, 2.59825492, -20.1320038],
        [-7.1802392, 4.75158882, -23.536684],
        [0.555920005, 6.56290007, -25.9444485],
        [8.27249908, 4.66100502, -23.6957417],
        [15.2143507, 2.6430459, -20.8581562],
    ],
    np.float32,
)
"""Points `POSE_INDICES` of the mean head; x right, y down, z away from the camera."""


def head_pose(landmarks_aligned: Landmarks, size: int) -> tuple[float, float, float]:
    """Pitch, yaw and roll in radians, each within a quarter turn.

    Pitch counts positive upwards, yaw positive for a face that looks to the picture's left.
    `size` is the side of the aligned picture; a camera of that focal length is assumed.
    """
    camera = np.array([[size, 0, size / 2], [0, size, size / 2], [0, 0, 1]], np.float64)
    points = np.asarray(landmarks_aligned, np.float64)[list(POSE_INDICES)]
    _, rotation_vector, _ = cv2.solvePnP(
        POSE_POINTS.astype(np.float64), points, camera, np.zeros((4, 1))
    )
    rotation = cv2.Rodrigues(rotation_vector)[0]
    upright = float(np.hypot(rotation[0, 0], rotation[1, 0]))
    if upright < 1e-6:  # looking straight up or down: roll and pitch turn about the same axis
        about_x, about_z = np.arctan2(-rotation[1, 2], rotation[1, 1]), 0.0
    else:
        about_x = np.arctan2(rotation[2, 1], rotation[2, 2])
        about_z = np.arctan2(rotation[1, 0], rotation[0, 0])
    about_y = np.arctan2(-rotation[2, 0], upright)
    pitch, yaw, roll = np.clip([-about_x, about_y, about_z], -np.pi / 2, np.pi / 2)
    return float(pitch), float(yaw), float(roll)


def direction_words(pitch: float, yaw: float) -> tuple[str, str]:
    """Where a face of this pose (radians) looks in the picture: "left 12°" or "ahead", "up 3°"."""
    return _words(yaw, "left", "right", "ahead"), _words(pitch, "up", "down", "level")


def _words(angle: float, positive: str, negative: str, none: str) -> str:
    degrees = round(float(np.degrees(angle)))
    return f"{positive if degrees > 0 else negative} {abs(degrees)}\u00b0" if degrees else none
