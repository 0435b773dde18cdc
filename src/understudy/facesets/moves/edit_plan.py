"""The plan of a transaction on disk: there before the first file moves, a record after the last.

A `Plan` in, JSON lines out, and back: first what is done, then one line per move, paths relative to
the folder that holds the faceset. The file's name tells how far it is: `plan.jsonl` while files go
aside, `placing.jsonl` while they go to their targets, `000012.jsonl` as the record of a finished
operation. What is read is checked as a stranger's: no path leaves the folder. Moves nothing itself.
"""

import json
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple  # JSON values

from understudy.errors import FormatError, UnsafeFileError, from_os_error
from understudy.files import fsync, read_bytes, remove_files, write_bytes

EDITS_SUFFIX = "_edits"
_PLAN, _PLACING = "plan.jsonl", "placing.jsonl"
_MAX_BYTES = 1 << 30
_TOKEN_DIGITS = 12


class Pair(NamedTuple):
    """A file's path and the one it gets, relative to the plan's root."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Moves that belong together.

    `undoes` is the number of the record that an undo takes back, 0 for none; `made_dirs` are the
    folders the operation makes, the outer before the inner.
    """

    root: Path
    operation: str
    moves: tuple[Pair, ...]
    number: int = 0
    undoes: int = 0
    made_dirs: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_hex(_TOKEN_DIGITS // 2))

    def aside(self, index: int) -> Path:
        """Hidden name of a file between its old place and its new one."""
        folder = (self.root / self.moves[index].source).parent
        return folder / f".{self.token}-{index:06d}.moving"


def edits_dir(aligned_dir: Path) -> Path:
    """Hidden folder beside the faceset, where plan and records lie."""
    real = aligned_dir.resolve()
    return real.with_name(f".{real.name}{EDITS_SUFFIX}")


def pending(folder: Path) -> Path | None:
    """File of the plan that is not finished, if there is one."""
    return next((folder / n for n in (_PLACING, _PLAN) if (folder / n).is_file()), None)


def is_placing(folder: Path) -> bool:
    """Whether all files are aside and go to their targets now."""
    return (folder / _PLACING).is_file()


def numbers(folder: Path) -> list[int]:
    """Numbers of the finished operations."""
    if not folder.is_dir():
        return []
    return [int(p.stem) for p in folder.glob("*.jsonl") if p.stem.isdecimal() and int(p.stem)]


def next_number(folder: Path) -> int:
    """Number under which the next operation will be recorded."""
    return max(numbers(folder), default=0) + 1


def places_before(folder: Path, number: int) -> list[Path]:
    """Where the files lay that a finished operation moved.

    Raises:
        FormatError: its record is damaged.
    """
    root = folder.parent
    return [root / pair.source for pair in read_record(folder, number, root).moves]


def write(folder: Path, plan: Plan) -> None:
    """Put a plan on disk; from here on it will be carried out."""
    head = {
        "operation": plan.operation,
        "time": round(time.time(), 3),
        "number": plan.number,
        "undoes": plan.undoes,
        "made_dirs": plan.made_dirs,
        "token": plan.token,
    }
    # Escaped, since a file name that is no UTF-8 comes as lone surrogates.
    lines = [json.dumps(head), *(json.dumps(pair) for pair in plan.moves)]
    write_bytes(folder / _PLAN, "".join(line + "\n" for line in lines).encode())


def begin_placing(folder: Path) -> None:
    """All files are aside."""
    (folder / _PLAN).rename(folder / _PLACING)
    fsync(folder)


def end_placing(folder: Path) -> None:
    """All files are aside, on their way back."""
    (folder / _PLACING).rename(folder / _PLAN)
    fsync(folder)


def close(folder: Path, plan: Plan) -> None:
    """The plan is carried out: it becomes a record, or takes away the one it has undone."""
    try:
        if plan.undoes:
            _record(folder, plan.undoes).unlink(missing_ok=True)
            (folder / _PLACING).unlink()
        else:
            (folder / _PLACING).rename(_record(folder, plan.number))
        fsync(folder)
    except OSError as error:
        raise from_os_error(error, folder, doing="write") from error


def drop(folder: Path) -> None:
    """The plan is given up."""
    remove_files([folder / _PLAN])


def read_pending(folder: Path) -> Plan:
    """The plan that is not finished.

    Raises:
        FormatError: there is none, or it is damaged.
        UnsafeFileError: a path leads out of the folder that holds the faceset.
    """
    path = pending(folder) or folder / _PLAN
    return _read(path, folder.parent)


def read_record(folder: Path, number: int, root: Path) -> Plan:
    """A finished operation.

    Raises:
        FormatError: it is damaged.
        UnsafeFileError: a path leads out of `root`.
    """
    return _read(_record(folder, number), root)


def operation_of(folder: Path, number: int) -> str:
    """What a finished operation is called; reads no more than that."""
    path = _record(folder, number)
    try:
        with path.open("rb") as file:
            return str(_head(file.readline(1 << 20), path)["operation"])
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error


def _record(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.jsonl"


def _read(path: Path, root: Path) -> Plan:
    first, *rest = read_bytes(path, limit=_MAX_BYTES).splitlines() or [b""]
    head = _head(first, path)
    try:
        moves = tuple(Pair(*json.loads(line)) for line in rest)
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not all(isinstance(text, str) for pair in moves for text in pair):
        raise _damaged(path, "paths that are no text")
    _check_inside((p for pair in moves for p in pair), root, path)
    _check_inside((f"{folder}/x" for folder in head["made_dirs"]), root, path)
    return Plan(
        root,
        head["operation"],
        moves,
        number=head["number"],
        undoes=head["undoes"],
        made_dirs=tuple(head["made_dirs"]),
        token=head["token"],
    )


def _head(line: bytes, path: Path) -> dict[str, Any]:
    try:
        head = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    kinds = {"operation": str, "number": int, "undoes": int, "made_dirs": list, "token": str}
    if not isinstance(head, dict) or not all(isinstance(head.get(k), v) for k, v in kinds.items()):
        raise _damaged(path, "a first line that is not")
    plain = all(isinstance(folder, str) for folder in head["made_dirs"])
    token_fits = len(head["token"]) == _TOKEN_DIGITS and head["token"].isalnum()
    if not plain or not token_fits:
        raise _damaged(path, "a first line that is not")
    return head


def _check_inside(paths: Iterable[str], root: Path, plan: Path) -> None:
    """Refuse paths that lead out of `root`, by their text or through a link."""
    parents: set[Path] = set()
    for text in paths:
        path = Path(text)  # as this system reads it: a colon is a drive only where there are any
        if not path.parts or ".." in path.parts or path.anchor or "\0" in text:
            raise _leaves(plan, text)
        parents.add((root / path).parent)
    for parent in parents:
        if not parent.resolve().is_relative_to(root):
            raise _leaves(plan, str(parent))


def _leaves(plan: Path, text: str) -> UnsafeFileError:
    return UnsafeFileError(
        plan,
        expected="files of this faceset",
        found=repr(text)[:80],
        remedy="Someone else wrote this plan; remove it.",
    )


def _damaged(path: Path, found: str) -> FormatError:
    return FormatError(
        path,
        expected="a record of moved faces",
        found=found[:80],
        remedy="Restore it from a backup, or remove it: what it moved can't be undone then.",
    )
