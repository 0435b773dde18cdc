"""What a landmarker is, what it gives, and the list of those there are.

Naming a landmarker loads nothing; making one loads its network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from understudy.faces.detectors.registry import Detection
from understudy.faces.pixels import Pixels
from understudy.registry import Registry
from understudy.types import Landmarks


@dataclass(frozen=True, slots=True)
class FoundLandmarks:
    """The 68 points of a face in pixels of its frame (0, 0 = centre of the first pixel).

    `score` 0..1 says how surely a face is there. `mesh` holds the landmarker's own points, if it
    has more.
    """

    points: Landmarks
    score: float
    mesh: Float[np.ndarray, "m 2"]


@runtime_checkable
class Landmarker(Protocol):
    """Finds the 68 points of faces that were detected."""

    def landmarks(
        self,
        images: Sequence[Pixels],
        detections: Sequence[Sequence[Detection]],
        *,
        accurate: bool = True,
    ) -> list[list[FoundLandmarks]]:
        """Points for each detection of each image, in their order.

        `accurate` takes more time for steadier points.
        """
        ...


LANDMARKERS: Registry[Callable[[str], Landmarker]] = Registry("landmarker")
"""Name -> function that makes the landmarker on a device ("cpu", "cuda:0")."""


@LANDMARKERS.register("mesh")
def _mesh(device: str) -> Landmarker:
    from understudy.faces.landmarkers.mesh import MeshLandmarker

    return MeshLandmarker.from_weights(device)
