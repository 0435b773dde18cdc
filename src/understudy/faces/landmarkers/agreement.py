"""How well landmarks agree with the detection they were fitted from.

A network fits its mesh to anything that resembles a face a little, or slips to the hair above one;
then the eyes, nose and mouth the detector saw lie elsewhere. Numbers in, a number out.
"""

import numpy as np
from jaxtyping import Float

from understudy.faces.detectors.registry import Detection
from understudy.faces.landmarks import LEFT_EYE, RIGHT_EYE
from understudy.types import Landmarks

_NOSE_TIP, _MOUTH = 30, (62, 66)
_NUM_COMPARED = 4


def disagreement(detection: Detection, points: Landmarks) -> float:
    """Mean distance between the detector's eyes, nose and mouth and the landmarks', in face sizes.

    Zero for a detector without keypoints.
    """
    if len(detection.keypoints) < _NUM_COMPARED:
        return 0.0
    groups = (RIGHT_EYE, LEFT_EYE, (_NOSE_TIP,), _MOUTH)
    own: Float[np.ndarray, "4 2"] = np.stack([points[list(g)].mean(0) for g in groups])
    apart = np.linalg.norm(own - detection.keypoints[:_NUM_COMPARED], axis=1)
    return float(apart.mean() / max(face_size(points), 1e-6))


def face_size(points: Landmarks) -> float:
    """Longer side of the box around the points."""
    return float(np.ptp(points, axis=0).max())
