"""Seamless cloning: light of the plate, detail of the face, near what OpenCV makes."""

import cv2
import numpy as np

from understudy.imaging.cloning import clone_seamless


def pictures(size: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:size, 0:size] / size
    plate = np.stack([0.3 + 0.3 * rows, 0.4 + 0.2 * columns, 0.5 - 0.2 * rows], axis=-1)
    grain = cv2.GaussianBlur(rng.normal(0, 0.2, (size, size, 3)), (0, 0), 2)
    face = np.clip(0.6 + grain, 0, 1)
    away = np.hypot(rows - 0.5, columns - 0.5)
    return face.astype(np.float32), plate.astype(np.float32), (away < 0.35).astype(np.float32)


def test_light_is_the_plates_and_detail_the_faces():
    face, plate, mask = pictures()
    made = clone_seamless(face, plate, mask)
    middle = np.s_[45:75, 45:75]
    assert np.abs(made[middle].mean((0, 1)) - plate[middle].mean((0, 1))).max() < 0.05
    fine = [part - cv2.GaussianBlur(part, (0, 0), 4) for part in (made, face)]
    assert np.abs(fine[0] - fine[1])[middle].max() < 0.02


def test_a_face_that_differs_by_light_alone_becomes_the_plate():
    _, plate, mask = pictures()
    made = clone_seamless(plate + np.float32(0.2), plate, mask)
    assert np.abs(made - plate)[mask > 0].max() < 0.02


def test_it_is_near_opencvs():
    face, plate, mask = pictures(240)
    levels = [np.rint(part * 255).astype(np.uint8) for part in (face, plate)]
    wanted = cv2.seamlessClone(*levels, (mask * 255).astype(np.uint8), (120, 120), cv2.NORMAL_CLONE)
    made = clone_seamless(face, plate, mask) * 255
    inside = cv2.erode(mask, np.ones((15, 15))) > 0
    assert np.abs(made - wanted)[inside].mean() < 4


def test_a_mask_too_thin_to_clone_keeps_the_face():
    face, plate, mask = pictures(60)
    thin = np.zeros_like(mask)
    thin[30, 20:40] = 1
    assert np.array_equal(clone_seamless(face, plate, thin), face)
