"""The faces of a folder with what was measured on them, as columns.

A folder in; names and columns of numbers out, worked out in parallel where they are not cached.
Knows nothing of what they are used for.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any  # columns of any type

import cv2
import numpy as np

from understudy.errors import StorageError, from_os_error
from understudy.facesets.faceset import is_picture_name
from understudy.facesets.sorting.cache import FileKey, MeasureCache, cache_path, forget
from understudy.facesets.sorting.look import KINDS, TOGETHER, Look
from understudy.job import Job

COMMIT_SECONDS = 2.0

Column = np.ndarray[Any, np.dtype[Any]]


class Table:
    """Files in order of their names, and columns of numbers about them.

    `columns` holds the fields of all kinds that were measured: "yaw", "blur", "color" and so on.
    """

    def __init__(
        self, aligned_dir: Path, names: Sequence[str], columns: dict[str, Column] | None = None
    ) -> None:
        self.aligned_dir = aligned_dir
        self.names = tuple(names)
        self.columns = columns or {}

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, column: str) -> Column:
        """A column; KeyError if it was not measured."""
        return self.columns[column]

    def path(self, index: int) -> Path:
        """File of a face."""
        return self.aligned_dir / self.names[index]

    def look(self, index: int) -> Look:
        """A closer look at a face."""
        return Look(self.path(index))

    def part(self, indices: Sequence[int] | Column) -> "Table":
        """Some of the files, in the order given."""
        chosen = np.asarray(indices, np.int64)
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return Table(self.aligned_dir, [self.names[i] for i in chosen], columns)


def list_files(aligned_dir: Path) -> list[FileKey]:
    """Picture files of a folder and of its persons' folders, sorted as a faceset is.

    Raises:
        FileError: the folder can't be read.
    """
    try:
        here, folders = _scan(aligned_dir, "")
        for folder in sorted(folders):
            here += _scan(aligned_dir / folder, f"{folder}/")[0]
    except OSError as error:
        raise from_os_error(error, aligned_dir, doing="read") from error
    return here


def _scan(folder: Path, prefix: str) -> tuple[list[FileKey], list[str]]:
    files, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif is_picture_name(entry.name):
                facts = entry.stat()
                key = FileKey(prefix + entry.name, facts.st_size, facts.st_mtime_ns, facts.st_ino)
                files.append(key)
    return sorted(files), folders


def measure(aligned_dir: Path, kinds: Iterable[str], job: Job) -> Table:
    """All pictures of a folder that can be read, with these kinds of measures.

    What is not cached is measured by the job's workers and cached as it comes, so that a stopped
    run goes on where it was. A picture that can't be read is among the job's failures.

    Raises:
        FileError: the folder can't be read.
        StorageError: there is no room for the cache, or another process holds it.
    """
    wanted = list(dict.fromkeys(kinds))
    try:
        return _measured(aligned_dir, wanted, job)
    except sqlite3.OperationalError as error:
        raise StorageError(
            cache_path(aligned_dir),
            expected="a cache of measures that is free",
            found=str(error),
            remedy="Wait for the other process, or stop it.",
        ) from error
    except sqlite3.DatabaseError:  # damaged in the middle
        forget(cache_path(aligned_dir))
        return _measured(aligned_dir, wanted, job)


def _measured(aligned_dir: Path, wanted: Sequence[str], job: Job) -> Table:
    keys = list_files(aligned_dir)
    company = [kind for kind in TOGETHER if set(TOGETHER) & set(wanted) and kind not in wanted]
    with MeasureCache(aligned_dir) as cache:
        cache.know(keys)
        todo: dict[str, list[str]] = {}
        for kind in wanted:
            for name in cache.missing(KINDS[kind]):
                todo.setdefault(name, []).append(kind)
        for kind in company if todo else ():
            for name in set(cache.missing(KINDS[kind])) & todo.keys():
                todo[name].append(kind)
        _measure(aligned_dir, todo, cache, job)
        failed = {failure.item for failure in job.failures}
        names = [key.name for key in keys if key.name not in failed]
        columns: dict[str, Column] = {}
        for kind in wanted:
            rows = cache.load(KINDS[kind], names)
            columns |= {field: rows[field] for field in KINDS[kind].dtype.names or ()}
    return Table(aligned_dir, names, columns)


def _measure(aligned_dir: Path, todo: dict[str, list[str]], cache: MeasureCache, job: Job) -> None:
    def work(name: str) -> dict[str, bytes]:
        look = Look(aligned_dir / name)
        return {kind: KINDS[kind].measure(look).tobytes() for kind in todo[name]}

    fresh: dict[str, dict[str, bytes]] = {}
    last = time.monotonic()
    try:
        with one_thread_each():
            for name, rows in job.map(work, todo, total=len(todo), message="measuring faces"):
                fresh[name] = rows
                if time.monotonic() - last > COMMIT_SECONDS:
                    cache.store(fresh)
                    cache.commit()
                    fresh, last = {}, time.monotonic()
    finally:  # a stopped run keeps what it measured
        cache.store(fresh)


@contextlib.contextmanager
def one_thread_each() -> Iterator[None]:
    """Let OpenCV compute in the thread that calls it: the workers fill the cores already."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
