"""Loose faces for a pak, and the faces of a pak as loose files.

A face file in, looked at and described as DFL's index has it, out; or a face of a pak in, its file
out. Nothing is overwritten, and nothing is written outside the folder named. Knows nothing of how
a pak is laid out. Source: reference "dfl-formats" section 5.
"""

import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from understudy import files
from understudy.errors import FileError, FormatError
from understudy.facesets.dfl import containers
from understudy.facesets.dfl.entry_names import inside
from understudy.facesets.dfl.face_file import MAX_FACE_BYTES, parse_face, sidecar_path
from understudy.facesets.dfl.metadata import SIDECAR_KEY, encode_mask, read_metadata, stored_mask
from understudy.facesets.dfl.pack import PackedFace, PakItem, digest
from understudy.types import FaceSample, FaceType

FACE_NUMBERS = {
    FaceType.HALF: 0,
    FaceType.MIDFULL: 1,
    FaceType.FULL: 2,
    FaceType.FULL_NO_ALIGN: 3,
    FaceType.WHOLE: 4,
    FaceType.HEAD: 10,
    FaceType.HEAD_NO_ALIGN: 20,
    FaceType.MARK_ONLY: 100,
}
_SAMPLE_IS_FACE = 1


def look_at(name: str, path: Path) -> PakItem:
    """The face at `path` as a pak holds it under `name`, "alice/1.jpg"; the file was read whole.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no face, is damaged, or a pak can't hold all of it.
    """
    data = files.read_bytes(path, limit=MAX_FACE_BYTES)
    containers.check_whole(data, path)
    header = containers.read_header(io.BytesIO(data), path)
    meta = read_metadata(header.payload, path)
    if SIDECAR_KEY in meta and sidecar_path(path).is_file():
        raise FormatError(
            path,
            expected="a face that is one file",
            found=f"one with its mask in {sidecar_path(path).name}",
            remedy="It stays loose; apply a smaller mask, or keep the faceset in its folder.",
        )
    again = partial(files.read_bytes, path, limit=MAX_FACE_BYTES)
    face = parse_face(header.payload, source=path, name=name, encoded=again)
    mask = stored_mask(face, meta, path)
    if mask is None and face.mask is not None:
        mask = encode_mask(face.mask)
    entry = _entry(face, name, shape_hw=header.shape_hw, mask=mask)
    return PakItem(name, again, entry, len(data), digest(data))


def unpack_face(face: PackedFace, folder: Path) -> Path:
    """Path of the face's own file in `folder`, made if it is not there.

    Raises:
        FileError: another file has its name, or it would lie elsewhere.
        FormatError: it is no face, or damaged.
    """
    data = face.encoded()
    containers.check_whole(data, face.source)
    read_metadata(containers.read_header(io.BytesIO(data), face.source).payload, face.source)
    path = folder / face.name
    files.make_dir(path.parent)
    inside(path, folder)
    if path.is_symlink() or path.exists():
        if path.is_file() and files.read_bytes(path, limit=MAX_FACE_BYTES) == data:
            return path
        raise FileError(
            path,
            expected="nothing, or the same face",
            found="another file",
            remedy="Move it away and unpack again; what is unpacked stays.",
        )
    files.write_bytes(path, data, durable=False)  # the pak is still there
    return path


def _entry(
    face: FaceSample, name: str, *, shape_hw: tuple[int, int], mask: np.ndarray | None
) -> dict[str, Any]:
    """What the index of a pak says of a face, in DFL's words."""
    person, _, base = name.rpartition("/")
    return {
        "sample_type": _SAMPLE_IS_FACE,
        "filename": base,
        "face_type": FACE_NUMBERS[face.face_type],
        "shape": (*shape_hw, 3),
        "landmarks": face.landmarks.tolist(),
        "seg_ie_polys": {
            "polys": [
                {"type": int(include), "pts": np.asarray(points, np.float32)}
                for include, points in face.polygons
            ]
        },
        "xseg_mask": None,
        "xseg_mask_compressed": mask,
        "eyebrows_expand_mod": face.brow_expand,
        "source_filename": face.source_name,
        "person_name": person or None,
    }
