"""How a face moves through the frame, from its landmarks in the frames around.

Landmarks in, length and direction out. Knows no pictures. Source: reference section 16.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.faces.align import face_matrix
from understudy.imaging.geometry import invert, transform_points
from understudy.types import FaceType, Landmarks

_SIZE = 256
_CENTRE = np.array([[127.0, 127.0]])


@dataclass(frozen=True, slots=True)
class Motion:
    """Way of a face from the frame before to the frame after.

    In pixels of the frame, and degrees counter-clockwise from the x axis.
    """

    length: float = 0.0
    angle_deg: float = 0.0


STILL = Motion()


def motion_between(before: Landmarks, after: Landmarks, *, dfl_parity: bool = False) -> Motion:
    """The way of the middle of the full-face square; DFL takes it in whole pixels."""
    start, end = _centre(before), _centre(after)
    x, y = np.rint(end) - np.rint(start) if dfl_parity else end - start
    length = math.hypot(x, y)
    return Motion(length, -math.degrees(math.atan2(y, x))) if length > 0 else STILL


def motions_of(faces: Sequence[Landmarks | None], *, dfl_parity: bool = False) -> list[Motion]:
    """The motion in each frame of a clip that shows the face, or None where it does not.

    From the frame before to the frame after, at the ends from or to the frame itself; none where
    one of the three shows no face.
    """
    motions = []
    for place, now in enumerate(faces):
        before, after = faces[max(place - 1, 0)], faces[min(place + 1, len(faces) - 1)]
        if before is None or now is None or after is None:
            motions.append(STILL)
        else:
            motions.append(motion_between(before, after, dfl_parity=dfl_parity))
    return motions


def nearest_face(face: Landmarks, others: Sequence[Landmarks]) -> Landmarks | None:
    """The one of `others` that `face` is in another frame; None if none is near enough."""
    if not others:
        return None
    apart = [float(np.linalg.norm(other.mean(0) - face.mean(0))) for other in others]
    nearest = int(np.argmin(apart))
    return others[nearest] if apart[nearest] < float(np.ptp(face, axis=0).max()) else None


def _centre(landmarks: Landmarks) -> np.ndarray:
    to_frame = invert(face_matrix(landmarks, _SIZE, FaceType.FULL))
    return np.asarray(transform_points(_CENTRE, to_frame)[0])
