"""Every reader of faceset files, fed one input: a value, or an error a user can read.

Anything else that comes out of `feed` is a fault of the reader. Values that were read are written
again and read again, unpacked, restored and inspected, so that what follows the readers is fed too.
"""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from fuzz_inputs import Input
from understudy import safe_pickle
from understudy.errors import UnderstudyError
from understudy.facesets.dfl import containers, face_file
from understudy.facesets.dfl.meta import read_meta, restore_face
from understudy.facesets.dfl.pack import read_index
from understudy.facesets.moves.packing import look_at, unpack_face
from understudy.facesets.survey.inspect import inspect, tell


class Feeder:
    """Feeds inputs through files in one folder; `inside` is the only place they may write to."""

    def __init__(self, folder: Path, face: bytes) -> None:
        self.folder, self.inside, self.face = folder, folder / "inside", face
        self.inside.mkdir()

    def feed(self, given: Input, turn: int) -> str:
        """ "read" or "refused"; what is done with a value that was read depends on `turn`."""
        reader = {"face": self._face, "pak": self._pak, "meta": self._meta, "pickle": self._pickle}
        try:
            reader[given.reader](given.data, turn)
        except UnderstudyError as error:
            assert "\n" not in error.found and len(str(error)) < 2000, str(error)
            return "refused"
        return "read"

    def check_folder(self) -> None:
        """Look that nothing was written but where it may be."""
        allowed = {"inside", "a.jpg", "a.mask.png", "faceset.pak", "meta.dat"}
        assert {path.name for path in self.folder.iterdir()} <= allowed

    def _put(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def _face(self, data: bytes, turn: int) -> None:
        path = self._put("a.jpg", data)
        face = face_file.read_face(path)
        if turn % 2:
            assert face.image.dtype == np.float32 and np.isfinite(face.image).all()
        if turn % 4 == 1:
            again = self.inside / ("b.jpg" if containers.is_jpeg(data) else "b.png")
            face_file.write_face(again, face, durable=False)
            copy = face_file.read_face(again)
            np.testing.assert_array_equal(copy.landmarks, face.landmarks)
            assert [include for include, _ in copy.polygons] == [p[0] for p in face.polygons]
            assert (copy.mask is None) == (face.mask is None)
            assert containers.read_header(io.BytesIO(data), path).shape_hw == face.image.shape[:2]
        if turn % 4 == 2:
            look_at("a.jpg", path)
        if turn % 8 == 4:
            self._tell(path)

    def _pak(self, data: bytes, turn: int) -> None:
        path = self._put("faceset.pak", data)
        for face in read_index(path)[:3]:
            face.read()
            if turn % 4 == 1:
                unpack_face(face, self.inside / "unpacked")
        if turn % 4 == 1:
            shutil.rmtree(self.inside / "unpacked", ignore_errors=True)
        if turn % 4 == 2:
            self._tell(path)

    def _meta(self, data: bytes, turn: int) -> None:
        path = self._put("meta.dat", data)
        saved = read_meta(path)
        picture = self.inside / "c.jpg"
        for face in list(saved.values())[: turn % 3]:
            picture.write_bytes(self.face)
            restore_face(picture, face, resize_back=turn % 8 == 1)
            face_file.read_face(picture)
        if turn % 8 == 4:
            self._tell(path)

    def _pickle(self, data: bytes, turn: int) -> None:
        del turn
        plain, compact = _loaded(data, compact=False), _loaded(data, compact=True)
        assert isinstance(plain, UnderstudyError) or _same(plain, compact)

    def _tell(self, path: Path) -> None:
        facts = inspect(path)
        json.dumps(facts)
        assert tell(facts)


def _loaded(data: bytes, *, compact: bool) -> Any:
    try:
        return safe_pickle.loads(data, source="input", compact=compact)
    except UnderstudyError as error:
        return error


def _same(plain: Any, compact: Any) -> bool:
    """Whether the two ways of reading agree: lists of pairs are arrays in the second."""
    if isinstance(compact, np.ndarray):
        return np.array_equal(np.asarray(plain), compact, equal_nan=compact.dtype.kind == "f")
    if isinstance(plain, dict):
        return list(plain) == list(compact) and all(_same(plain[k], compact[k]) for k in plain)
    if isinstance(plain, (list, tuple)):
        return len(plain) == len(compact) and all(map(_same, plain, compact))
    return bool(plain == compact) or (plain != plain and compact != compact)
