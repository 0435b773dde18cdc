"""Copies of faces in another folder: the files' own bytes, with the masks that lie beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from understudy.job import Job

if TYPE_CHECKING:
    from understudy.facesets.faceset import Faceset

State = Literal["missing", "older", "there"]
"""What is in the place of a face's copy: nothing, something else, the same."""


def copy_faces(
    faceset: "Faceset", indices: Sequence[int], out_dir: Path, job: Job, *, replace: bool
) -> tuple[list[str], list[str]]:
    """Names of the faces that were copied, and of those whose copies were there already.

    What else has a copy's name is a failure of that face, or with `replace` goes to the trash
    beside the copies. Copies that failed are among the job's failures.

    Raises:
        StorageError: the disk is full.
    """
    names = faceset.names
    states: dict[State, list[int]] = {"missing": [], "older": [], "there": []}
    looked = job.map(
        lambda index: _state(faceset, index, out_dir),
        indices,
        name=lambda index: names[index],
        shown=False,
    )
    for index, state in looked:
        states[state].append(index)
    wanted = states["missing"] + _made_way(states["older"], names, out_dir, job, replace=replace)
    copies = job.map(
        lambda index: _copy(faceset, index, out_dir),
        wanted,
        total=len(wanted),
        name=lambda index: names[index],
        message="copying",
    )
    copied = [names[index] for index, _ in copies]
    return copied, [names[index] for index in states["there"]]


def _state(faceset: "Faceset", index: int, out_dir: Path) -> State:
    files = _files(faceset, index, out_dir)
    if not any(path.exists() for path in files):
        return "missing"
    return "there" if all(_holds(path, data) for path, data in files.items()) else "older"


def _files(faceset: "Faceset", index: int, out_dir: Path) -> dict[Path, bytes]:
    """What the copy of a face consists of: its mask, if that lies beside it, before the face."""
    from understudy.facesets.dfl.face_file import read_file_header, sidecar_path
    from understudy.facesets.dfl.metadata import SIDECAR_KEY, read_metadata
    from understudy.files import read_bytes

    path, target = faceset.folder / faceset.names[index], out_dir / faceset.names[index]
    encoded = faceset[index].encoded
    files = {target: read_bytes(path) if encoded is None else encoded()}
    beside = sidecar_path(path)
    if beside.is_file() and SIDECAR_KEY in read_metadata(read_file_header(path).payload, path):
        files = {sidecar_path(target): read_bytes(beside)} | files
    return files


def _holds(path: Path, data: bytes) -> bool:
    from understudy.files import read_bytes

    return path.is_file() and read_bytes(path) == data


def _copy(faceset: "Faceset", index: int, out_dir: Path) -> None:
    from understudy.errors import FileError
    from understudy.facesets.dfl.entry_names import inside
    from understudy.files import make_dir, write_bytes

    for path, data in _files(faceset, index, out_dir).items():
        make_dir(path.parent)
        if not _holds(inside(path, out_dir), data):
            if path.exists():
                raise FileError(
                    path,
                    expected="a free name",
                    found="another file",
                    remedy="Move it away and start again.",
                )
            write_bytes(path, data)


def _made_way(
    older: list[int], names: Sequence[str], out_dir: Path, job: Job, *, replace: bool
) -> list[int]:
    """Those whose older copies are in the trash now; without `replace` each is a failure."""
    from understudy.facesets.moves import edit

    if replace:
        there = [out_dir / names[index] for index in older if (out_dir / names[index]).exists()]
        edit.apply_moves(out_dir, edit.trash_moves(out_dir, there), operation=job.step)
        return older
    for index in older:
        job.fail(
            names[index],
            f"{out_dir.name} holds another version of it; --replace moves that one to the trash",
        )
    return []
