"""Extraction: from frames to aligned faces.

Frames, a detector and a landmarker in, samples out, largest face first. Candidates are looked for
in the upright frame, then in its quarter turns, until one is confirmed by the landmarks. Aligned
pictures are cut at once, so that no frame is held for them, and encoded when they are asked for.
Knows nothing of files, steps or threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from jaxtyping import Float

from understudy.faces.align import face_matrix, face_square
from understudy.faces.detectors.registry import Detection, Detector
from understudy.faces.landmarkers.agreement import disagreement, face_size
from understudy.faces.landmarkers.registry import FoundLandmarks, Landmarker
from understudy.faces.pixels import Pixels, encoded_face, to_image
from understudy.faces.plausibility import Fault, fault
from understudy.faces.settings import ExtractSettings
from understudy.imaging.geometry import transform_points
from understudy.imaging.resample import Box, place_part
from understudy.types import FaceSample, FaceType, Landmarks, Matrix

_MARGIN_PX = 4
_TURNS = (0, 1, 3, 2)
_MAX_ABSENCE, _MAX_DISAGREEMENT, _MAX_DOUBT = 0.2, 0.3, 0.35
_SAME_FACE = 0.25
# A frame without a face is looked at three more times: each may deceive, and a true face in a
# turned frame is as plain as in an upright one.
_TURNED_EXTRA = 0.1


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face in pixels of its frame; `box` is left, top, right, bottom, brows to chin.

    `score` 0..1 says how sure two looks at it were.
    """

    box: tuple[int, int, int, int]
    points: Landmarks
    score: float


@dataclass(frozen=True, slots=True)
class FoundFaces:
    """What was found in one frame, largest first, and what was taken for a misplaced fit."""

    faces: tuple[FoundFace, ...]
    misplaced: tuple[tuple[FoundFace, Fault], ...]


def extract_faces(
    image: Pixels, detector: Detector, landmarker: Landmarker, settings: ExtractSettings
) -> list[FaceSample]:
    """Faces of one frame, largest first."""
    return extract_batch([image], detector, landmarker, settings)[0]


def extract_batch(
    images: Sequence[Pixels],
    detector: Detector,
    landmarker: Landmarker,
    settings: ExtractSettings,
    *,
    names: Sequence[str] | None = None,
) -> list[list[FaceSample]]:
    """Faces of each of many frames, largest first; `names` are the frames' file names.

    Frames are best given as uint8, 4 to 16 at once: a detection batch is shared by all of them.
    """
    found = find_faces(images, detector, landmarker, settings)
    known: Sequence[str | None] = names or [None] * len(images)
    return [
        [cut_face(image, face, settings, name=name) for face in of_image.faces]
        for image, of_image, name in zip(images, found, known, strict=True)
    ]


def find_faces(
    images: Sequence[Pixels],
    detector: Detector,
    landmarker: Landmarker,
    settings: ExtractSettings,
) -> list[FoundFaces]:
    """Where the faces of each frame are; nothing is cut yet."""
    results = [FoundFaces((), ()) for _ in images]
    for quarters in _TURNS if settings.rotations else _TURNS[:1]:
        without = [number for number, found in enumerate(results) if not found.faces]
        if not without:
            break
        chosen = [images[number] for number in without]
        confirmed = _confirmed(chosen, detector, landmarker, settings, quarters)
        for number, found in zip(without, confirmed, strict=True):
            results[number] = FoundFaces(found.faces, results[number].misplaced + found.misplaced)
    if settings.max_faces:
        results = [FoundFaces(r.faces[: settings.max_faces], r.misplaced) for r in results]
    return results


