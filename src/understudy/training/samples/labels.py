"""Labelled faces, as a mask net learns from them.

Facesets in, the faces that count and their planes out. A face counts by its polygons; only if no
face anywhere has any, by its applied mask. Knows no network. Source: reference "pipeline",
section 11, and "networks, losses, training", section 13.6.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from understudy.errors import MaterialError
from understudy.faces.align import face_matrix
from understudy.facesets.dfl.face_file import picture_shape
from understudy.masks.polygons import is_labelled, rasterize
from understudy.training.samples.planes import covers, face_planes
from understudy.types import FaceSample, FaceType, Mask
from understudy.wording import counted

_NUM_NAMED = 5

LABELS_MIN = 5
"""Fewer faces would only be learned by heart, and none could be kept aside."""

NEXT_TO_NOTHING = 0.005
"""Of the picture: what covers less was no label but a slip of the hand, or a face hidden."""

Source = Literal["labels", "masks", "faces"]
"""What faces count by: polygons, applied masks, or (to pretrain) nothing at all."""


@dataclass(frozen=True, slots=True)
class Material:
    """Faces to learn masks from. `told` says in words how many there are, and of what."""

    faces: tuple[FaceSample, ...]
    source: Source
    told: str


def labelled_faces(
    sides: Iterable[tuple[str, Iterable[FaceSample]]],
    face_type: FaceType,
    say: Callable[[str], None],
) -> Material:
    """The faces that count, of all sides (their name, their faces).

    Faces that show less than `face_type` needs can't: `say` hears how many those are, and which
    labels cover nothing of their picture.

    Raises:
        MaterialError: there are too few.
    """
    drawn: dict[str, list[FaceSample]] = {}
    applied: dict[str, list[FaceSample]] = {}
    tight = 0
    for name, faces in sides:
        for face in faces:
            has_label, has_mask = is_labelled(face.polygons), face.mask is not None
            if (has_label or has_mask) and not covers(face.face_type, face_type):
                tight += 1
                continue
            if has_label:
                drawn.setdefault(name, []).append(face)
            elif has_mask:
                applied.setdefault(name, []).append(face)
    chosen, source = (drawn, "labels") if drawn else (applied, "masks")
    count = sum(len(faces) for faces in chosen.values())
    parts = ", ".join(f"{len(faces)} of {name}" for name, faces in chosen.items())
    what = "labels" if source == "labels" else "applied masks, as none has labels"
    told = f"{counted(count, 'face')} with {what} ({parts or 'none'})"
    if tight:
        one, many = "face with a label or mask shows", "faces with labels or masks show"
        say(f"{counted(tight, one, many)} less than {face_type.value}: left out")
    if count < LABELS_MIN:
        raise MaterialError(
            "labelled faces",
            expected=f"at least {LABELS_MIN}: fewer would be learned by heart",
            found=told if count else "none" + (f" ({tight} show too little)" if tight else ""),
            remedy="Draw labels on more faces; which ones, tells: understudy mask suggest dst",
        )
    everything = tuple(face for faces in chosen.values() for face in faces)
    if drawn:
        _tell_empty(everything, say)
    return Material(everything, "labels" if drawn else "masks", told)


def _tell_empty(faces: Sequence[FaceSample], say: Callable[[str], None]) -> None:
    """Names the faces whose label is empty: outside the picture, a line, or cut away."""
    empty = [
        face.name or "face"
        for face in faces
        if rasterize(face.polygons, picture_shape(face)).mean() < NEXT_TO_NOTHING
    ]
    if empty:
        what = counted(len(empty), "label covers", "labels cover")
        more = ", ..." if len(empty) > _NUM_NAMED else ""
        say(
            f"{what} nothing of the picture ({', '.join(empty[:_NUM_NAMED])}{more}): learned as "
            "pictures without a face; draw them again if that is not meant"
        )


def any_faces(sides: Iterable[tuple[str, Sequence[FaceSample]]], face_type: FaceType) -> Material:
    """All faces wide enough, for pretraining, which needs no labels.

    Raises:
        MaterialError: there are too few.
    """
    faces = [f for _, side in sides for f in side if covers(f.face_type, face_type)]
    if len(faces) < LABELS_MIN:
        raise MaterialError(
            "faces to pretrain from",
            expected=f"at least {LABELS_MIN} cut as {face_type.value} or wider",
            found=str(len(faces)),
            remedy="Extract faces first, or give another folder with --faces.",
        )
    return Material(tuple(faces), "faces", f"{len(faces)} faces, labelled or not")


def label_planes(
    face: FaceSample, *, size: int, face_type: FaceType, parity: bool = False
) -> UInt8[np.ndarray, "4 s s"]:
    """Red, green, blue and mask of one face; the mask is 0 or 255 where its label says so.

    With `parity` both are brought to `size` as the predecessor brings them; an applied mask of
    another size than its picture then lands where it lands there.
    """
    image = face.image
    mask = label_mask(face, (image.shape[0], image.shape[1]))
    if parity:
        return _as_predecessor(face, image, mask, size=size, face_type=face_type)
    marked = FaceSample(
        load=lambda: image, landmarks=face.landmarks, face_type=face.face_type, mask=mask
    )
    return face_planes(marked, size=size, face_type=face_type, eyes_mouth=False)


def label_mask(face: FaceSample, shape_hw: tuple[int, int]) -> Mask:
    """What the face's label covers, in its picture's size; without one, what its mask covers."""
    if is_labelled(face.polygons):
        return rasterize(face.polygons, shape_hw)
    if face.mask is None:
        return np.zeros(shape_hw, np.float32)
    mask = face.mask
    if mask.shape != shape_hw:
        mask = np.asarray(cv2.resize(mask, shape_hw[::-1], interpolation=cv2.INTER_LINEAR))
    return np.asarray(mask >= 0.5, np.float32)


def _as_predecessor(
    face: FaceSample,
    image: Float32[np.ndarray, "h w 3"],
    mask: Mask,
    *,
    size: int,
    face_type: FaceType,
) -> UInt8[np.ndarray, "4 s s"]:
    if not is_labelled(face.polygons) and face.mask is not None:
        mask = np.asarray(face.mask >= 0.5, np.float32)
    matrix = None
    if face.face_type != face_type:
        matrix = face_matrix(face.landmarks, size, face_type)
    moved = [_lanczos(layer, matrix, size) for layer in (image, mask)]
    stacked = np.concatenate([moved[0], moved[1][..., None] >= 0.5], axis=2)
    whole = np.rint(np.clip(stacked, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(whole.transpose(2, 0, 1))


def _lanczos(
    layer: Float32[np.ndarray, "..."], matrix: np.ndarray | None, size: int
) -> Float32[np.ndarray, "..."]:
    flags = cv2.INTER_LANCZOS4
    if matrix is not None:
        return np.asarray(cv2.warpAffine(layer, matrix, (size, size), flags=flags), np.float32)
    if layer.shape[:2] == (size, size):
        return layer
    return np.asarray(cv2.resize(layer, (size, size), interpolation=flags), np.float32)
