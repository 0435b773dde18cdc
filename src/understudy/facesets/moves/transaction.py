"""A plan of moves carried out: all of them or none, and gone on with after a kill.

A plan that is on disk in, files under their new names out. Knows nothing of faces, nor of what the
moves are for.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from understudy.errors import FileError, StorageError, from_os_error
from understudy.facesets.moves import edit_plan
from understudy.facesets.moves.edit_plan import Plan
from understudy.facesets.moves.free_names import free_name, is_there
from understudy.files import fsync, make_dir
from understudy.workspace import Workspace


@contextlib.contextmanager
def locked(aligned_dir: Path) -> Iterator[Path]:
    """The folder of records, held for this process: a plan is never finished by two at once."""
    edits_dir = make_dir(edit_plan.edits_dir(aligned_dir))
    with Workspace(edits_dir).lock():
        yield edits_dir


def finish_pending(edits_dir: Path) -> str | None:
    """The operation that a killed process left half done and that is finished now; else None.

    Raises:
        FormatError: the plan is damaged or asks for something no plan may ask for.
        StorageError: a file can't be moved; all are back under their old names.
    """
    if edit_plan.pending(edits_dir) is None:
        return None
    plan = edit_plan.read_pending(edits_dir)
    run(edits_dir, plan)
    return plan.operation


def run(edits_dir: Path, plan: Plan) -> None:
    """All moves of a plan that is on disk, or none of them if one can't be done.

    Raises:
        StorageError: a file can't be moved; those moved before are back.
    """
    try:
        _carry_out(edits_dir, plan)
    except (OSError, FileError) as error:
        try:
            _take_back(edits_dir, plan)
        except OSError as again:  # the plan stays; the next attempt goes on with it
            raise from_os_error(again, plan.root, doing="write") from again
        if isinstance(error, OSError):
            raise from_os_error(error, plan.root, doing="write") from error
        raise
    edit_plan.close(edits_dir, plan)


def _carry_out(edits_dir: Path, plan: Plan) -> None:
    """The moves of a plan from wherever an earlier attempt was stopped.

    First every file goes aside under a hidden name, then each to its target. The plan's own name
    says which of the two is under way, so that a name that is both source and target is never
    taken for the wrong file.
    """
    if not edit_plan.is_placing(edits_dir):
        for index, pair in enumerate(plan.moves):
            if not plan.aside(index).exists() and (plan.root / pair.source).exists():
                _rename(plan.root / pair.source, plan.aside(index))
        _sync(plan)
        edit_plan.begin_placing(edits_dir)
    for index, pair in enumerate(plan.moves):
        if plan.aside(index).exists():
            _place(plan.aside(index), plan.root / pair.target)
    if plan.undoes:
        _remove_empty(plan)
    _sync(plan)


def _place(aside: Path, target: Path) -> None:
    make_dir(target.parent)
    if is_there(target):
        raise StorageError(
            target,
            expected="a free name",
            found="a file that was put there meanwhile",
            remedy="Nothing was moved; start again when no other program writes there.",
        )
    _rename(aside, target)


def _take_back(edits_dir: Path, plan: Plan) -> None:
    """Every file under its old name again, after a move failed."""
    if edit_plan.is_placing(edits_dir):
        for index, pair in enumerate(plan.moves):
            # A file still aside was not placed: what lies at its target is another's.
            if not plan.aside(index).exists() and (plan.root / pair.target).exists():
                _rename(plan.root / pair.target, plan.aside(index))
        _sync(plan)
        edit_plan.end_placing(edits_dir)
    for index, pair in enumerate(plan.moves):
        if plan.aside(index).exists():
            _rename(plan.aside(index), free_name(plan.root / pair.source, set()))
    _sync(plan)
    edit_plan.drop(edits_dir)


def _rename(source: Path, target: Path) -> None:
    source.rename(target)


def _sync(plan: Plan) -> None:
    folders = {(plan.root / p).parent for pair in plan.moves for p in (pair.source, pair.target)}
    for folder in sorted(folders):
        if folder.is_dir():
            fsync(folder)


def _remove_empty(plan: Plan) -> None:
    """Take away the folders the undone operation had made, unless something lies in them."""
    for folder in reversed(plan.made_dirs):
        path = plan.root / folder
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
