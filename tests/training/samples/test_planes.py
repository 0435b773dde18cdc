"""What is read of a face: its own pixels at the right size, the mask that was applied, its cut."""

import dataclasses

import numpy as np

from understudy.faces.align import face_matrix
from understudy.faces.regions import hull_mask
from understudy.training.samples.planes import face_planes
from understudy.types import FaceType


def test_a_face_of_the_right_size_is_kept_as_it_is(make_faces) -> None:
    face = make_faces(1, size=96)[0]
    planes = face_planes(face, size=96, face_type=FaceType.FULL, eyes_mouth=True)
    wanted = np.rint(face.image * 255).astype(np.uint8).transpose(2, 0, 1)
    np.testing.assert_array_equal(planes[:3], wanted)
    np.testing.assert_array_equal(planes[3], hull_mask(face.landmarks, (96, 96)) * 255)
    assert planes[4].max() > 200
    assert planes[4][planes[3] == 0].max() == 0


def test_the_applied_mask_goes_before_the_hull(make_faces) -> None:
    mask = np.zeros((48, 48), np.float32)
    mask[12:36, 12:36] = 1
    face = dataclasses.replace(make_faces(1)[0], mask=mask)
    planes = face_planes(face, size=64, face_type=FaceType.FULL, eyes_mouth=False)
    assert planes.shape == (4, 64, 64)
    assert planes[3, 32, 32] == 255
    assert planes[3, 8, 8] == 0
    assert abs(float(planes[3].mean()) / 255 - 0.25) < 0.02


def test_a_wider_face_is_cut_to_the_type_of_the_model(make_faces) -> None:
    face = make_faces(1, size=256)[0]
    whole = dataclasses.replace(face, face_type=FaceType.WHOLE)
    marked = whole.image.copy()
    nose = face.landmarks[30]
    y, x = (int(v) for v in nose[::-1])
    marked[y - 3 : y + 4, x - 3 : x + 4] = [1, 0, 1]
    whole = dataclasses.replace(whole, load=lambda: marked)
    planes = face_planes(whole, size=96, face_type=FaceType.FULL, eyes_mouth=False)
    matrix = face_matrix(face.landmarks, 96, FaceType.FULL)
    wanted = matrix[:, :2] @ np.array([x, y]) + matrix[:, 2]
    distance = np.abs(planes[:3].astype(int) - np.array([255, 0, 255])[:, None, None]).sum(0)
    rows, columns = np.nonzero(distance < 40)
    np.testing.assert_allclose([columns.mean(), rows.mean()], wanted, atol=0.5)
