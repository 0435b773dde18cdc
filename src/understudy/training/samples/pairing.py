"""Faces of both sides that hold the head and move the face alike, and the warp from one to another.

Landmarks of both sides in; for a face of one side a face of the other, and how that one is to be
shifted so that it shows the pose and expression of the first with its own proportions kept. With
the other's face as input and the first as target a network learns what both sides share from its
first iterations on; alone, it may tie one side's turned head to another turn of the other's.
Knows no pictures.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int64
from scipy.spatial import cKDTree

from understudy.faces.align import face_matrix
from understudy.faces.pose import head_pose
from understudy.imaging.geometry import transform_points
from understudy.imaging.warping import thin_plate_shifts
from understudy.types import FaceSample, FaceType

NODES = 17
"""Nodes along each side of the lattice of shifts."""
_PARTNERS = 3
_POSE_UNIT, _EXPRESSION_UNIT = 0.2, 0.35  # radians; of a side's own spread
_FAR = 4.0  # squared distance of traits from which two faces are not alike
_LEAST_SHARE = 0.25  # of the faces are taken, however far their partners
_RIDGE = 1e-3
_STIFFNESS = 0.05
_KEPT = 1 << 14


class Shapes(NamedTuple):
    """Landmarks of the faces of one side, in parts of the model's square, and what tells poses.

    `traits` are pitch and yaw, then openings of mouth and eyes, width of mouth and height of brows
    against the side's own usual ones, each in units in which 1 is plainly seen.
    """

    points: Float32[np.ndarray, "n 68 2"]
    traits: Float64[np.ndarray, "n 7"]


def shapes_of(faces: Sequence[FaceSample], sides: Sequence[int], face_type: FaceType) -> Shapes:
    """Shapes in the square of a face type of `faces` whose pictures have these sides in pixels."""
    points = np.empty((len(faces), 68, 2), np.float32)
    pose = np.empty((len(faces), 2))
    for place, (face, side) in enumerate(zip(faces, sides, strict=True)):
        matrix = face_matrix(face.landmarks, 1, face_type)
        points[place] = transform_points(face.landmarks, matrix)
        pose[place] = head_pose(face.landmarks, side)[:2]
    return Shapes(points, np.hstack([pose / _POSE_UNIT, _expressions(points)]))


def _expressions(points: Float32[np.ndarray, "n 68 2"]) -> Float64[np.ndarray, "n 5"]:
    def length(one: int, other: int) -> np.ndarray:
        gaps = points[:, one].astype(np.float64) - points[:, other]
        return np.asarray(np.linalg.norm(gaps, axis=1))

    left = (length(37, 41) + length(38, 40)) / np.maximum(length(36, 39), 1e-6)
    right = (length(43, 47) + length(44, 46)) / np.maximum(length(42, 45), 1e-6)
    brows = points[:, 17:27, 1].mean(1) - points[:, 36:48, 1].mean(1)
    raw = np.stack([length(62, 66), length(48, 54), left, right, brows], axis=1)
    spread = np.maximum(raw.std(0), 1e-6)
    # the usual mouth and lids of a person say who it is, not what the face does
    weights = np.array([2.0, 1.0, 1.0, 1.0, 1.0])
    return np.asarray((raw - np.median(raw, axis=0)) / spread * _EXPRESSION_UNIT * weights)


class Pairing:
    """Partners of the faces of one side among those of the other, by places in both banks.

    `places` are those of the faces that have one: others resemble no face of the other side.
    """

    def __init__(
        self,
        own: Shapes,
        other: Shapes,
        *,
        own_places: Int64[np.ndarray, " n"],
        other_places: Int64[np.ndarray, " m"],
    ) -> None:
        count = min(_PARTNERS, len(other_places))
        tree = cKDTree(other.traits[other_places])
        distance, nearest = tree.query(own.traits[own_places], k=range(1, count + 1))
        near = np.square(distance[:, 0])
        ranks = np.argsort(near, kind="stable")
        fewest = max(1, int(_LEAST_SHARE * len(near)))
        taken = np.sort(ranks[: max(fewest, int(np.count_nonzero(near <= _FAR)))])
        self.places: Int64[np.ndarray, " k"] = own_places[taken]
        self._nearest = dict(
            zip(self.places.tolist(), other_places[nearest[taken]].tolist(), strict=True)
        )
        self._own, self._other = own, other
        self._unlike = self._difference(own_places, other_places[nearest[:, 0]], near)
        self._shifts = lru_cache(_KEPT)(self._find_shifts)

    def partner(self, place: int, number: int) -> int:
        """Place in the other bank of the face that stands in for that at `place` this time."""
        partners = self._nearest[place]
        return int(partners[number % len(partners)])

    def shifts(self, place: int, partner: int) -> Float32[np.ndarray, "2 nodes nodes"]:
        """How far from each node the partner's picture is read, in the -1..1 of the square."""
        found: Float32[np.ndarray, "2 nodes nodes"] = self._shifts(place, partner)
        return found

    def _find_shifts(self, place: int, partner: int) -> Float32[np.ndarray, "2 nodes nodes"]:
        unlike = self._pose(np.array([place])) @ self._unlike
        wanted = self._own.points[place].astype(np.float64) + unlike.reshape(68, 2)
        line = np.linspace(0.0, 1.0, NODES)
        nodes = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        moved = self._other.points[partner] - wanted
        shifts = thin_plate_shifts(wanted, moved, nodes, ridge=_RIDGE)
        return np.ascontiguousarray(2 * shifts.reshape(NODES, NODES, 2).transpose(2, 0, 1), "f4")

    def _difference(
        self,
        own_places: Int64[np.ndarray, " n"],
        partners: Int64[np.ndarray, " n"],
        near: Float64[np.ndarray, " n"],
    ) -> Float64[np.ndarray, "3 136"]:
        """What sets the other person's landmarks apart at a pose: constant, by pitch, by yaw."""
        gaps = (self._other.points[partners] - self._own.points[own_places]).reshape(len(near), -1)
        weight = (np.exp(-near / 2) + 1e-3)[:, None]
        pose = self._pose(own_places)
        stiff = _STIFFNESS * weight.sum() * np.diag([0.0, 1.0, 1.0])
        system = pose.T @ (weight * pose) + stiff
        return np.asarray(np.linalg.solve(system, pose.T @ (weight * gaps)))

    def _pose(self, places: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, "n 3"]:
        pitch_yaw = self._own.traits[places, :2] * _POSE_UNIT
        return np.hstack([np.ones((len(places), 1)), pitch_yaw])
