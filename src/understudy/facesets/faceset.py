"""A faceset: many faces in a folder or a `faceset.pak`, in order, each read when asked for.

A folder in, a sequence of `FaceSample` out. Person sub-folders count; pictures that are no faces
are left out and listed. Knows nothing of sorting or editing. Source: reference "dfl-pipeline"
section 1 and "dfl-formats" section 5.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

from understudy.errors import FormatError, MaterialError, UnderstudyError, from_os_error
from understudy.facesets.dfl import containers, read_face
from understudy.facesets.dfl.face_file import SIDECAR_SUFFIX
from understudy.facesets.dfl.pack import PAK_NAME, PackedFace, read_index
from understudy.facesets.moves.edit import recover
from understudy.types import FaceSample, Failure

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})


class LooseFace:
    """A face in a file of its own."""

    __slots__ = ("folder", "name")

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / self.name

    def check(self) -> None:
        """Look whether the file is a picture with metadata."""
        path = self.path
        try:
            with path.open("rb") as stream:
                is_face = containers.has_payload(stream, path)
        except OSError as error:
            raise from_os_error(error, path, doing="read") from error
        if not is_face:
            raise FormatError(
                path,
                expected="a face with its metadata",
                found="a picture without any",
                remedy="Extract this face again or remove the file.",
            )

    def read(self) -> FaceSample:
        """The face."""
        return read_face(self.path)


Entry = LooseFace | PackedFace


class Faceset(Sequence[FaceSample]):
    """Faces in order. Nothing but names is kept in memory; indexing reads one face's metadata.

    Going through all of it leaves out, and lists in `skipped`, also those whose metadata turn out
    to be damaged; asking for one of them by its index is an error.
    """

    def __init__(self, folder: Path, entries: Sequence[Entry]) -> None:
        self.folder = folder
        self._listed = tuple(entries)
        self._refused: dict[str, Failure] = {}

    @classmethod
    def open(cls, folder: Path | str) -> "Faceset":
        """The faces in `folder`; a `faceset.pak` in it takes precedence over loose files.

        What a killed process left half moved is moved to its place first.

        Raises:
            FileError: the folder can't be read.
            FormatError: the pak is broken.
            MaterialError: there is no face.
        """
        folder = Path(folder)
        pak = folder if folder.name == PAK_NAME else folder / PAK_NAME
        recover(pak.parent)
        entries: Sequence[Entry] = read_index(pak) if pak.is_file() else list_loose(folder)
        faceset = cls(folder, entries)
        if not any(faceset._holds_face(entry) for entry in faceset._listed):
            found = f"{len(entries)} pictures without face metadata" if entries else "no pictures"
            raise MaterialError(
                folder,
                expected="at least one face",
                found=found,
                remedy="Extract faces into it first.",
            )
        return faceset

    @property
    def names(self) -> tuple[str, ...]:
        """File names in order, with the person's folder before them: "alice/00001_0.jpg"."""
        return tuple(entry.name for entry in self._entries)

    @property
    def persons(self) -> tuple[str | None, ...]:
        """Whose face each one is, by its sub-folder; None for faces in no sub-folder."""
        parents = (name.rpartition("/")[0] for name in self.names)
        return tuple(parent or None for parent in parents)

    @property
    def skipped(self) -> tuple[Failure, ...]:
        """Pictures that are no faces, each with the reason; complete after going through all."""
        _ = self._entries
        return tuple(self._refused.values())

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> FaceSample: ...
    @overload
    def __getitem__(self, index: slice) -> "Faceset": ...
    def __getitem__(self, index: int | slice) -> "FaceSample | Faceset":
        """The face at `index`, or a faceset of those in a slice.

        Raises:
            FormatError: its metadata are damaged.
        """
        if isinstance(index, slice):
            return Faceset(self.folder, self._entries[index])
        return self._entries[index].read()

    def __iter__(self) -> Iterator[FaceSample]:
        for entry in self._listed:
            try:
                yield entry.read()
            except UnderstudyError as error:
                self._refuse(entry, error)

    @cached_property
    def _entries(self) -> tuple[Entry, ...]:
        """The listed files that hold a face, by a look at each header."""
        return tuple(entry for entry in self._listed if self._holds_face(entry))

    def _holds_face(self, entry: Entry) -> bool:
        try:
            entry.check()
        except UnderstudyError as error:
            self._refuse(entry, error)
            return False
        return True

    def _refuse(self, entry: Entry, error: UnderstudyError) -> None:
        self._refused[entry.name] = Failure(entry.name, str(error))


def list_loose(folder: Path) -> list[LooseFace]:
    """Picture files of a folder and, after them, of its sub-folders, each sorted by name.

    Names are compared as plain text, so "10.jpg" comes before "2.jpg", as DFL has it. Hidden files
    and mask sidecars are no faces.

    Raises:
        FileError: the folder can't be read.
    """
    try:
        pictures, persons = _children(folder)
        faces = [LooseFace(name, folder) for name in pictures]
        for person in persons:
            inside, _ = _children(folder / person)
            faces += [LooseFace(f"{person}/{name}", folder) for name in inside]
    except OSError as error:
        raise from_os_error(error, folder, doing="read") from error
    return faces


def _children(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the pictures and of the folders in a folder, each sorted."""
    pictures, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if is_picture_name(name):
                pictures.append(name)
            elif not name.startswith(".") and entry.is_dir():
                folders.append(name)
    return sorted(pictures), sorted(folders)


def is_picture_name(name: str) -> bool:
    """Whether a file of that name may hold a face: no hidden file, no mask of another."""
    stem, dot, ending = name.rpartition(".")
    hidden_or_mask = name.startswith(".") or name.endswith(SIDECAR_SUFFIX)
    return bool(stem and dot) and f".{ending.lower()}" in PICTURE_SUFFIXES and not hidden_or_mask
