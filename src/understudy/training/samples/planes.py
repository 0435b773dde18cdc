"""What a network reads of a face: its picture and masks as planes, at one size and face type.

A face sample in, an array of bytes out. Knows neither where planes are kept nor what they are for.
"""

from functools import partial
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from understudy.faces.align import PADDING, face_matrix
from understudy.faces.regions import eyes_mask, hull_mask, mouth_mask
from understudy.types import FaceSample, FaceType, Mask

Plane = Float32[np.ndarray, "..."]


@runtime_checkable
class Move(Protocol):
    """Brings a picture or mask of a face to the bank's frame."""

    def __call__(self, picture: Plane, *, is_image: bool) -> Plane:
        """The picture there, or the mask."""


def face_planes(
    face: FaceSample, *, size: int, face_type: FaceType, eyes_mouth: bool, parity: bool = False
) -> UInt8[np.ndarray, "c s s"]:
    """Planes (red, green, blue, mask, maybe eyes-mouth) of one face."""
    image = face.image
    shape = image.shape[:2]
    mask = _full_mask(face, shape)
    layers = [mask]
    if eyes_mouth:
        both = eyes_mask(face.landmarks, shape) + mouth_mask(face.landmarks, shape)
        layers.append(np.clip(both, 0, 1) * (mask > 0))
    move = _mover(face, shape[0], size=size, face_type=face_type, parity=parity)
    pictures = [move(image, is_image=True), *(move(layer, is_image=False) for layer in layers)]
    stacked = np.concatenate([np.atleast_3d(p) for p in pictures], axis=2)
    whole = np.rint(np.clip(stacked, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(whole.transpose(2, 0, 1))


def covers(have: FaceType, want: FaceType) -> bool:
    """Whether pictures of type `have` show all that `want` needs."""
    return have in PADDING and want in PADDING and PADDING[have] >= PADDING[want]


def picture_side(face: FaceSample) -> int:
    """Side of the face's picture in pixels, as its landmarks tell: to decode it would take long."""
    to_unit = face_matrix(face.landmarks, 1, face.face_type)
    return max(1, round(1 / float(np.sqrt(abs(np.linalg.det(to_unit[:, :2]))))))


def _full_mask(face: FaceSample, shape: tuple[int, int]) -> Mask:
    """The applied mask at the picture's size, else the hull of the landmarks."""
    if face.mask is None:
        return hull_mask(face.landmarks, shape, face.brow_expand)
    if face.mask.shape == shape:
        return face.mask
    resized = cv2.resize(face.mask, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(np.asarray(resized, np.float32), 0, 1)


def _mover(face: FaceSample, side: int, *, size: int, face_type: FaceType, parity: bool) -> Move:
    if face.face_type == face_type:
        return partial(_resize, size=size, parity=parity)
    matrix = face_matrix(face.landmarks, size, face_type)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    finer = 1 if parity or scale >= 1 else int(np.ceil(1 / scale))
    matrix = np.asarray(matrix * finer)
    matrix[:, 2] += (finer - 1) / 2

    def move(picture: Plane, *, is_image: bool) -> Plane:
        made = cv2.warpAffine(
            picture,
            matrix,
            (size * finer, size * finer),
            flags=cv2.INTER_CUBIC if is_image else cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE if is_image else cv2.BORDER_CONSTANT,
        )
        if finer > 1:
            made = cv2.resize(made, (size, size), interpolation=cv2.INTER_AREA)
        return np.asarray(made, np.float32)

    return move


def _resize(picture: Plane, *, size: int, is_image: bool, parity: bool) -> Plane:
    if picture.shape[0] == size:
        return picture
    kind = cv2.INTER_CUBIC if is_image or parity else cv2.INTER_LINEAR
    if picture.shape[0] > size and not parity:
        kind = cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, (size, size), interpolation=kind), np.float32)