def _confirmed(
    images: Sequence[Pixels],
    detector: Detector,
    landmarker: Landmarker,
    settings: ExtractSettings,
    quarters: int,
) -> list[FoundFaces]:
    """Faces of each image that detector and landmarker agree on, each once, largest first."""
    detections = detector.detect(images, min_face_px=settings.min_face_px, quarter_turns=quarters)
    found = landmarker.landmarks(images, detections, accurate=settings.accurate)
    points = [[f.points for f in of_image] for of_image in found]
    scores = detector.confirm(images, detections, points)
    min_score = settings.min_score + (_TURNED_EXTRA if quarters else 0.0)
    results = []
    for candidates in zip(detections, found, scores, strict=True):
        sure = [
            FoundFace(_whole_pixels(detection), landmarks.points, score)
            for detection, landmarks, score in zip(*candidates, strict=True)
            if score >= min_score and _agree(detection, landmarks)
        ]
        results.append(_sorted_out(sure, settings))
    return results


def _sorted_out(sure: Sequence[FoundFace], settings: ExtractSettings) -> FoundFaces:
    """The faces, each once; those whose landmarks can't be right apart."""
    faces: list[FoundFace] = []
    misplaced: list[tuple[FoundFace, Fault]] = []
    for face in sure:
        if any(_is_same(face.points, other.points) for other in faces):
            continue
        wrong = fault(face.box, face.points)
        if wrong is not None:
            misplaced.append((face, wrong))
        if wrong is None or (settings.misplaced == "keep" and wrong != "no points"):
            faces.append(face)
    return FoundFaces(tuple(faces), tuple(misplaced))


def _whole_pixels(detection: Detection) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(v) for v in detection.box)
    return left, top, right, bottom


def _agree(detection: Detection, found: FoundLandmarks) -> bool:
    apart = disagreement(detection, found.points)
    absent = 1 - found.score
    return apart <= _MAX_DISAGREEMENT and absent <= _MAX_ABSENCE and apart + absent <= _MAX_DOUBT


def _is_same(first: Landmarks, second: Landmarks) -> bool:
    """Whether two sets of landmarks lie on one face."""
    apart = float(np.linalg.norm(first[17:] - second[17:], axis=1).mean())
    return apart < _SAME_FACE * min(face_size(first), face_size(second))


def cut_face(
    image: Pixels,
    face: FoundFace,
    settings: ExtractSettings,
    *,
    name: str | None = None,
    points: Landmarks | None = None,
) -> FaceSample:
    """The face cut from its frame, by `points` (smoothed ones) if given; `name` is the frame's."""
    points = face.points if points is None else points
    matrix, pixels, moved = None, image, points
    if settings.face_type is not FaceType.MARK_ONLY:
        matrix = face_matrix(points, settings.image_size, settings.face_type)
        pixels, moved = _cut(image, matrix, settings), transform_points(points, matrix)
    quality = None if settings.lossless else settings.jpeg_quality
    return FaceSample(
        load=partial(to_image, pixels),
        encoded=partial(encoded_face, pixels, quality=quality),
        landmarks=moved,
        face_type=settings.face_type,
        source_name=name,
        source_box=face.box,
        source_landmarks=points,
        frame_to_face=matrix,
    )


def _cut(image: Pixels, matrix: Matrix, settings: ExtractSettings) -> Pixels:
    """The aligned picture in the frame's own depth, black where the frame ends."""
    size = settings.image_size
    low, high = _part_of(image, face_square(matrix, size))
    part = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
    if part.size == 0:
        return np.zeros((size, size, 3), image.dtype)
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ low
    if settings.dfl_parity:
        return np.asarray(cv2.warpAffine(part, moved, (size, size), flags=cv2.INTER_LINEAR))
    aligned = place_part(part, moved, Box(0, 0, size, size))
    return np.clip(aligned, 0, 1, out=aligned) if aligned.dtype.kind == "f" else aligned


def _part_of(image: Pixels, square: Float[np.ndarray, "4 2"]) -> tuple[np.ndarray, np.ndarray]:
    height, width = image.shape[:2]
    low = np.floor(square.min(0)).astype(int) - _MARGIN_PX
    high = np.ceil(square.max(0)).astype(int) + _MARGIN_PX + 1
    return np.clip(low, 0, (width, height)), np.clip(high, 0, (width, height))
