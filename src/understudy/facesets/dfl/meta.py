"""Reads and writes `meta.dat`: what is known of each face, kept apart from the pictures.

A folder in, one file with its metadata out, and back into pictures that were edited or resized
since. Pictures keep their bytes; points follow a change of size. Source: reference "dfl-formats"
section 6, "dfl-pipeline" section 10.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal  # the file is of any type until it is checked

import cv2
import numpy as np

from understudy import files, safe_pickle
from understudy.errors import FormatError, MaterialError
from understudy.facesets.dfl import containers, face_file
from understudy.facesets.dfl.entry_names import plain_name
from understudy.facesets.dfl.metadata import Metadata, checked_metadata, scaled, to_sample
from understudy.types import FaceSample, Image

META_NAME = "meta.dat"

_MAX_BYTES = 1 << 32
_DFL_QUALITY = 100
_MAX_STRETCH = 1.02  # of one side against the other, before it is no mere resizing


@dataclass(frozen=True, slots=True)
class SavedFace:
    """What `meta.dat` holds of one face: the picture's (height, width) then, and its metadata."""

    shape_hw: tuple[int, int]
    meta: Metadata


def read_meta(path: Path) -> dict[str, SavedFace]:
    """Saved metadata by the faces' file names ("alice/1.jpg" for a person's).

    Raises:
        FileError: it can't be read.
        FormatError: it is none, or damaged.
        UnsafeFileError: it asks for something no data file may ask for, or names a path.
    """
    data = files.read_bytes(path, limit=_MAX_BYTES)
    value = safe_pickle.loads(data, source=path, limit=_MAX_BYTES, compact=True)
    if not isinstance(value, dict) or not value:
        raise _bad(path, "something else")
    return {_checked_name(name, path): _saved(value[name], name, path) for name in value}


def write_meta(path: Path, faces: Iterable[tuple[str, SavedFace]]) -> int:
    """Number of faces put into a file that DFL can restore from, whole or not at all.

    `faces`, by their names, are gone through once and not kept.

    Raises:
        StorageError: it can't be written.
    """
    count = 0

    def entries() -> Iterator[tuple[str, Any]]:
        nonlocal count
        for name, face in faces:
            count += 1
            yield name, ((*face.shape_hw, 3), _nested(face.meta))

    with files.replacing(path) as temporary, temporary.open("xb") as stream:
        for piece in safe_pickle.dump_dict(entries()):
            stream.write(piece)
    return count


def save_face(path: Path) -> SavedFace:
    """What is known of the face at `path`, with the mask that lies beside it.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no face.
    """
    meta = face_file.full_metadata(path)
    to_sample(meta, source=path, load=partial(_no_picture, path))
    return SavedFace(face_file.read_file_header(path).shape_hw, meta)


def restore_face(
    path: Path, saved: SavedFace, *, resize_back: bool = False
) -> Literal["as saved", "scaled", "resized"]:
    """How the picture at `path` got its saved metadata back.

    A picture of another size keeps its bytes, and the saved points are scaled to it; with
    `resize_back` it is resampled to the size saved and encoded again, as DFL does.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no picture, or not a resized one: its sides changed unlike.
        StorageError: it can't be written.
    """
    containers.check_whole(files.read_bytes(path, limit=face_file.MAX_FACE_BYTES), path)
    height, width = face_file.read_file_header(path).shape_hw
    face = to_sample(saved.meta, source=path, load=partial(_no_picture, path))
    if (height, width) == saved.shape_hw:
        face_file.replace_metadata(path, face, stored=saved.meta)
        return "as saved"
    if resize_back:
        _resize_back(path, face, saved)
        return "resized"
    down, across = height / saved.shape_hw[0], width / saved.shape_hw[1]
    if max(down, across) > _MAX_STRETCH * min(down, across):
        raise FormatError(
            path,
            expected=f"the saved picture of {saved.shape_hw[1]}x{saved.shape_hw[0]}, or resized",
            found=f"one of {width}x{height}, which was cut or stretched",
            remedy="Resize it in both directions alike, or restore with --resize-back.",
        )
    face_file.replace_metadata(path, scaled(face, across=across, down=down), stored=saved.meta)
    return "scaled"


def _resize_back(path: Path, face: FaceSample, saved: SavedFace) -> None:
    data = files.read_bytes(path, limit=face_file.MAX_FACE_BYTES)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if picture is None:
        raise _bad(path, "a picture that can't be decoded")
    small = cv2.resize(picture, saved.shape_hw[::-1], interpolation=cv2.INTER_LANCZOS4)
    image = np.asarray(small[..., ::-1], np.float32) / np.float32(255)
    face_file.write_face(path, replace(face, load=lambda: image), quality=_DFL_QUALITY)


def _no_picture(path: Path) -> Image:
    raise MaterialError(
        path, expected="a face", found="only its metadata", remedy="Restore it into its picture."
    )


def _checked_name(name: Any, path: Path) -> str:
    if not isinstance(name, str):
        raise _bad(path, f"a name of type {type(name).__name__}")
    person, slash, base = name.rpartition("/")
    if slash:
        plain_name(person, path)
    plain_name(base, path)
    return name


def _saved(entry: Any, name: str, path: Path) -> SavedFace:
    if not isinstance(entry, (tuple, list)) or len(entry) != 2:
        raise _bad(path, f"no size and metadata for {name}")
    shape, meta = entry
    sides = shape[:2] if isinstance(shape, (tuple, list)) and len(shape) in (2, 3) else ()
    if len(sides) != 2 or not all(isinstance(s, int) and 0 < s <= 1 << 16 for s in sides):
        raise _bad(path, f"no size of a picture for {name}")
    return SavedFace((sides[0], sides[1]), checked_metadata(meta, f"{path}:{name}"))


def _nested(meta: Metadata) -> Metadata:
    """Metadata with points as the lists DFL has them."""
    points = {"landmarks", "source_landmarks"}
    return {
        k: v.tolist() if k in points and isinstance(v, np.ndarray) else v for k, v in meta.items()
    }


def _bad(path: Path, found: str) -> FormatError:
    return FormatError(
        path,
        expected="saved metadata of a faceset",
        found=found,
        remedy="Take the file from a backup.",
    )
