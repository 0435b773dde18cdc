"""Faces with other labels or masks take the place of the old ones, in one move that can be undone.

Functions from face to face in, changed face files out. Until all are written nothing in the faceset
changes; then the old files go to the trash and the new ones to their places, whatever kills the
process. What a stopped run has written is taken over by the same command, as long as the files it
was made from are as they were. Knows nothing of what changes.
"""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any  # JSON values

from understudy.errors import Cancelled
from understudy.job import Job
from understudy.steps.journal import Journal
from understudy.steps.mask.record import maker
from understudy.types import FaceSample
from understudy.wording import counted

if TYPE_CHECKING:
    from understudy.facesets.faceset import Faceset

RECORD = ".begun.jsonl"
"""What is written already, beside it."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The new face, and what is to be told of how it was made, JSON values."""

    face: FaceSample
    facts: Mapping[str, Any] = field(default_factory=dict)


Change = Callable[[int], Changed | None]
"""The new face of the one at an index; None where it stays as it is."""


def change_faces(
    faceset: "Faceset",
    indices: Sequence[int],
    change: Change,
    *,
    operation: str,
    job: Job,
    settings: Mapping[str, Any] | None = None,
    reads: Callable[[int], Sequence[Path]] = lambda _: (),
) -> dict[str, Mapping[str, Any]]:
    """The facts of the faces that were changed, by name; failures are the job's.

    The faces must be files of their own. Their pixels keep their bytes. `settings` are whatever
    decides what a face becomes, `reads` the files it is made from beside itself.

    Raises:
        StorageError: a file can't be written; nothing was changed.
        Cancelled: the user stopped it; nothing was changed, and what is written waits.
    """
    from understudy.facesets.moves.edit import Move, apply_moves, trash_moves

    names, folder = faceset.names, faceset.folder
    staged_dir, journal = _begin(folder, operation, maker(settings or {}))

    def stage(index: int) -> Mapping[str, Any] | None:
        from understudy.facesets.dfl import write_face
        from understudy.facesets.dfl.entry_names import inside
        from understudy.files import make_dir

        path, staged = inside(folder / names[index], folder), staged_dir / names[index]
        stamps = _stamps([path, *reads(index)])
        row = journal.items.get(names[index])
        if row is not None and row["stamps"] == stamps and staged.is_file():
            return dict(row["facts"])
        changed = change(index)
        if changed is None:
            return None
        make_dir(staged.parent)
        write_face(staged, changed.face)
        journal.add(names[index], stamps=stamps, facts=dict(changed.facts))
        return changed.facts

    try:
        with journal:
            if journal.items:
                were = counted(len(journal.items), "face was", "faces were")
                job.message(f"{were} written by a run that was stopped: it goes on from there")
            results = job.map(
                stage, indices, total=len(indices), name=lambda i: names[i], message="writing"
            )
            facts = {names[index]: told for index, told in results if told is not None}
    except Cancelled:
        raise
    except BaseException:  # whatever stops it, nothing half-made is left
        _remove(staged_dir)
        raise
    moves = trash_moves(folder, [folder / name for name in facts])
    moves += [Move(staged_dir / name, folder / name) for name in facts]
    apply_moves(folder, moves, operation=operation)
    _remove(staged_dir)
    return facts


def _begin(folder: Path, operation: str, made_by: str) -> tuple[Path, Journal]:
    """A folder in the trash for the new faces, and the record of those that lie there.

    It is the one that a stopped run of the same settings left, else one that is not there yet: what
    is undone goes back to it.
    """
    from understudy.facesets.moves.edit import trash_dir

    trash, stem = trash_dir(folder), operation.replace(" ", "-")
    number = 1
    while (path := trash / f"{stem}-{number}").exists():
        journal = Journal(path / RECORD)
        if journal.header.get("made_by") == made_by:
            return path, journal
        number += 1
    journal = Journal(path / RECORD)
    journal.begin({"made_by": made_by})
    return path, journal


def _stamps(paths: Sequence[Path]) -> list[list[int]]:
    """What tells these files, and masks that lie beside them, from changed ones."""
    from understudy.facesets.dfl.face_file import sidecar_path

    found = [beside for path in paths for beside in (path, sidecar_path(path)) if beside.is_file()]
    stats = [path.stat() for path in found]
    return [[stat.st_size, stat.st_mtime_ns] for stat in stats]


def _remove(staged_dir: Path) -> None:
    """Take away what was staged and did not get to its place."""
    from understudy.files import remove_files

    for where, _, names in os.walk(staged_dir, topdown=False):
        remove_files(Path(where, name) for name in names)
        Path(where).rmdir()
    with contextlib.suppress(OSError):  # others lie there, or there was no trash
        staged_dir.parent.rmdir()
