"""Whether landmarks can be those of a face where it was detected.

A box and 68 points of one frame in, the name of what is wrong out, or None. A network lays its
points on anything: on a hand beside a face, on half a face and the hair above it. Such a fit
differs from its box in size or place, or no head could be turned so that its points lie there.
Knows nothing of pictures, networks or files.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float

from understudy.faces.align import face_matrix
from understudy.faces.landmarks import LEFT_EYE, RIGHT_EYE
from understudy.faces.pose import POSE_INDICES, POSE_POINTS, head_pose
from understudy.imaging.geometry import transform_points
from understudy.types import FaceType, Landmarks

Fault = Literal["no points", "size", "place", "pose", "shape"]

FAULTS: dict[Fault, str] = {
    "no points": "the landmarks are no numbers or fall into one place",
    "size": "the landmarks are far larger or smaller than the face that was detected",
    "place": "most landmarks lie outside the face that was detected",
    "pose": "the head would be turned further than landmarks can be found",
    "shape": "no head has its landmarks like this",
}
"""What a fault means, for people."""

Box = tuple[float | int, float | int, float | int, float | int]

# Limits that no true face of the test clips comes near: in full profiles 13 % of the spread is not
# the mean head's, since their far side is a guess, and heads are seen turned by 60 degrees.
_SIZES = (0.55, 1.24)
_MIN_INSIDE = 0.5
_MAX_YAW, _MAX_PITCH = np.radians(88), np.radians(60)
_MAX_ERROR = 0.2
_SIDE = 256


def fault(box: Box, points: Landmarks) -> Fault | None:
    """What speaks against these landmarks for a face detected in `box`; None if nothing does."""
    if not np.isfinite(points).all() or float(np.ptp(points[17:], axis=0).min()) < 1e-3:
        return "no points"
    left, top, right, bottom = box
    side = max(right - left, bottom - top)
    if not _SIZES[0] * side <= upright_size(points) <= _SIZES[1] * side:
        return "size"
    x, y = points[17:, 0], points[17:, 1]
    inside = (x > left) & (x < right) & (y > top) & (y < bottom)
    if float(inside.mean()) < _MIN_INSIDE:
        return "place"
    aligned = transform_points(points, face_matrix(points, _SIDE, FaceType.FULL))
    pitch, yaw, _ = head_pose(aligned, _SIDE)
    if abs(yaw) > _MAX_YAW or abs(pitch) > _MAX_PITCH:
        return "pose"
    return "shape" if shape_error(points) > _MAX_ERROR else None


def upright_size(points: Landmarks) -> float:
    """Longer side of the box around the points with the eyes level, whatever the head's roll."""
    across = points[list(LEFT_EYE)].mean(0) - points[list(RIGHT_EYE)].mean(0)
    length = max(float(np.hypot(*across)), 1e-9)
    cos, sin = across / length
    level = points @ np.array([[cos, -sin], [sin, cos]])
    return float(np.ptp(level, axis=0).max())


def shape_error(points: Landmarks) -> float:
    """How much of the points' spread no head seen from afar explains: 0 none of it, 1 all.

    The mean head may be turned, placed and stretched as suits it best, so that another's
    proportions cost little.
    """
    seen = np.asarray(points, np.float64)[list(POSE_INDICES)]
    rest = float(np.linalg.norm(seen - _EXPLAINED @ seen))
    return rest / max(float(np.linalg.norm(seen - seen.mean(0))), 1e-9)


def _explained() -> Float[np.ndarray, "33 33"]:
    """What takes 33 points to those nearest to them that are an affine view of the mean head."""
    head = np.hstack([POSE_POINTS.astype(np.float64), np.ones((len(POSE_POINTS), 1))])
    return np.asarray(head @ np.linalg.pinv(head))


_EXPLAINED = _explained()
