"""Faces with other labels or masks take the place of the old ones, in one move that can be undone.

Functions from face to face in, changed face files out. Until all are written nothing in the faceset
changes; then the old files go to the trash and the new ones to their places, whatever kills the
process. Knows nothing of what changes.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.job import Job
from understudy.types import FaceSample

if TYPE_CHECKING:
    from understudy.facesets.faceset import Faceset

Change = Callable[[int], FaceSample | None]
"""The new face of the one at an index; None where it stays as it is."""


def change_faces(
    faceset: "Faceset", indices: Sequence[int], change: Change, *, operation: str, job: Job
) -> list[str]:
    """Names of the faces that were changed; those that failed are among the job's failures.

    The faces must be files of their own. Their pixels keep their bytes.

    Raises:
        StorageError: a file can't be written; nothing was changed.
        Cancelled: the user stopped it; nothing was changed.
    """
    from understudy.facesets.moves.edit import Move, apply_moves, trash_moves

    names, folder = faceset.names, faceset.folder
    staged_dir = _free_dir(folder, operation)

    def stage(index: int) -> bool:
        from understudy.facesets.dfl import write_face
        from understudy.facesets.dfl.entry_names import inside
        from understudy.files import make_dir

        face = change(index)
        if face is None:
            return False
        inside(folder / names[index], folder)
        make_dir((staged_dir / names[index]).parent)
        write_face(staged_dir / names[index], face)
        return True

    try:
        results = job.map(
            stage, indices, total=len(indices), name=lambda index: names[index], message="writing"
        )
        changed = [names[index] for index, done in results if done]
    except BaseException:
        _remove(staged_dir)
        raise
    moves = trash_moves(folder, [folder / name for name in changed])
    moves += [Move(staged_dir / name, folder / name) for name in changed]
    apply_moves(folder, moves, operation=operation)
    _remove(staged_dir)
    return changed


def _free_dir(folder: Path, operation: str) -> Path:
    """A folder in the trash that is not there yet: what is undone goes back to it."""
    from understudy.facesets.moves.edit import trash_dir

    trash, stem = trash_dir(folder), operation.replace(" ", "-")
    number = 1
    while (trash / f"{stem}-{number}").exists():
        number += 1
    return trash / f"{stem}-{number}"


def _remove(staged_dir: Path) -> None:
    """Take away what was staged and did not get to its place."""
    from understudy.files import remove_files

    for where, _, names in os.walk(staged_dir, topdown=False):
        remove_files(Path(where, name) for name in names)
        Path(where).rmdir()
    with contextlib.suppress(OSError):  # others lie there, or there was no trash
        staged_dir.parent.rmdir()
