"""How faces move: DFL's numbers, and the same without its rounding."""

from pathlib import Path

import numpy as np
import pytest

from understudy.merging.motion import STILL, motion_between, motions_of, nearest_face


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "golden/imaging/motion.npz") as data:
        return {name: data[name] for name in data.files}


def test_motions_match_the_golden(golden):
    pairs = zip(golden["landmarks"], golden["present"], strict=True)
    faces = [face if present else None for face, present in pairs]
    motions = motions_of(faces, dfl_parity=True)
    assert np.allclose([m.length for m in motions], golden["motion_power"], atol=1e-9)
    assert np.allclose([m.angle_deg for m in motions], golden["motion_deg"], atol=1e-9)
    exact = motions_of(faces)
    assert np.abs(np.subtract([m.length for m in exact], golden["motion_power"])).max() < 1.5
    assert exact[4] == exact[5] == exact[6] == STILL


def test_a_face_that_rises_moves_at_90_degrees(golden):
    face = golden["landmarks"][0]
    motion = motion_between(face, face - [0, 5])
    assert motion.length == pytest.approx(5)
    assert motion.angle_deg == pytest.approx(90)


def test_a_face_is_followed_to_the_nearest_one(golden):
    face = golden["landmarks"][0]
    assert nearest_face(face, [face + 300, face + 2]) is not None
    assert np.array_equal(nearest_face(face, [face + 300, face + 2]), face + 2)
    assert nearest_face(face, [face + 3000]) is None
    assert nearest_face(face, []) is None
