"""A faceset: many faces in a folder or a `faceset.pak`, in order, each read when asked for.

A folder in, a sequence of `FaceSample` out. Person sub-folders count; pictures that are no faces
are left out and listed. Knows nothing of sorting or editing. Source: reference "dfl-pipeline"
section 1 and "dfl-formats" section 5.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

from understudy.errors import FormatError, MaterialError, UnderstudyError, from_os_error
from understudy.facesets import containers
from understudy.facesets.dfl import SIDECAR_SUFFIX, read_face
from understudy.facesets.edit import recover
from understudy.facesets.pack import PAK_NAME, PackedFace, read_index
from understudy.types import FaceSample, Failure

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})


class LooseFace:
    """A face in a file of its own."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path

    def check(self) -> None:
        """Look whether the file is a picture with metadata."""
        try:
            with self.path.open("rb") as stream:
                payload = containers.read_header(stream, self.path).payload
        except OSError as error:
            raise from_os_error(error, self.path, doing="read") from error
        if not payload:
            raise FormatError(
                self.path,
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
        children = sorted(folder.iterdir(), key=lambda path: path.name)
        faces = [LooseFace(path.name, path) for path in children if is_picture(path)]
        for person in children:
            if person.is_dir() and not person.name.startswith("."):
                inside = sorted(person.iterdir(), key=lambda path: path.name)
                faces += [LooseFace(f"{person.name}/{p.name}", p) for p in inside if is_picture(p)]
    except OSError as error:
        raise from_os_error(error, folder, doing="read") from error
    return faces


def is_picture(path: Path) -> bool:
    """Whether a path is named as a picture that may hold a face."""
    hidden_or_mask = path.name.startswith(".") or path.name.endswith(SIDECAR_SUFFIX)
    return path.suffix.lower() in PICTURE_SUFFIXES and not hidden_or_mask
