"""The 68-point convention: index groups, canonical positions, mirroring, reduction from 98 points.

Numbers and pure functions on point arrays; knows nothing of pictures or networks. "Right" and
"left" are the person's own: in an unmirrored picture the right eye is on the left. The canonical
positions are facts of the field's alignment; every exchanged model was trained on them.
"""

import numpy as np
from jaxtyping import Float32

from understudy.types import Landmarks

JAW = tuple(range(17))
RIGHT_BROW = tuple(range(17, 22))
LEFT_BROW = tuple(range(22, 27))
NOSE = tuple(range(27, 36))
RIGHT_EYE = tuple(range(36, 42))
LEFT_EYE = tuple(range(42, 48))
OUTER_LIPS = tuple(range(48, 60))
INNER_LIPS = tuple(range(60, 68))

ALIGN_INDICES = (*range(17, 49), 54)
"""Points the alignment is fitted on: brows, nose, eyes, corners of the mouth; never the jaw."""

CANONICAL_INNER: Float32[np.ndarray, "51 2"] = np.array(
    [
        [0.000213256004, 0.106454],
        [0.0752621964, 0.0389150009],
        [0.181130007, 0.0187481996],
        [0.290769994, 0.0344890989],
        [0.393397003, 0.0773906037],
        [0.586856008, 0.0773906037],
        [0.689482987, 0.0344890989],
        [0.799124002, 0.0187481996],
        [0.904990971, 0.0389150009],
        [0.980040014, 0.106454],
        [0.490126997, 0.203352004],
        [0.490126997, 0.307009012],
        [0.490126997, 0.409805],
        [0.490126997, 0.515625],
        [0.36688, 0.58732599],
        [0.426036, 0.609345019],
        [0.490126997, 0.628105998],
        [0.554216981, 0.609345019],
        [0.613372982, 0.58732599],
        [0.121737003, 0.216423005],
        [0.187122002, 0.178757995],
        [0.265825003, 0.179851994],
        [0.334605992, 0.231732994],
        [0.260917991, 0.245098993],
        [0.182742998, 0.244076997],
        [0.645646989, 0.231732994],
        [0.714428008, 0.179851994],
        [0.793132007, 0.178757995],
        [0.858515978, 0.216423005],
        [0.797510028, 0.244076997],
        [0.71933502, 0.245098993],
        [0.25414899, 0.780233026],
        [0.340985, 0.745405018],
        [0.428858012, 0.727388024],
        [0.490126997, 0.74257803],
        [0.551394999, 0.727388024],
        [0.639267981, 0.745405018],
        [0.726104021, 0.780233026],
        [0.642158985, 0.864804983],
        [0.556720972, 0.902191997],
        [0.490126997, 0.909281015],
        [0.423532009, 0.902191997],
        [0.338093996, 0.864804983],
        [0.290378988, 0.784792006],
        [0.428095996, 0.778746009],
        [0.490126997, 0.785342991],
        [0.552156985, 0.778746009],
        [0.689873993, 0.784792006],
        [0.553363979, 0.824181974],
        [0.490126997, 0.831803024],
        [0.426889986, 0.824181974],
    ],
    np.float32,
)
"""Points 17 to 67 of the mean face in its unit square."""

ALIGN_TARGETS: Float32[np.ndarray, "33 2"] = CANONICAL_INNER[[i - 17 for i in ALIGN_INDICES]]

MIRROR_PAIRS = (
    *((i, 16 - i) for i in range(8)),
    *((17 + i, 26 - i) for i in range(5)),
    *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
    *((31, 35), (32, 34)),
    *((48, 54), (49, 53), (50, 52), (59, 55), (58, 56)),
    *((60, 64), (61, 63), (67, 65)),
)
"""Points that change places when a face is mirrored."""


def _mirror_order() -> list[int]:
    order = list(range(68))
    for a, b in MIRROR_PAIRS:
        order[a], order[b] = b, a
    return order


_MIRROR_ORDER = _mirror_order()


def mirror_landmarks(landmarks: Landmarks, width: int) -> Landmarks:
    """The landmarks of the picture, `width` pixels wide, flipped left to right."""
    mirrored = landmarks[_MIRROR_ORDER]
    mirrored[:, 0] = width - 1 - mirrored[:, 0]
    return mirrored
