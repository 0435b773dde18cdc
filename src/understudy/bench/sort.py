"""Cost of sorting many faces: from picture files to files under their new names.

The faces are made from a faceset or from frames of a small clip: each a little shifted, turned,
brighter or darker and with grain of its own, so that no two are equal and many are alike, as the
faces of a film are.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from understudy.bench.plates import plates
from understudy.bench.record import measured
from understudy.faces.align import face_matrix
from understudy.faces.landmarks import CANONICAL_INNER
from understudy.facesets.dfl import write_face
from understudy.facesets.dfl.face_file import DEFAULT_QUALITY
from understudy.facesets.faceset import Faceset
from understudy.facesets.sorting.table import Table, measure, one_thread_each
from understudy.files import make_dir
from understudy.imaging.geometry import transform_points
from understudy.job import Job
from understudy.types import FaceSample, FaceType, Image, Landmarks

CLIP_FRAMES = 40
_SHIFT_PX, _TURN_DEG, _SCALE, _GRAIN = 6.0, 6.0, 0.06, 2.0
_ANGLES = np.linspace(np.pi, 0, 17)
_JAW = np.stack([0.49 + 0.6 * np.cos(_ANGLES), 0.3 + 0.85 * np.sin(_ANGLES)], axis=1)

Levels = UInt8[np.ndarray, "h w 3"]


def source_faces(faceset: Path | None, clip: Path, size: int) -> list[FaceSample]:
    """Faces to make others from: those of a faceset, or frames of a clip taken for faces."""
    if faceset is not None:
        return [face for face in Faceset.open(faceset) if not face.polygons and face.mask is None]
    pictures = plates(clip, count=CLIP_FRAMES, shape_hw=(size, size), face_share=1.0)
    landmarks = _canonical(size)
    return [
        FaceSample(
            load=partial(_as_image, picture),
            landmarks=landmarks,
            face_type=FaceType.WHOLE,
            source_box=(0, 0, size, size),
        )
        for picture in pictures
    ]


def make_faceset(sources: Sequence[FaceSample], folder: Path, *, count: int, job: Job) -> None:
    """Write `count` faces, each one of the sources seen a little otherwise."""
    make_dir(folder)
    pictures = [np.rint(face.image * 255).astype(np.uint8) for face in sources]

    def write(number: int) -> None:
        at = number % len(sources)
        made = _otherwise(sources[at], pictures[at], np.random.default_rng(number))
        named = replace(made, source_name=f"{number:06d}.png")
        path = folder / f"{number:06d}_0.jpg"
        write_face(path, named, quality=DEFAULT_QUALITY, durable=False)

    with one_thread_each():
        for _ in job.map(write, range(count), total=count, message="making faces"):
            pass


def bench_sort(
    name: str, step: Any, folder: Path, *, count: int, settings: dict[str, Any]
) -> dict[str, Any]:
    """One measurement of `step()`, which sorts `folder`, and of listing its faces afterwards."""
    row = measured(name, step, settings=settings, item="face")
    _list(folder)  # what it needs is cached from here on
    listing = measured("list", lambda: _list(folder), settings={}, item="face")
    return row | {"faces": count, "list_cached_seconds": listing["wall_seconds"]}


def _as_image(levels: Levels) -> Image:
    return levels.astype(np.float32) / np.float32(255)


def _list(folder: Path) -> int:
    """List, filter and count: sharp faces that look to one side, by what is cached."""
    table: Table = measure(folder, ("record",), Job("bench"))
    np.count_nonzero(table["is_face"] & (table["yaw"] > 0.2))
    return len(table)


def _otherwise(face: FaceSample, picture: Levels, rng: np.random.Generator) -> FaceSample:
    height, width = picture.shape[:2]
    shift = rng.uniform(-_SHIFT_PX, _SHIFT_PX, 2)
    turn, scale = rng.uniform(-_TURN_DEG, _TURN_DEG), 1 + rng.uniform(-_SCALE, _SCALE)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, scale)
    matrix[:, 2] = matrix[:, 2] + shift
    moved = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    gamma, gain = rng.uniform(0.8, 1.25), rng.uniform(0.85, 1.1, 3)
    curve = 255 * gain * (np.arange(256)[:, None] / 255) ** gamma
    toned = cv2.LUT(moved, np.clip(curve, 0, 255).astype(np.uint8)[None])
    if rng.random() < 0.5:
        toned = cv2.GaussianBlur(toned, (0, 0), rng.uniform(0.4, 3))
    grain = rng.standard_normal(toned.shape, np.float32) * np.float32(_GRAIN)
    levels = np.clip(toned + grain + np.float32(0.5), 0, 255).astype(np.float32) / np.float32(255)
    return replace(
        face,
        load=lambda: levels,
        encoded=None,
        landmarks=transform_points(face.landmarks, matrix),
    )


def _canonical(size: int) -> Landmarks:
    """The mean face as a whole-face picture of that size shows it."""
    face = np.zeros((68, 2))
    face[17:], face[:17] = CANONICAL_INNER, _JAW
    return transform_points(face, face_matrix(face, size, FaceType.WHOLE))
