"""Each embedder of the registry, and that the embedded one tells the people of real clips apart."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy import weights
from understudy.errors import WeightsError
from understudy.faces.detectors.registry import Detector
from understudy.faces.extract import extract_batch
from understudy.faces.identity import sface
from understudy.faces.identity.registry import EMBEDDERS, Embedder
from understudy.faces.identity.sface import SfaceEmbedder
from understudy.faces.landmarkers.registry import Landmarker
from understudy.faces.landmarks import CANONICAL_INNER
from understudy.faces.settings import ExtractSettings
from understudy.facesets.sorting.identity import find_people, keep_like
from understudy.types import FaceSample


def _field(number: int, data: bytes | int) -> bytes:
    def varint(value: int) -> bytes:
        out = b""
        while value > 127:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        return out + bytes([value])

    if isinstance(data, int):
        return varint(number << 3) + varint(data)
    return varint(number << 3 | 2) + varint(len(data)) + data


def _tensor_info(name: bytes, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_field(1, _field(1, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


def flattening_network() -> bytes:
    """A network in ONNX form, by hand: it gives its input picture back as one row of numbers."""
    node = _field(1, b"data") + _field(2, b"fc1") + _field(3, b"n") + _field(4, b"Flatten")
    graph = _field(1, node) + _field(2, b"g") + _field(11, _tensor_info(b"data", (1, 3, 112, 112)))
    graph += _field(12, _tensor_info(b"fc1", (1, 3 * 112 * 112)))
    return _field(1, 7) + _field(7, graph) + _field(8, _field(2, 11))


MAKERS: dict[str, Callable[[], Embedder]] = {
    "texture": lambda: EMBEDDERS["texture"]("cpu"),
    "sface": lambda: SfaceEmbedder(flattening_network()),
}


def picture(dtype: type = np.uint8, *, size: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    coarse = rng.random((25, 25, 3)).astype(np.float32)
    image = np.clip(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1)
    points = np.zeros((68, 2))
    points[17:] = (CANONICAL_INNER * 0.5 + 0.25) * size
    if dtype is not np.float32:
        image = np.round(image * np.iinfo(dtype).max)
    return image.astype(dtype), points


def test_each_embedder_of_the_registry_is_tried() -> None:
    assert set(MAKERS) == set(EMBEDDERS)


@pytest.mark.parametrize("name", MAKERS)
def test_unit_vectors_the_same_at_each_depth_and_size(name: str) -> None:
    embedder = MAKERS[name]()
    assert isinstance(embedder, Embedder) and embedder.name == name
    assert 0 < embedder.same_shot <= embedder.same_person < 1
    cases = [picture(dtype) for dtype in (np.uint8, np.uint16, np.float32)] + [picture(size=600)]
    images, points = [case[0] for case in cases], [case[1] for case in cases]
    before = [image.copy() for image in images]
    vectors = embedder.embed(images, points)
    assert vectors.dtype == np.float32 and len(vectors) == 4
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors, embedder.embed(images, points))
    assert (vectors @ vectors.T).min() > 0.95
    for image, unchanged in zip(images, before, strict=True):
        np.testing.assert_array_equal(image, unchanged)


@pytest.mark.parametrize("name", MAKERS)
def test_none_one_colour_and_outside_the_picture_are_no_error(name: str) -> None:
    embedder = MAKERS[name]()
    assert embedder.embed([], []).shape[0] == 0
    _, points = picture()
    flat = np.zeros((200, 200, 3), np.uint8)
    vectors = embedder.embed([flat, flat + 255, flat], [points, points, points + 5000])
    assert np.isfinite(vectors).all()


def test_sface_sees_the_picture_it_was_made_for() -> None:
    image = np.zeros((224, 224, 3), np.uint8)
    image[..., 0] = np.arange(224)[None]  # red grows to the right
    targets = 2 * sface._TARGETS + 0.5
    points = np.zeros((68, 2))
    points[36:42], points[42:48] = targets[0], targets[1]
    points[30], points[48], points[54] = targets[2:]
    vector = MAKERS["sface"]().embed([image], [points])[0].reshape(3, 112, 112)
    red = vector[0] / vector[0].max()
    assert np.abs(vector[1:]).max() == 0
    np.testing.assert_allclose(red[5:-5].mean(0)[5:-5], np.linspace(0, 1, 112)[5:-5], atol=0.02)


def test_sface_without_its_file_and_with_another_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"opencv_zoo.*--embedder texture"):
        EMBEDDERS["sface"]("cpu")
    folder = weights.weights_dir("sface")
    folder.mkdir(parents=True)
    (folder / sface.FILE_NAME).write_bytes(flattening_network())
    with pytest.raises(WeightsError, match="sha256 f6abbfff"):
        EMBEDDERS["sface"]("cpu")


CLIPS = (
    "asl_man1_no.mkv",
    "asl_man1_yes.mkv",
    "asl_man2_milk.mkv",
    "asl_man2_bird.mkv",
    "grid_bbaf2n.mpg",
    "grid_brbk7n.mpg",
    "grid_lbax4n.mpg",
    "grid_lwbsza.mpg",
    "grid_swiz3n.mpg",
    "headpose_two_people.gif",
)


@dataclass
class People:
    vectors: np.ndarray
    names: np.ndarray
    clips: np.ndarray


@pytest.fixture(scope="module")
def people(detector: Detector, landmarker: Landmarker, read_clip) -> People:
    """Five moments of each clip, with the person's name."""

    def person(clip: str, face: FaceSample) -> str:
        if clip.startswith("headpose"):
            return "woman" if face.source_box[0] < 170 else "man"
        return clip.split(".")[0][:8] if clip.startswith("asl") else clip

    faces, names, clips = [], [], []
    settings = ExtractSettings(image_size=160, accurate=False)
    for clip in CLIPS:
        frames = read_clip(f"media/{clip}", first=3, step=11, count=5)
        for found in extract_batch(frames, detector, landmarker, settings):
            for face in found:
                faces.append(face)
                names.append(person(clip, face))
                clips.append(clip)
    embedder = EMBEDDERS["texture"]("cpu")
    vectors = embedder.embed([f.image for f in faces], [f.landmarks for f in faces])
    return People(vectors, np.array(names), np.array(clips))


