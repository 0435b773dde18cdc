"""Pictures find their faces, and frame masks land where the faces were cut out."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_files import make_face
from labelled import LABEL
from made_faceset import FRAME_PX, head_face
from understudy.errors import FormatError, MaterialError
from understudy.faces.regions import hull_mask
from understudy.facesets.dfl import read_face, write_face
from understudy.masks.frame_masks import into_face, into_frame
from understudy.masks.incoming import Source, mask_of, match_pictures, polygons_of
from understudy.masks.outlines import iou_of
from understudy.types import FaceSample, FaceType

FACES = ("00001_0.jpg", "00001_1.jpg", "00002_0.jpg", "alice/00001_0.jpg")
FRAMES = ("00001.png", "00001.png", "00002.png", "00003.png")


def matched(*pictures: str, per: str = "auto") -> tuple[dict[int, tuple[str, bool]], list[str]]:
    found = match_pictures({name: Path(name) for name in pictures}, FACES, FRAMES, per)  # type: ignore[arg-type]
    sources = {i: (str(s.path), s.of_frame) for i, s in found.sources.items()}
    return sources, found.unmatched


def test_names_decide() -> None:
    pictures = ("00001_0_mask.png", "00001_1.tif", "alice/00001_0.png", "00002_mask.png", "x.png")
    sources, unmatched = matched(*pictures)
    assert sources == {0: ("00001_0_mask.png", False), 1: ("00001_1.tif", False),
                       3: ("alice/00001_0.png", False), 2: ("00002_mask.png", True)}  # fmt: skip
    assert unmatched == ["x.png"]


def test_a_frame_is_for_all_its_faces_that_have_no_picture_of_their_own() -> None:
    sources, unmatched = matched("00001.png", "00001_1.png")
    assert sources == {0: ("00001.png", True), 1: ("00001_1.png", False)} and not unmatched
    sources, unmatched = matched("00001.png", "00001_1.png", per="frame")
    assert sources == {0: ("00001.png", True), 1: ("00001.png", True)}
    assert unmatched == ["00001_1.png"]
    assert matched("00001.png", per="face") == ({}, ["00001.png"])


def test_the_plainer_name_comes_first_and_the_other_is_told() -> None:
    sources, unmatched = matched("00001_0_mask.png", "00001_0.png")
    assert sources == {0: ("00001_0.png", False)} and unmatched == ["00001_0_mask.png"]


def test_the_mask_beside_a_face_file_is_that_file_s() -> None:
    sources, unmatched = matched("00001_0.jpg", "00001_0.mask.png")
    assert sources == {0: ("00001_0.jpg", False)} and not unmatched


def frame_mask(scale: float = 1.0) -> np.ndarray:
    """A soft oval over the middle of the frame the made face was cut from."""
    size = round(FRAME_PX * scale)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    u, v = ((x + 0.5) / scale - 160) / 60, ((y + 0.5) / scale - 165) / 80
    return np.clip((1.1 - np.hypot(u, v)) * 6, 0, 1)


def save(path: Path, mask: np.ndarray) -> Path:
    levels = np.rint(mask * 255).astype(np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, levels)[1].tobytes())
    return path


def test_frame_masks_go_into_a_face_and_back() -> None:
    face = head_face(1, yaw=0.3)
    whole = frame_mask()
    inside = into_face(whole, face, frame_hw=(FRAME_PX, FRAME_PX), face_hw=(128, 128))
    assert inside.shape == (128, 128) and inside.dtype == np.float32
    # Truth: each pixel of the face asked in the frame.
    matrix = np.asarray(face.frame_to_face)
    y, x = np.mgrid[:128, :128]
    points = np.linalg.solve(matrix[:, :2], np.stack([x.ravel(), y.ravel()]) - matrix[:, 2:])
    u, v = (points[0] + 0.5 - 160) / 60, (points[1] + 0.5 - 165) / 80
    truth = np.clip((1.1 - np.hypot(u, v)) * 6, 0, 1).reshape(128, 128)
    assert np.abs(inside - truth).mean() < 0.01
    again = into_frame([(face, inside)], (FRAME_PX, FRAME_PX))
    assert iou_of(again, whole) > 0.97


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_frame_masks_of_another_size_land_in_the_same_place(scale: float, tmp_path: Path) -> None:
    face = head_face(1, yaw=0.3)
    save(tmp_path / "00001.png", np.zeros((FRAME_PX, FRAME_PX)))  # the frame, for its size
    source = Source(save(tmp_path / "mask.png", frame_mask(scale)), of_frame=True)
    mask = mask_of(face, source, frames_dir=tmp_path)
    expected = into_face(frame_mask(), face, frame_hw=(FRAME_PX,) * 2, face_hw=(128, 128))
    assert np.abs(mask - expected).mean() < 0.01


def test_what_the_face_shows_beyond_the_frame_is_no_face(tmp_path: Path) -> None:
    white = np.ones((FRAME_PX, FRAME_PX), np.float32)
    face = head_face(1)
    shifted = np.array(face.frame_to_face)
    shifted[0, 2] += 60
    moved = replace(face, frame_to_face=shifted)
    mask = into_face(white, moved, frame_hw=(FRAME_PX,) * 2, face_hw=(128, 128))
    assert mask[64, 100] == 1 and mask[64, 5] == 0
    source = Source(save(tmp_path / "a.png", white), of_frame=True)
    inverted = mask_of(moved, source, frames_dir=tmp_path, invert=True)
    assert inverted.max() == 0, "inverting makes no face where there is no frame"


@pytest.mark.parametrize("size", [64, 128, 300])
def test_face_masks_take_the_face_s_size(size: int, tmp_path: Path) -> None:
    face = head_face(1)
    circle = cv2.circle(np.zeros((size, size), np.float32), (size // 2,) * 2, size // 3, 1.0, -1)
    source = Source(save(tmp_path / "a.png", circle), of_frame=False)
    mask = mask_of(face, source, frames_dir=tmp_path)
    assert mask.shape == (128, 128)
    truth = cv2.circle(np.zeros((128, 128), np.float32), (64, 64), 128 // 3, 1.0, -1)
    assert iou_of(mask, truth) > 0.95


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    face = head_face(1)
    oblong = save(tmp_path / "a.png", np.ones((100, 128), np.float32))
    with pytest.raises(FormatError, match="128x128, or resized from it, found one of 128x100"):
        mask_of(face, Source(oblong, of_frame=False), frames_dir=tmp_path)
    save(tmp_path / "00001.png", np.zeros((FRAME_PX, FRAME_PX)))
    with pytest.raises(FormatError, match="320x320"):
        mask_of(face, Source(oblong, of_frame=True), frames_dir=tmp_path)
    small = Source(save(tmp_path / "b.png", np.ones((80, 80), np.float32)), of_frame=True)
    with pytest.raises(FormatError, match="the face lies outside"):
        mask_of(face, small, frames_dir=tmp_path / "elsewhere")
    with pytest.raises(FormatError, match="its place in the frame"):
        mask_of(make_face(), small, frames_dir=tmp_path)


def face_file(path: Path, face: FaceSample) -> Source:
    write_face(path, face, durable=False)
    return Source(path, of_frame=False)


def test_face_files_give_their_labels(tmp_path: Path) -> None:
    face = head_face(1)
    source = face_file(tmp_path / "a.jpg", replace(head_face(1, size=256), polygons=[
        (include, points * 2) for include, points in LABEL
    ]))  # fmt: skip
    drawn = polygons_of(face, source)
    assert drawn is not None
    for mine, theirs in zip(drawn, LABEL, strict=True):
        assert mine.include == theirs.include
        np.testing.assert_allclose(mine.points, theirs.points)
    small = mask_of(face, source, frames_dir=tmp_path)
    assert small.shape == (128, 128) and 0.2 < small.mean() < 0.6
    applied = hull_mask(face.landmarks, (128, 128))
    source = face_file(tmp_path / "b.jpg", replace(face, mask=applied))
    assert polygons_of(face, source) is None
    np.testing.assert_array_equal(mask_of(face, source, frames_dir=tmp_path), applied)


def test_face_files_that_can_t_give_any_are_told(tmp_path: Path) -> None:
    face = head_face(1)
    plain = face_file(tmp_path / "a.jpg", face)
    with pytest.raises(MaterialError, match="a face without"):
        mask_of(face, plain, frames_dir=tmp_path)
    other = face_file(tmp_path / "b.jpg", replace(head_face(1, kind=FaceType.FULL), polygons=LABEL))
    with pytest.raises(FormatError, match=r"whole_face.*full_face"):
        mask_of(face, other, frames_dir=tmp_path)
    assert read_face(tmp_path / "b.jpg").polygons
