"""Tracks: which faces of neighbouring frames are one person's.

Faces of a clip in, frame by frame in order; a track number for each out. A face goes to the track
that expects it there, by its landmarks and box, and that it looks like, if descriptors are given;
all faces of a frame are dealt out at once, so that two people who cross keep their numbers as well
as can be. Keeps a few numbers per living track; knows nothing of pictures or files.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32
from scipy.optimize import linear_sum_assignment

from understudy.faces.landmarkers.agreement import face_size
from understudy.types import Landmarks

Descriptor = Float32[np.ndarray, " d"]
Coordinate = float | int
Box = tuple[Coordinate, Coordinate, Coordinate, Coordinate]

# How far, in face sizes, a face may be from where its track expects it: at once, and more for each
# further frame nobody saw it in.
_REACH = 0.45
_REACH_PER_FRAME = 0.08
_MAX_REACH = 1.2
_MAX_GROWTH = 1.6
_VELOCITY_SHARE = 0.5
_LOOKS_SHARE = 0.06
_COVERED = 0.1
# No pairing is worth more than this: a good pair is not given up to make two poor ones.
_NEVER = 3.0


@dataclass(frozen=True, slots=True)
class SeenFace:
    """A face as it was found in a frame: box (left, top, right, bottom), landmarks, looks.

    `descriptor` is a unit vector, the same kind for all faces of a clip; None where there is none.
    """

    box: Box
    landmarks: Landmarks
    descriptor: Descriptor | None = None


@dataclass(slots=True)
class _Track:
    number: int
    face: SeenFace
    frame: int
    velocity: Float[np.ndarray, " 2"] = field(default_factory=lambda: np.zeros(2))
    looks: Descriptor | None = None

    def expected(self, frame: int) -> Landmarks:
        """Landmarks where they would be if the face moved on as it did, slowing down."""
        shift = self.velocity * min(frame - self.frame, 3)
        return np.asarray(self.face.landmarks + shift, np.float64)

    def take(self, face: SeenFace, frame: int, *, covered: bool) -> None:
        """Go on with `face`; looks are learnt only from faces that nothing covers."""
        step = (_centre(face.landmarks) - _centre(self.face.landmarks)) / (frame - self.frame)
        self.velocity = self.velocity + _VELOCITY_SHARE * (step - self.velocity)
        self.face, self.frame = face, frame
        if face.descriptor is None or (covered and self.looks is not None):
            return
        if self.looks is None:
            self.looks = face.descriptor
            return
        mixed = (1 - _LOOKS_SHARE) * self.looks + _LOOKS_SHARE * face.descriptor
        self.looks = np.asarray(mixed / max(float(np.linalg.norm(mixed)), 1e-12), np.float32)


class Tracker:
    """Gives each face of each frame the number of its track.

    A track that found no face for more than `max_gap` frames ends. Numbers count from 0 and are
    never used twice. `min_likeness` is the least dot product of two descriptors of one person in
    one shot (an embedder's `same_shot`).
    """

    def __init__(self, *, max_gap: int = 12, min_likeness: float = 0.1) -> None:
        self._max_gap, self._min_likeness = max_gap, min_likeness
        self._alive: list[_Track] = []
        self._next = 0
        self._frame: int | None = None

    def push(
        self, frame_index: int, faces: Sequence[SeenFace], *, cut: bool = False
    ) -> tuple[int, ...]:
        """Track numbers of the faces of the next frame, in their order.

        With `cut` a new shot begins with this frame: no track goes on.

        Raises:
            ValueError: `frame_index` is not after the one before.
        """
        if self._frame is not None and frame_index <= self._frame:
            raise ValueError(f"frame {frame_index} comes after frame {self._frame}")
        self._frame = frame_index
        oldest = frame_index - 1 - self._max_gap
        self._alive = [] if cut else [track for track in self._alive if track.frame >= oldest]
        covered = _covered(faces)
        numbers = [-1] * len(faces)
        for place, number in self._deal(frame_index, faces):
            track = self._alive[place]
            track.take(faces[number], frame_index, covered=covered[number])
            numbers[number] = track.number
        for number, face in enumerate(faces):
            if numbers[number] < 0:
                numbers[number] = self._next
                self._alive.append(_Track(self._next, face, frame_index, looks=face.descriptor))
                self._next += 1
        return tuple(numbers)

    def _deal(self, frame: int, faces: Sequence[SeenFace]) -> list[tuple[int, int]]:
        """Pairs of a living track and the face it goes on with, at the least cost of all."""
        if not self._alive or not faces:
            return []
        costs = np.array(
            [[self._cost(track, face, frame) for face in faces] for track in self._alive]
        )
        rows, columns = linear_sum_assignment(costs)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return [(row, column) for row, column in pairs if costs[row, column] < _NEVER]

    def _cost(self, track: _Track, face: SeenFace, frame: int) -> float:
        """How ill the face fits the track: 0 = at its place and alike; `_NEVER` = not the same."""
        expected = track.expected(frame)
        small, large = sorted((face_size(expected), face_size(face.landmarks)))
        if small <= 0 or large > _MAX_GROWTH * small:
            return _NEVER
        apart = float(np.linalg.norm(expected - face.landmarks, axis=1)[17:].mean())
        missed = frame - track.frame - 1
        reach = min(_REACH + _REACH_PER_FRAME * missed, _MAX_REACH) * math.sqrt(small * large)
        shift = _centre(expected) - _centre(track.face.landmarks)
        overlap = box_iou(_moved(track.face.box, shift), face.box)
        if apart > reach and overlap == 0:
            return _NEVER
        return min(apart / reach + (1 - overlap) + self._strangeness(track, face), _NEVER)

    def _strangeness(self, track: _Track, face: SeenFace) -> float:
        """How unlike the track the face looks: 0 = alike, 1 = just alike enough."""
        if track.looks is None or face.descriptor is None:
            return 0.0
        likeness = float(track.looks @ face.descriptor)
        return (
            (1 - likeness) / (1 - self._min_likeness) if likeness >= self._min_likeness else _NEVER
        )


def box_iou(first: Box, second: Box) -> float:
    """Area two boxes share, of the area they cover together."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = float(max(width, 0) * max(height, 0))
    together = _area(first) + _area(second) - shared
    return shared / together if together > 0 else 0.0


def _area(box: Box) -> float:
    return float(max(box[2] - box[0], 0) * max(box[3] - box[1], 0))


def _moved(box: Box, shift: Float[np.ndarray, " 2"]) -> Box:
    x, y = float(shift[0]), float(shift[1])
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y


def _centre(points: Landmarks) -> Float[np.ndarray, " 2"]:
    return np.asarray(points[17:].mean(axis=0), np.float64)


def _covered(faces: Sequence[SeenFace]) -> list[bool]:
    """Whether another face of the frame lies over or under each."""
    return [
        any(box_iou(face.box, other.box) > _COVERED for other in faces if other is not face)
        for face in faces
    ]
