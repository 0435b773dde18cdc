"""Faces at another size and of another type keep all that is known of them."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import MaterialError
from understudy.faces.align import PADDING, align_image, face_matrix
from understudy.faces.landmarks import CANONICAL_INNER
from understudy.facesets.dfl import read_face
from understudy.facesets.resize import missing_share, resize_face
from understudy.imaging.geometry import transform_points
from understudy.types import FaceSample, FaceType, Polygon

CASES = {
    "same_160": (None, 160),
    "full_192": (FaceType.FULL, 192),
    "half_128": (FaceType.HALF, 128),
}
TYPES = sorted(PADDING)


@pytest.mark.parametrize("name", ["00001_0", "00004_0", "00007_0"])
@pytest.mark.parametrize("case", CASES)
def test_golden(shared: Path, case: str, name: str) -> None:
    folder = shared / "golden" / "imaging"
    expected = read_face(folder / "resize" / case / f"{name}.jpg")
    meta = json.loads((folder / "resize" / "resize.json").read_text())[f"{case}/{name}.jpg"]
    kind, size = CASES[case]
    before = read_face(folder / "faceset" / f"{name}.jpg")
    face = resize_face(before, size, face_type=kind, dfl_parity=True)
    assert face.face_type.value == meta["face_type"]
    assert np.abs(face.landmarks - meta["landmarks"]).max() < 2e-6 * size
    assert face.frame_to_face is not None
    assert np.abs(face.frame_to_face - meta["image_to_face_mat"]).max() < 1e-6 * size
    assert len(face.polygons) == len(expected.polygons)
    for mine, theirs in zip(face.polygons, expected.polygons, strict=True):
        assert mine[0] == theirs[0]
        assert np.abs(mine[1] - theirs[1]).max() < 1e-3
    # The goldens went through JPEG of quality 100 with halved colour: a few levels.
    difference = np.abs(face.image - expected.image) * 255
    assert difference.mean() < 1.0
    assert difference.max() < 16
    mask_file = folder / "resize" / case / f"{name}_xsegmask.png"
    assert (face.mask is not None) == mask_file.exists() == meta["has_xseg_mask"]
    if face.mask is not None:
        mask = cv2.imread(str(mask_file), cv2.IMREAD_GRAYSCALE) / 255
        assert np.array_equal(face.mask, mask)


def smooth_picture(size: int, *, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((size // 16, size // 16, 3), np.float32)
    return np.clip(cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1)


def face_from(frame: np.ndarray, kind: FaceType, size: int, *, tilt: float = 0.2) -> FaceSample:
    """A face cut from a frame whose landmarks are the mean face's, tilted."""
    points = np.zeros((68, 2))
    points[17:] = CANONICAL_INNER
    points[:17, 0], points[:17, 1] = np.linspace(0, 1, 17), 1.0
    turn = 120 * np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    landmarks = points @ turn.T + (200, 190)
    matrix = face_matrix(landmarks, size, kind)
    aligned = transform_points(landmarks, matrix)
    return FaceSample(
        load=lambda: align_image(frame, matrix, size),
        landmarks=aligned,
        face_type=kind,
        source_landmarks=landmarks,
        frame_to_face=matrix,
        polygons=(Polygon(True, aligned[36:42].astype(np.float32)),),
        mask=cv2.circle(np.zeros((256, 256), np.float32), (128, 140), 60, 1.0, -1),
        extra={"kept": 1},
        encoded=lambda: b"old bytes",
    )


@pytest.mark.parametrize("size", [192, 384, 700])
@pytest.mark.parametrize("kind", [None, FaceType.FULL, FaceType.MIDFULL, FaceType.HALF])
def test_as_if_cut_from_the_frame_so(kind: FaceType | None, size: int) -> None:
    frame = smooth_picture(512)
    before = face_from(frame, FaceType.WHOLE, 512)
    target = kind or FaceType.WHOLE
    face = resize_face(before, size, face_type=kind)
    expected = face_from(frame, target, size)
    assert np.allclose(face.landmarks, expected.landmarks, atol=1e-2)
    assert np.allclose(face.frame_to_face, expected.frame_to_face, atol=1e-6 * size)
    assert np.allclose(face.polygons[0][1], expected.polygons[0][1], atol=1e-2)
    inner = slice(size // 16, -size // 16)
    assert np.abs(face.image - expected.image)[inner, inner].max() < 0.01
    assert face.encoded is None
    assert face.extra == {"kept": 1}


def test_a_mask_follows_its_face() -> None:
    before = face_from(smooth_picture(512), FaceType.WHOLE, 512)
    face = resize_face(before, 256, face_type=FaceType.FULL)
    assert before.mask is not None
    assert face.mask is not None
    # The points inside the old mask are those inside the new one.
    probes = np.random.default_rng(1).uniform(150, 360, (500, 2))
    change = face_matrix(before.landmarks, 256, FaceType.FULL)
    after = np.rint(transform_points(probes, change)).astype(int)
    old = before.mask[tuple(np.rint(probes / 2).astype(int).T[::-1])]
    new = face.mask[tuple(after.T[::-1])]
    assert ((old > 0.5) == (new > 0.5)).mean() > 0.97
    assert 0.2 < old.mean() < 0.95


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((512, 512, 3), np.float32)
    stripes[:, ::2] = 1
    before = replace(face_from(stripes, FaceType.WHOLE, 512), load=lambda: stripes)
    inner = slice(4, -4)
    clean = resize_face(before, 180).image[inner, inner]
    parity = resize_face(before, 180, dfl_parity=True).image[inner, inner]
    assert parity.std() > 0.1
    assert clean.std() < 0.3 * parity.std()


# Two types of one width differ by a turn or a shift: what they lack depends on the face.
PAIRS = [(a, b) for a in TYPES for b in TYPES if a == b or PADDING[a] != PADDING[b]]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_type_to_every_type(source: FaceType, target: FaceType) -> None:
    """Done or refused, by whether the picture holds what the target shows."""
    before = face_from(smooth_picture(512), source, 256, tilt=0.02)
    if PADDING[target] <= PADDING[source]:
        face = resize_face(before, 128, face_type=target)
        assert face.image.shape == (128, 128, 3)
        assert face.face_type is target
    else:
        with pytest.raises(MaterialError, match=r"holds all .* without \d+%"):
            resize_face(before, 128, face_type=target)


def test_what_cannot_be_resized() -> None:
    before = face_from(smooth_picture(512), FaceType.WHOLE, 256)
    assert resize_face(before, 256) is before
    with pytest.raises(MaterialError, match="frame"):
        resize_face(before, 256, face_type=FaceType.MARK_ONLY)
    oblong = replace(before, load=lambda: np.zeros((20, 30, 3), np.float32))
    with pytest.raises(MaterialError, match="square"):
        resize_face(oblong, 64)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.2, 5), st.floats(-300, 300), st.floats(-300, 300))
def test_missing_share_is_a_share(scale: float, dx: float, dy: float) -> None:
    change = np.array([[scale, 0, dx], [0, scale, dy]])
    share = missing_share(change, (200, 200), 200)
    wide = [max(0.0, min(200.0, (200 - d) / scale) - max(0.0, -d / scale)) for d in (dx, dy)]
    assert share == pytest.approx(1 - wide[0] * wide[1] * scale**2 / 200**2, abs=1e-3)
