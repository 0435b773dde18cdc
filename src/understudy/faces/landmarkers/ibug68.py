"""From the 468-point mesh to the 68-point convention.

Mesh points in, 68 points out, both in the same pixels. Inner points are single points of the mesh
or means of few; the jaw runs along the mesh's outline.
Source of the convention: Sagonas et al., "300 Faces in-the-Wild Challenge", 2013.
"""

import numpy as np
from jaxtyping import Float

from understudy.types import Landmarks

_JAW = (127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356)
_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
_NOSE = (168, 197, 5, 4, 75, 97, 2, 326, 305)
_EYES = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)
_OUTER_LIPS = (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181)
_INNER_LIPS = (78, 82, 13, 312, 308, 317, 14, 87)
SINGLE = (*_JAW, *_BROWS, *_NOSE, *_EYES, *_OUTER_LIPS, *_INNER_LIPS)


def reduce_mesh(mesh: Float[np.ndarray, "m 2"]) -> Landmarks:
    """The 68 points of a mesh."""
    return np.asarray(mesh[list(SINGLE)], np.float64)
