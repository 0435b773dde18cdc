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
from understudy.faces.settings import ExtractSettings
from understudy.imaging.geometry import transform_points
from understudy.imaging.resample import Box, place_part
from understudy.types import FaceSample, FaceType, Landmarks, Matrix

_MARGIN_PX = 4
_TURNS = (0, 1, 3, 2)
_MIN_PRESENCE = 0.9
_MAX_DISAGREEMENT = 0.3
_SAME_FACE = 0.25
# A frame without a face is looked at three more times: each may deceive, and a true face in a
# turned frame is as plain as in an upright one.
_TURNED_EXTRA = 0.1


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
    confirmed: list[list[_Face]] = [[] for _ in images]
    for quarters in _TURNS if settings.rotations else _TURNS[:1]:
        without = [number for number, faces in enumerate(confirmed) if not faces]
        if not without:
            break
        chosen = [images[number] for number in without]
        found = _confirmed(chosen, detector, landmarker, settings, quarters)
        for number, of_image in zip(without, found, strict=True):
            confirmed[number] = of_image
    results = []
    for number, (image, faces) in enumerate(zip(images, confirmed, strict=True)):
        chosen_faces = faces[: settings.max_faces] if settings.max_faces else faces
        name = names[number] if names is not None else None
        results.append([_sample(image, face, settings, name) for face in chosen_faces])
    return results


@dataclass(frozen=True, slots=True)
class _Face:
    detection: Detection
    found: FoundLandmarks


def _confirmed(
    images: Sequence[Pixels],
    detector: Detector,
    landmarker: Landmarker,
    settings: ExtractSettings,
    quarters: int,
) -> list[list[_Face]]:
    """Faces of each image that detector and landmarker agree on, each once, largest first."""
    detections = detector.detect(images, min_face_px=settings.min_face_px, quarter_turns=quarters)
    found = landmarker.landmarks(images, detections, accurate=settings.accurate)
    points = [[f.points for f in of_image] for of_image in found]
    scores = detector.confirm(images, detections, points)
    min_score = settings.min_score + (_TURNED_EXTRA if quarters else 0.0)
    results = []
    for candidates in zip(detections, found, scores, strict=True):
        faces: list[_Face] = []
        for detection, landmarks, score in zip(*candidates, strict=True):
            known = any(_is_same(landmarks.points, f.found.points) for f in faces)
            if score >= min_score and _agree(detection, landmarks) and not known:
                faces.append(_Face(detection, landmarks))
        results.append(faces)
    return results


def _agree(detection: Detection, found: FoundLandmarks) -> bool:
    return (
        found.score >= _MIN_PRESENCE and disagreement(detection, found.points) <= _MAX_DISAGREEMENT
    )


def _is_same(first: Landmarks, second: Landmarks) -> bool:
    """Whether two sets of landmarks lie on one face."""
    apart = float(np.linalg.norm(first[17:] - second[17:], axis=1).mean())
    return apart < _SAME_FACE * min(face_size(first), face_size(second))


def _sample(image: Pixels, face: _Face, settings: ExtractSettings, name: str | None) -> FaceSample:
    points = face.found.points
    left, top, right, bottom = (round(v) for v in face.detection.box)
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
        source_box=(left, top, right, bottom),
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
