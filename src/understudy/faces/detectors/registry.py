"""What a detector is, what it finds, and the list of those there are.

Naming a detector loads nothing; making one loads its network. Knows nothing of landmarks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from understudy.faces.pixels import Pixels
from understudy.registry import Registry
from understudy.types import Landmarks


@dataclass(frozen=True, slots=True)
class Detection:
    """A face candidate in pixels of its frame (0, 0 = centre of the first pixel).

    `box` is left, top, right, bottom, brows to chin. `keypoints` begin with the person's right and
    left eye; empty if the detector gives none. `roll` is how far the head is turned clockwise in
    the picture, in radians.
    """

    box: tuple[float, float, float, float]
    score: float
    keypoints: Float[np.ndarray, "k 2"]
    roll: float

    @property
    def size(self) -> float:
        """The longer side of the box."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

    @property
    def area(self) -> float:
        left, top, right, bottom = self.box
        return max(right - left, 0.0) * max(bottom - top, 0.0)


@runtime_checkable
class Detector(Protocol):
    """Finds faces in frames."""

    def detect(
        self,
        images: Sequence[Pixels],
        *,
        min_face_px: int = 32,
        quarter_turns: int = 0,
    ) -> list[list[Detection]]:
        """Candidates of each image, largest first.

        Faces from `min_face_px` up are looked for. With `quarter_turns` the pictures are looked at
        turned clockwise by as many quarters; results are in the unturned frame all the same.
        """
        ...

    def confirm(
        self,
        images: Sequence[Pixels],
        detections: Sequence[Sequence[Detection]],
        landmarks: Sequence[Sequence[Landmarks]],
    ) -> list[list[float]]:
        """Scores 0..1 of the candidates after a second, closer look at where their landmarks lie.

        A detector that can't look twice gives its detections' scores.
        """
        ...


DETECTORS: Registry[Callable[[str], Detector]] = Registry("detector")
"""Name -> function that makes the detector on a device ("cpu", "cuda:0")."""


@DETECTORS.register("blazeface")
def _blazeface(device: str) -> Detector:
    from understudy.faces.detectors.pyramid import PyramidDetector

    return PyramidDetector.from_weights(device)
