"""Pictures with masks from elsewhere, and the faces they belong to.

Names of pictures, faces and frames in, pairs out, with what matched nothing; and one picture as the
mask or the polygons of one face. A face file is taken as well: the labels drawn in it by another
program. Knows nothing of where the results go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from understudy.errors import FormatError, MaterialError
from understudy.facesets.dfl import read_face
from understudy.facesets.dfl.face_file import SIDECAR_SUFFIX, picture_shape, read_file_header
from understudy.masks.face_masks import resized
from understudy.masks.frame_masks import check_proportions, into_face
from understudy.masks.polygons import is_labelled, rasterize
from understudy.media.mask_images import Channel, read_mask, read_size
from understudy.types import FaceSample, Mask, Polygon

Per = Literal["auto", "face", "frame"]

ENDINGS = ("", "_mask", "-mask", ".mask", "_alpha", "_matte")
"""What other programs put after the name of the picture a mask is of."""


@dataclass(frozen=True, slots=True)
class Source:
    """A picture for a face: of the face itself, or of its frame."""

    path: Path
    of_frame: bool


@dataclass(slots=True)
class Matches:
    """Sources by the index of their face, and pictures that are of no face that lacks one."""

    sources: dict[int, Source] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)


def match_pictures(
    pictures: Mapping[str, Path], faces: Sequence[str], frames: Sequence[str | None], per: Per
) -> Matches:
    """Which picture is of which face.

    `pictures` are files by their names inside the folder, `faces` names of face files ("alice/1_0
    .jpg"), `frames` the name of the frame each came from. A picture is of the face of the same
    name, else of all faces of the frame of that name; endings of names don't count, and a mask that
    lies beside a face file belongs to that.
    """
    by_face: dict[str, list[int]] = {}
    by_frame: dict[str, list[int]] = {}
    for index, name in enumerate(faces):
        by_face.setdefault(_stem(name), []).append(index)
    for index, frame in enumerate(frames):
        if frame is not None:
            by_frame.setdefault(_stem(frame), []).append(index)
    stems = {_stem(name) for name in pictures}
    left = dict.fromkeys(n for n in pictures if not _lies_beside(n, stems))
    found = Matches()
    for of_frame in (False, True):
        if per == ("face" if of_frame else "frame"):
            continue
        for ending in ENDINGS:  # the plainer name comes first
            for name in list(left):
                stem = _stem(name)
                if not stem.endswith(ending):
                    continue
                stem = stem.removesuffix(ending)
                named = by_frame.get(stem.rpartition("/")[2], []) if of_frame else by_face.get(stem)
                if new := [index for index in named or () if index not in found.sources]:
                    found.sources |= dict.fromkeys(new, Source(pictures[name], of_frame=of_frame))
                    del left[name]
    found.unmatched = list(left)
    return found


def _lies_beside(name: str, stems: set[str]) -> bool:
    """Whether a picture is the mask of a face file that is there, too."""
    return name.endswith(SIDECAR_SUFFIX) and name.removesuffix(SIDECAR_SUFFIX) in stems


def mask_of(
    face: FaceSample,
    source: Source,
    *,
    frames_dir: Path,
    channel: Channel = "auto",
    invert: bool = False,
) -> Mask:
    """What the picture says of the face, in the size of the face's picture.

    `frames_dir` is where frames lie, for their size; without them a frame's mask is taken to be of
    the frame's size. `invert` and `channel` say how to read a mask, and nothing of a face file.

    Raises:
        FileError: it can't be read.
        FormatError: it is no mask, or one of another picture.
    """
    face_hw = picture_shape(face)
    if other := _as_face(source, face):
        if other.mask is not None and not is_labelled(other.polygons):
            return resized(other.mask, face_hw)
        return resized(rasterize(other.polygons, picture_shape(other)), face_hw)
    mask = read_mask(source.path, channel)
    if invert:
        mask = np.float32(1) - mask
    if not source.of_frame:
        check_proportions(mask.shape, face_hw, str(source.path))
        return resized(mask, face_hw)
    frame_hw = frame_size(face, frames_dir) or (mask.shape[0], mask.shape[1])
    return into_face(mask, face, frame_hw=frame_hw, face_hw=face_hw)


def polygons_of(face: FaceSample, source: Source) -> tuple[Polygon, ...] | None:
    """Polygons drawn in the picture itself, if it is a face file with some, for the face's size."""
    other = _as_face(source, face)
    if other is None or not is_labelled(other.polygons):
        return None
    height, width = picture_shape(face)
    other_height, other_width = picture_shape(other)
    factors = np.array([width / other_width, height / other_height])
    return tuple(
        Polygon(bool(include), np.asarray(points * factors, np.float32))
        for include, points in other.polygons
    )


def frame_size(face: FaceSample, frames_dir: Path) -> tuple[int, int] | None:
    """(height, width) of the face's frame, if that lies in its folder and tells it."""
    path = frames_dir / Path(face.source_name or "").name
    if face.source_name is None or not path.is_file():
        return None
    try:
        return read_size(path)
    except FormatError:  # a format whose size we can't tell
        return None


def _as_face(source: Source, face: FaceSample) -> FaceSample | None:
    """The picture as a face with labels or a mask, if it is a face file.

    Raises:
        FormatError: it is a face cut in another way.
        MaterialError: it is a face without labels.
    """
    if source.of_frame or not _has_payload(source.path):
        return None
    other = read_face(source.path)
    check_proportions(picture_shape(other), picture_shape(face), str(source.path))
    if other.face_type is not face.face_type:
        raise FormatError(
            source.path,
            expected=f"a {face.face_type.value}, as the face of its name is",
            found=f"a {other.face_type.value}",
            remedy="Bring it to the same face type first: understudy faceset resize.",
        )
    if other.mask is None and not is_labelled(other.polygons):
        raise MaterialError(
            source.path,
            expected="a mask, or a face with labels",
            found="a face without",
            remedy="Draw its labels first, or take it out of the folder.",
        )
    return other


def _has_payload(path: Path) -> bool:
    """Whether a picture is a face file; what can't be one is told when it is read."""
    try:
        return bool(read_file_header(path).payload)
    except FormatError:
        return False


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name
