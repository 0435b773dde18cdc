"""Faces out of real frames: found where they are, nowhere else, and cut as the metadata says."""

import cv2
import numpy as np
import pytest

from understudy.faces.align import face_matrix
from understudy.faces.detectors.registry import Detector
from understudy.faces.extract import extract_batch, extract_faces
from understudy.faces.landmarkers.registry import Landmarker
from understudy.faces.settings import ExtractSettings
from understudy.imaging.geometry import transform_points
from understudy.types import FaceType


@pytest.fixture
def find(detector: Detector, landmarker: Landmarker):
    def run(frames, **settings):
        return extract_batch(frames, detector, landmarker, ExtractSettings(**settings))

    return run


@pytest.mark.parametrize(
    ("name", "step", "faces"),
    [
        ("asl_man1_no.mkv", 20, 1),
        ("asl_man1_student.mkv", 12, 1),
        ("asl_man2_bird.mkv", 20, 1),
        ("grid_lbax4n.mpg", 40, 1),
        ("headpose_two_people.gif", 25, 2),
        ("image_profile_film.png", 1, 1),
        ("image_speaker_on_stage.jpg", 1, 1),
        ("image_threequarter_glasses_film.png", 1, 1),
        ("noface_chelsea.png", 1, 0),
        ("noface_coffee.png", 1, 0),
    ],
)
def test_every_face_and_nothing_else(name: str, step: int, faces: int, find, read_clip) -> None:
    frames = read_clip(f"media/{name}", step=step)
    assert [len(found) for found in find(frames)] == [faces] * len(frames)


@pytest.mark.parametrize(
    ("name", "first"),
    [("asl_man1_help.mkv", 5), ("asl_man2_milk.mkv", 9), ("grid_lwbsza.mpg", 20)],
)
def test_a_close_up_without_hair_and_chin_is_found(name: str, first: int, find, read_clip) -> None:
    (frame,) = read_clip(f"media/{name}", first=first, count=1)
    left, top, right, bottom = find([frame])[0][0].source_box
    tenth, middle = (bottom - top) // 10, (left + right) // 2
    strip = frame[top + tenth : bottom - tenth, middle - 7 * tenth : middle + 7 * tenth]
    close_up = cv2.resize(strip, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    (face,) = find([close_up])[0]
    assert np.abs(np.subtract(face.source_box[0], 4 * (left - middle + 7 * tenth))) < 4 * tenth


def test_a_sample_says_where_it_came_from(find, read_clip) -> None:
    (frame,) = read_clip("media/image_astronaut.png")
    for face_type in (FaceType.FULL, FaceType.WHOLE, FaceType.HEAD):
        (sample,) = find([frame], face_type=face_type, image_size=256)[0]
        assert sample.face_type is face_type and sample.image.shape == (256, 256, 3)
        matrix = face_matrix(sample.source_landmarks, 256, face_type)
        np.testing.assert_array_equal(sample.frame_to_face, matrix)
        moved = transform_points(sample.source_landmarks, matrix)
        np.testing.assert_allclose(sample.landmarks, moved, atol=1e-9)
        image = sample.image
        assert image.dtype == np.float32 and 0 <= image.min() and image.max() <= 1
        # The pupil of the aligned picture is the pupil of the frame.
        x, y = np.round(sample.landmarks[36:42].mean(0)).astype(int)
        assert image[y - 3 : y + 4, x - 3 : x + 4].mean() < image.mean()


def test_mark_only_keeps_the_whole_frame(find, read_clip) -> None:
    (frame,) = read_clip("media/image_astronaut.png")
    (sample,) = find([frame], face_type="mark_only")[0]
    assert sample.frame_to_face is None
    np.testing.assert_allclose(sample.image, frame / 255, atol=1e-6)
    np.testing.assert_array_equal(sample.landmarks, sample.source_landmarks)


def test_most_faces_are_the_largest(find, read_clip) -> None:
    frame = cv2.resize(read_clip("media/synthetic_faces_2x4.jpg")[0], (1280, 680))
    every = find([frame])[0]
    three = find([frame], max_faces=3)[0]
    assert len(every) == 8 and len(three) == 3
    for sample, same in zip(three, every, strict=False):
        np.testing.assert_array_equal(sample.source_landmarks, same.source_landmarks)


def test_turned_frames_are_found_only_with_rotations(find, read_clip) -> None:
    (frame,) = read_clip("media/image_astronaut.png")
    upright = find([frame])[0][0].source_landmarks
    for quarters in (1, 2, 3):
        turned = np.ascontiguousarray(np.rot90(frame, quarters))
        (sample,) = find([turned])[0]
        last = turned.shape[0] - 1
        x, y = np.asarray(sample.source_landmarks).T
        back = {1: (last - y, x), 2: (last - x, last - y), 3: (y, last - x)}[quarters]
        # Found from another crop: the same within the network's own noise (the face has 110 px).
        apart = np.linalg.norm(np.stack(back, 1) - upright, axis=1)
        assert apart[17:].mean() < 1.6 and apart.max() < 6
    assert find([np.ascontiguousarray(np.rot90(frame, 2))], rotations=False) == [[]]


def test_one_frame_batch_depth_and_float_agree(
    detector: Detector, landmarker: Landmarker, read_clip
) -> None:
    (frame,) = read_clip("media/image_speaker_on_stage.jpg")
    settings = ExtractSettings()
    before = frame.copy()
    as_float = (frame / np.float32(255)).astype(np.float32)
    frames = [frame, as_float, frame.astype(np.uint16) * 257]
    batch = extract_batch(frames, detector, landmarker, settings, names=["a", "b", "c"])
    single = extract_faces(as_float, detector, landmarker, settings)
    assert np.array_equal(frame, before)
    assert [found[0].source_name for found in batch] == ["a", "b", "c"]
    for (sample,) in [*batch, single]:
        reference = single[0].source_landmarks
        np.testing.assert_allclose(sample.source_landmarks, reference, atol=0.1)


@pytest.mark.parametrize("shape", [(1, 1, 3), (9, 300, 3), (61, 47, 3), (301, 401, 3)])
def test_frames_of_any_size_without_a_face_pass(shape: tuple[int, ...], find) -> None:
    noise = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    assert find([noise, np.zeros(shape, np.uint8)]) == [[], []]


def test_a_face_cut_by_the_frame_is_black_outside(find, read_clip) -> None:
    (frame,) = read_clip("media/image_astronaut.png")
    cut = np.ascontiguousarray(frame[85:, :])
    samples = find([cut], face_type="head", min_score=0.4)[0]
    assert len(samples) == 1
    assert samples[0].image[:40].max() == 0
