"""Enhanced faces are nearer to the sharp original, and nothing rings."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from made_faceset import head_face
from understudy.faces.align import align_image, face_matrix
from understudy.faces.regions import hull_mask
from understudy.facesets.enhance import (
    ENHANCED_KEY,
    deconvolve,
    deconvolve_face,
    enhanced,
    measured_blur,
)
from understudy.imaging.geometry import transform_points
from understudy.media.video import decode_frames
from understudy.types import FaceSample, FaceType, Image

SIZE = 256


@pytest.fixture(scope="module")
def doubles(shared: Path) -> list[FaceSample]:
    """Faces of a digital double, cut by its exact landmarks."""
    folder = shared / "doubles" / "data"
    with np.load(folder / "dst_b.npz") as truth:
        landmarks = truth["landmarks68"]
    faces = []
    for number, frame in enumerate(islice(decode_frames(folder / "dst_b.mp4"), 0, 90, 30)):
        points = np.asarray(landmarks[30 * number], np.float64)
        matrix = face_matrix(points, SIZE, FaceType.WHOLE)
        picture = align_image(frame.pixels.astype(np.float32) / 255, matrix, SIZE)
        faces.append(
            FaceSample(
                load=lambda p=picture: p,
                landmarks=transform_points(points, matrix),
                face_type=FaceType.WHOLE,
                frame_to_face=matrix,
            )
        )
    return faces


def compressed(picture: Image) -> Image:
    levels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    coded = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.float32) / np.float32(255)


def blurred(face: FaceSample, sigma: float) -> FaceSample:
    soft = cv2.GaussianBlur(face.image, (0, 0), sigma)
    noise = np.random.default_rng(0).normal(0, 1 / 255, soft.shape)
    picture = compressed((soft + noise).astype(np.float32))
    return replace(face, load=lambda: picture)


def enlarged(face: FaceSample, factor: int) -> FaceSample:
    side = SIZE // factor
    small = compressed(cv2.resize(face.image, (side, side), interpolation=cv2.INTER_AREA))
    picture = np.clip(cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), 0, 1)
    assert face.frame_to_face is not None
    return replace(face, load=lambda: picture, frame_to_face=face.frame_to_face * factor)


def measures(face: FaceSample, truth: FaceSample, picture: Image) -> tuple[float, float]:
    """PSNR against the truth inside the face, and the energy of the finest detail there."""
    inside = hull_mask(face.landmarks, (SIZE, SIZE)) > 0
    error = float(((picture - truth.image)[inside] ** 2).mean())
    detail = cv2.Laplacian(picture, cv2.CV_32F)[inside].var()
    return -10 * np.log10(error), float(detail)


@pytest.mark.parametrize(
    ("kind", "amount", "gain_db", "sharper"),
    [("blur", 1.0, 0.7, 2.0), ("blur", 2.0, 0.6, 2.5), ("small", 3, 0.05, 1.4)],
)
def test_nearer_to_the_sharp_face(
    doubles: list[FaceSample], kind: str, amount: float, gain_db: float, sharper: float
) -> None:
    gains, ratios = [], []
    for truth in doubles:
        face = blurred(truth, amount) if kind == "blur" else enlarged(truth, int(amount))
        before = measures(face, truth, face.image)
        after = measures(face, truth, deconvolve_face(face))
        gains.append(after[0] - before[0])
        ratios.append(after[1] / before[1])
    assert np.mean(gains) > gain_db
    assert np.mean(ratios) > sharper


def test_a_sharp_face_stays_nearly_as_it_is(doubles: list[FaceSample]) -> None:
    for face in doubles:
        assert np.abs(deconvolve_face(face) - face.image).mean() < 1.5 / 255
        assert np.array_equal(deconvolve_face(face, strength=0.0), face.image)


def test_blur_is_measured(doubles: list[FaceSample]) -> None:
    inside = hull_mask(doubles[0].landmarks, (SIZE, SIZE))

    def blur_of(face: FaceSample) -> float:
        return measured_blur(face.image.mean(2), inside)

    found = [blur_of(doubles[0]), *(blur_of(blurred(doubles[0], s)) for s in (1.0, 2.0, 3.0))]
    assert found == sorted(found)
    assert found[0] < 0.7
    assert 0.7 < found[1] < 1.3
    assert found[2] > 1.2


def test_edges_do_not_ring() -> None:
    step = np.full((SIZE, SIZE, 3), 0.25, np.float32)
    step[:, SIZE // 2 :] = 0.75
    truth = replace(head_face(1, size=SIZE), load=lambda: step)
    sharp = deconvolve_face(blurred(truth, 2.0))
    assert sharp.min() > 0.25 - 0.5 * 0.14
    assert sharp.max() < 0.75 + 0.5 * 0.14
    flat = sharp[:, SIZE // 2 + 14 : -4].mean(2)
    assert flat.std() < 0.012


def test_odd_sides_and_empty_pictures() -> None:
    plane = np.random.default_rng(0).random((33, 47), np.float32)
    assert deconvolve(plane, 1.0).shape == (33, 47)
    assert deconvolve(plane, 1.0).mean() == pytest.approx(plane.mean(), abs=0.01)
    black = replace(head_face(1), load=lambda: np.zeros((128, 128, 3), np.float32))
    assert not deconvolve_face(black).any()


def test_enhanced_once() -> None:
    face = replace(head_face(2), extra={"own": 1}, encoded=lambda: b"old")
    other = np.zeros((128, 128, 3), np.float32)
    once = enhanced(face, lambda: other, by="deconvolve")
    assert once.extra == {"own": 1, ENHANCED_KEY: "deconvolve"}
    assert once.encoded is None
    assert once.image is other
    assert enhanced(once, lambda: other, by="deconvolve") is once
    assert np.array_equal(once.landmarks, face.landmarks)