def test_people_of_real_clips_are_found(people: People) -> None:
    labels = find_people(people.vectors, same_person=EMBEDDERS["texture"]("cpu").same_person)
    # A group holds one person, and nearly all faces of a person are in one.
    for label in np.unique(labels):
        assert len(set(people.names[labels == label])) == 1, set(people.names[labels == label])
    largest = {n: np.bincount(labels[people.names == n]).max() for n in set(people.names)}
    assert sum(largest.values()) >= 0.9 * len(labels), largest


def test_each_face_is_nearer_its_own_clip_than_another_persons(people: People) -> None:
    ids = sorted(set(zip(people.names, people.clips, strict=True)))
    masks = [(people.names == name) & (people.clips == clip) for name, clip in ids]
    centres = np.stack([people.vectors[mask].mean(0) for mask in masks])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    likeness = people.vectors @ centres.T
    for (name, _), mask, own in zip(ids, masks, likeness.T, strict=True):
        others = [i for i, (other, _) in enumerate(ids) if other != name]
        assert (own[mask] > likeness[mask][:, others].max(axis=1)).all(), name


def test_two_faces_in_one_frame_are_told_apart_by_one_reference(people: People) -> None:
    for name, other in (("woman", "man"), ("man", "woman")):
        reference = people.vectors[people.names == name][:1]
        same = EMBEDDERS["texture"]("cpu").same_person
        kept = keep_like(reference, people.vectors, same_person=same)
        assert kept[people.names == name].mean() > 0.7
        assert not kept[people.names == other].any()
