"""Debug pictures are the predecessor's, pixel for pixel."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.errors import OptionError
from understudy.faces.align import face_matrix
from understudy.faces.drawing import draw_aligned, draw_face, draw_landmarks, draw_samples
from understudy.types import FaceSample, FaceType


def read_rgb(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


@pytest.fixture(scope="module")
def golden(shared: Path) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int, int], Path]:
    folder = shared / "golden" / "imaging"
    with np.load(folder / "draw.npz") as arrays:
        landmarks, box = arrays["landmarks"], arrays["rect"]
    left, top, right, bottom = (int(v) for v in box)
    return read_rgb(folder / "draw_in.png"), landmarks, (left, top, right, bottom), folder


def rare_difference(drawn: np.ndarray, expected: np.ndarray) -> float:
    """Share of pixels that differ; lines may be rasterised otherwise by another OpenCV."""
    return float((drawn != expected).any(2).mean())


def test_landmarks_are_drawn_as_golden(golden: tuple) -> None:
    picture, landmarks, _, folder = golden
    before = picture.copy()
    drawn = draw_landmarks(picture, landmarks)
    assert rare_difference(drawn, read_rgb(folder / "draw_landmarks_mask.png")) <= 1e-3
    assert np.array_equal(picture, before)


def test_box_and_square_are_drawn_as_golden(golden: tuple) -> None:
    picture, landmarks, box, folder = golden
    matrix = face_matrix(landmarks, 256, FaceType.WHOLE)
    expected = read_rgb(folder / "draw_rect_landmarks.png")
    drawn = draw_face(picture, landmarks, frame_to_face=matrix, size=256, box=box)
    assert rare_difference(drawn, expected) <= 1e-3
    sample = FaceSample(
        load=lambda: np.zeros((256, 256, 3), np.float32),
        landmarks=landmarks,
        face_type=FaceType.WHOLE,
        source_landmarks=landmarks,
        frame_to_face=matrix,
        source_box=box,
    )
    assert np.array_equal(draw_samples(picture, [sample], size=256), drawn)


def test_a_frame_without_a_face_stays_and_every_depth_is_taken(golden: tuple) -> None:
    picture, landmarks, _, _ = golden
    assert np.array_equal(draw_samples(picture, [], size=256), picture)
    deep = picture.astype(np.uint16) * 257
    assert np.array_equal(draw_landmarks(deep, landmarks), draw_landmarks(picture, landmarks))
    light = (picture / 255).astype(np.float32)
    assert np.array_equal(draw_landmarks(light, landmarks), draw_landmarks(picture, landmarks))


def test_landmarks_outside_and_thicker_lines(golden: tuple) -> None:
    picture, landmarks, _, _ = golden
    shape = picture.shape
    assert draw_landmarks(picture, landmarks - 500.0).shape == shape
    thin = draw_landmarks(picture, landmarks, darken_hull=False)
    thick = draw_landmarks(picture, landmarks, darken_hull=False, line_px=3)
    changed = [(drawn != picture).any(2).sum() for drawn in (thin, thick)]
    assert changed[1] > 1.8 * changed[0]


def test_a_marked_face_shows_its_square_and_a_lost_one_is_told(golden: tuple) -> None:
    picture, landmarks, box, _ = golden
    marked = FaceSample(
        load=lambda: np.zeros((240, 270, 3), np.float32),
        landmarks=landmarks,
        face_type=FaceType.MARK_ONLY,
        source_box=box,
    )
    drawn = draw_aligned(picture, marked)
    assert (drawn == (255, 0, 0)).all(2).sum() > 200
    assert (drawn == (0, 0, 255)).all(2).sum() > 200
    lost = FaceSample(
        load=lambda: np.zeros((9, 9, 3), np.float32), landmarks=landmarks, face_type=FaceType.FULL
    )
    assert not (draw_aligned(picture, lost) == (255, 0, 0)).all(2).any()
    with pytest.raises(OptionError, match="landmarks in the frame"):
        draw_samples(picture, [lost], size=256)
