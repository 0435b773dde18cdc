"""Labels of faces in their files: read, written, and taken back.

A face file in, its polygons out; polygons in, the same file with them, its pixels untouched. What
an editor writes through `LabelHistory` leaves the former polygons in a hidden file beside the
faceset (`.aligned_labels/history.jsonl`), so that a slip of the hand can be undone days later, by
another process, under another file name. Whoever writes holds the workspace's lock, as steps do.
Knows no canvas.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any  # JSON values

import numpy as np

from understudy.errors import FormatError, MaterialError, from_os_error
from understudy.facesets.dfl import containers, face_file
from understudy.facesets.dfl.entry_names import inside, plain_name
from understudy.facesets.dfl.pack import check_no_pak
from understudy.facesets.faceset import list_loose
from understudy.facesets.moves.edit import recover
from understudy.files import fsync, make_dir, read_bytes
from understudy.masks.polygons import Outlines
from understudy.types import Polygon

Labels = tuple[Polygon, ...]

LABELS_SUFFIX = "_labels"
_FILE = "history.jsonl"
_MAX_BYTES = 1 << 30
_FARTHEST_PX = 1e15  # what a reader of faces still takes for a coordinate


@dataclass(frozen=True, slots=True)
class Relabelled:
    """A face whose labels were put back: its name now, what it has again, and what it had."""

    name: str
    labels: Labels
    replaced: Labels


def read_labels(path: Path | str) -> Labels:
    """Polygons of the face at `path`, those that include first.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no face.
    """
    return tuple(Polygon(*polygon) for polygon in face_file.read_face(path).polygons)


def write_labels(path: Path | str, polygons: Outlines) -> Labels:
    """The polygons the face at `path` had before these; no polygons take the label away.

    The file is replaced whole or not at all, and its pixels keep their bytes.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no face, a coordinate is no finite number, or the polygons don't fit
            into the file; nothing was touched.
        StorageError: it can't be written.
    """
    face = face_file.read_face(path)
    labels = checked_labels(polygons, path)
    former = tuple(Polygon(*polygon) for polygon in face.polygons)
    if not _same(former, labels):
        face_file.write_face(path, replace(face, polygons=labels))
    return former


def checked_labels(polygons: Outlines, path: Path | str) -> Labels:
    """The polygons as a file holds them: without empty ones, those that include first.

    Raises:
        FormatError: a coordinate is no finite number; the error names `path`.
    """
    labels = []
    for include, points in polygons:
        outline = np.array(points, np.float32).reshape(-1, 2)
        if not (np.abs(outline) <= _FARTHEST_PX).all():  # also what is no number
            raise FormatError(
                path,
                expected="polygons with finite coordinates",
                found="one without",
                remedy="Draw this polygon again; the face is as it was.",
            )
        if len(outline):
            labels.append(Polygon(bool(include), outline))
    return tuple(sorted(labels, key=lambda polygon: not polygon.include))


class LabelHistory:
    """Writes labels of a faceset's faces and can take each change back, the last one first."""

    def __init__(self, aligned_dir: Path) -> None:
        self.aligned_dir = aligned_dir
        real = aligned_dir.resolve()
        self.path = real.with_name(f".{real.name}{LABELS_SUFFIX}") / _FILE

    def write(self, name: str, polygons: Outlines) -> Labels:
        """The former polygons of the face called `name` ("alice/1.jpg"), which has these now.

        Raises:
            FileError: the faces are in a pak, or the file can't be read.
            FormatError: it is no face, or can't hold these polygons; nothing was touched.
            StorageError: the file or the history can't be written.
        """
        self._ready()
        path = inside(self.aligned_dir / name, self.aligned_dir)
        former, labels = read_labels(path), checked_labels(polygons, path)
        if not _same(former, labels):
            # What was there is on disk before it is overwritten.
            self._append({"name": name, "pixels": _fingerprint(path), "before": _as_json(former)})
            write_labels(path, labels)
        return former

    def undo(self) -> Relabelled:
        """The face whose labels were changed last, with its former ones.

        Raises:
            MaterialError: there is nothing to undo, or the face is gone.
            FormatError: the history is damaged.
        """
        self._ready()
        entries = list(self._entries())
        undone = {entry["undoes"] for entry in entries if "undoes" in entry}
        left = [i for i, entry in enumerate(entries) if "undoes" not in entry and i not in undone]
        if not left:
            raise MaterialError(
                self.aligned_dir,
                expected="a change of labels to undo",
                found="none recorded",
                remedy="Only what was drawn here is recorded.",
            )
        entry = entries[left[-1]]
        path = self._find(entry)
        labels, replaced = _from_json(entry["before"], self.path), read_labels(path)
        # What the undo overwrites may have been drawn by another program.
        self._append({"undoes": left[-1], "had": _as_json(replaced)})
        write_labels(path, labels)
        return Relabelled(path.relative_to(self.aligned_dir).as_posix(), labels, replaced)

    def _ready(self) -> None:
        """Files in their places: what a killed process left half moved is moved first."""
        check_no_pak(self.aligned_dir, str(self.aligned_dir))
        recover(self.aligned_dir)

    def _find(self, entry: dict[str, Any]) -> Path:
        """The face an entry tells of, by its pixels: it may have been renamed since."""
        for part in entry["name"].split("/"):
            plain_name(part, self.path)
        named = inside(self.aligned_dir / entry["name"], self.aligned_dir)
        others = (face.path for face in list_loose(self.aligned_dir))
        for path in (named, *(path for path in others if path != named)):
            if path.is_file() and _is_picture(path, entry["pixels"]):
                return path
        raise MaterialError(
            entry["name"],
            expected="the face whose labels were changed last",
            found="none with its pixels",
            remedy="Bring it back first (understudy faceset undo), or draw its labels again.",
        )

    def _entries(self) -> Iterator[dict[str, Any]]:
        if not self.path.is_file():
            return
        # What follows the last newline was cut off by a kill, before its face was touched.
        for line in read_bytes(self.path, limit=_MAX_BYTES).split(b"\n")[:-1]:
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise _damaged(self.path, str(error)) from error
            if not _is_entry(entry):
                raise _damaged(self.path, "a line that tells of no change")
            yield entry

    def _append(self, entry: dict[str, Any]) -> None:
        make_dir(self.path.parent)
        try:
            with self.path.open("ab+") as stream:
                stream.seek(0)
                stream.truncate(stream.read().rfind(b"\n") + 1)
                stream.write(json.dumps(entry).encode() + b"\n")
            fsync(self.path)
        except OSError as error:
            raise from_os_error(error, self.path, doing="write") from error


