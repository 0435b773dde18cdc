"""Masks of faces by a mask model: from any face's picture to a mask of that face, and back.

Faces in, soft masks in their own pictures' frame out. Knows no files. A face of another type than
the model's is brought to it and its mask brought back, by the face's own landmarks. Source:
reference "pipeline", section 11.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float32

from understudy.faces.align import face_matrix
from understudy.models.mask_net import MaskModel
from understudy.types import FaceSample, FaceType, Mask, Matrix

MASK_PX = 256
"""Side of the masks, as the predecessor stores them."""

_LANCZOS = cv2.INTER_LANCZOS4


@dataclass(frozen=True, slots=True)
class Prepared:
    """A face as the net sees it, and how its mask gets back to it; None if it fits as it is."""

    picture: Float32[np.ndarray, "r r 3"]
    model_to_mask: Matrix | None


def prepare(face: FaceSample, *, side: int, face_type: FaceType) -> Prepared:
    """The face's picture at the net's side and of its face type; decodes the picture.

    Raises:
        FormatError: the picture is damaged.
    """
    image = face.image
    if face.face_type == face_type:
        return Prepared(_sized(image, side), None)
    width = image.shape[1]
    face_to_model = face_matrix(face.landmarks, width, face_type)
    warped = cv2.warpAffine(
        image,
        face_to_model,
        (width, width),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    back = _between(face_to_model, width, side=MASK_PX)
    return Prepared(_sized(np.asarray(warped, np.float32), side), back)


def _between(face_to_model: Matrix, width: int, *, side: int) -> Matrix:
    """From a mask in the model's frame to one in the face's, both of `side` pixels."""
    scale = np.diag([width / side, width / side, 1.0])
    scale[:2, 2] = 0.5 * width / side - 0.5  # centres of pixels onto centres
    full = np.vstack([face_to_model, [0, 0, 1]])
    whole = np.linalg.inv(scale) @ np.linalg.inv(full) @ scale
    return np.asarray(whole[:2])


def _sized(image: Float32[np.ndarray, "h w 3"], side: int) -> Float32[np.ndarray, "r r 3"]:
    if image.shape[:2] == (side, side):
        return image
    made = cv2.resize(image, (side, side), interpolation=_LANCZOS)
    return np.asarray(np.clip(made, 0, 1), np.float32)


class MaskPainter:
    """A mask model ready to paint, on its device."""

    def __init__(self, model: MaskModel, *, device: torch.device) -> None:
        self._device = device
        self._model = model.to(device).eval().requires_grad_(False)
        self._last = device.type == "cuda"
        for parameter in self._model.parameters() if self._last else ():
            if parameter.dim() == 4:
                parameter.data = parameter.contiguous(memory_format=torch.channels_last)
        self.side, self.face_type = model.config.resolution, model.config.face_type

    def prepare(self, face: FaceSample) -> Prepared:
        """The face as this model sees it."""
        return prepare(face, side=self.side, face_type=self.face_type)

    @torch.no_grad()
    def paint(self, prepared: Sequence[Prepared]) -> list[Mask]:
        """A soft mask of `MASK_PX` for each face, in its own picture's frame."""
        stacked = np.stack([one.picture for one in prepared]).transpose(0, 3, 1, 2)
        faces = torch.from_numpy(np.ascontiguousarray(stacked)).to(self._device)
        if self._last:
            faces = faces.contiguous(memory_format=torch.channels_last)
        masks = self._model.paint(faces)[:, 0].cpu().numpy()
        return [self._back(mask, one) for mask, one in zip(masks, prepared, strict=True)]

    def _back(
        self, mask: Float32[np.ndarray, "r r"], prepared: Prepared
    ) -> Float32[np.ndarray, "s s"]:
        if mask.shape != (MASK_PX, MASK_PX):
            mask = cv2.resize(mask, (MASK_PX, MASK_PX), interpolation=_LANCZOS)
        if prepared.model_to_mask is not None:
            mask = cv2.warpAffine(mask, prepared.model_to_mask, (MASK_PX, MASK_PX), flags=_LANCZOS)
        return np.asarray(np.clip(mask, 0, 1), np.float32)


def smoothed(masks: Sequence[Mask], place: int) -> Mask:
    """The mask at `place` of a row of neighbours in time, each weighing less the farther it is.

    Aligned faces lie on each other, so what flickers from frame to frame averages out.
    """
    reach = max(place, len(masks) - 1 - place) + 1
    weights = np.array([reach - abs(k - place) for k in range(len(masks))], np.float32)
    total = sum(weight * mask for weight, mask in zip(weights, masks, strict=True))
    return np.asarray(total / weights.sum(), np.float32)
