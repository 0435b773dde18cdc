"""Pairs of faces of both sides: alike in pose, and moved so that poses agree and shapes stay."""

import numpy as np
import pytest

from made_faceset import FRAME_PX, head_landmarks
from understudy.training.samples.pairing import NODES, Pairing, shapes_of
from understudy.types import FaceSample, FaceType

YAWS = np.linspace(-0.6, 0.6, 25)


def _faces(yaws: np.ndarray, *, longer: float = 0.0, opened: float = 0.0) -> list[FaceSample]:
    """Heads turned so, whose mouth and jaw lie `longer` pixels lower, the mouth opened."""
    faces = []
    for yaw in yaws:
        points = head_landmarks(float(yaw))
        points[:17, 1] += longer * np.sin(np.linspace(0, np.pi, 17))
        points[48:, 1] += longer
        points[[62, 66], 1] += (-opened, opened)
        sample = FaceSample(
            load=lambda: np.zeros((FRAME_PX, FRAME_PX, 3), np.float32),
            landmarks=points,
            face_type=FaceType.WHOLE,
        )
        faces.append(sample)
    return faces


def _shapes(faces: list[FaceSample]):
    return shapes_of(faces, [FRAME_PX] * len(faces), FaceType.FULL)


def _pairing(own: list[FaceSample], other: list[FaceSample]) -> Pairing:
    places = np.arange(len(own)), np.arange(len(other))
    return Pairing(_shapes(own), _shapes(other), own_places=places[0], other_places=places[1])


def test_partners_hold_their_heads_alike() -> None:
    pairing = _pairing(_faces(YAWS), _faces(YAWS[::-1], longer=8.0))
    for place in pairing.places:
        for number in range(3):
            partner = pairing.partner(int(place), number)
            assert YAWS[::-1][partner] == pytest.approx(YAWS[place], abs=0.11)


def test_what_the_other_side_never_shows_has_no_partner() -> None:
    pairing = _pairing(_faces(YAWS), _faces(np.linspace(-0.6, -0.3, 12)))
    assert len(pairing.places) >= len(YAWS) // 4
    assert YAWS[pairing.places].max() < 0.2


def test_an_open_mouth_finds_an_open_mouth() -> None:
    yaws = np.zeros(10)
    own = _faces(yaws[:5]) + _faces(yaws[:5], opened=12.0)
    pairing = _pairing(own, _faces(yaws[:5], opened=12.0) + _faces(yaws[:5]))
    assert all((pairing.partner(int(p), 0) < 5) == (p >= 5) for p in pairing.places)


def test_a_partner_takes_the_pose_and_keeps_its_shape() -> None:
    own, other = _faces(YAWS), _faces(np.linspace(-0.6, 0.6, 4), longer=10.0)
    pairing, own_shapes, other_shapes = _pairing(own, other), _shapes(own), _shapes(other)
    same = _shapes(_faces(YAWS, longer=10.0))
    place = 10
    partner = pairing.partner(place, 0)
    shifts = pairing.shifts(place, partner)
    assert shifts.shape == (2, NODES, NODES)
    assert shifts.dtype == np.float32
    # the node a landmark of the turned, longer head should lie at reads the partner's landmark
    wanted, there = same.points[place], other_shapes.points[partner]
    nodes = np.rint(wanted * (NODES - 1)).astype(int)
    inside = ((nodes >= 0) & (nodes < NODES)).all(1)
    read = wanted + shifts[:, nodes[:, 1].clip(0, 16), nodes[:, 0].clip(0, 16)].T / 2
    errors = np.linalg.norm(read - there, axis=1)[inside]
    unmoved = np.linalg.norm(wanted - there, axis=1)[inside]
    assert np.median(errors) < 0.6 * np.median(unmoved)
    assert np.abs(own_shapes.points[place, 57] - wanted[57]).max() > 0.01  # shapes do differ