def _same(a: Labels, b: Labels) -> bool:
    return len(a) == len(b) and all(
        one.include == other.include and np.array_equal(one.points, other.points)
        for one, other in zip(a, b, strict=True)
    )


def _fingerprint(path: Path) -> str:
    """What tells a face's picture from another, whatever its metadata say."""
    data = read_bytes(path, limit=face_file.MAX_FACE_BYTES)
    bare = containers.png_with_payload if containers.is_png(data) else containers.jpeg_with_payload
    return hashlib.blake2b(bare(data, b"", path), digest_size=16).hexdigest()


def _is_picture(path: Path, fingerprint: str) -> bool:
    try:
        return _fingerprint(path) == fingerprint
    except FormatError:  # another kind of file
        return False


def _as_json(labels: Labels) -> list[dict[str, Any]]:
    return [{"include": polygon.include, "points": polygon.points.tolist()} for polygon in labels]


def _from_json(value: Any, path: Path) -> Labels:
    try:
        pairs: Sequence[tuple[bool, np.ndarray]] = [
            (bool(entry["include"]), np.array(entry["points"], np.float32).reshape(-1, 2))
            for entry in value
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"polygons that are none ({error})") from error
    return checked_labels(pairs, path)


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    if "undoes" in entry:
        return isinstance(entry["undoes"], int)
    texts = isinstance(entry.get("name"), str) and isinstance(entry.get("pixels"), str)
    return texts and isinstance(entry.get("before"), list)


def _damaged(path: Path, found: str) -> FormatError:
    return FormatError(
        path,
        expected="a record of former labels",
        found=found[:80],
        remedy="Restore it from a backup, or move it away: what it tells of can't be undone then.",
    )
