"""Numbers measured on faces, kept beside the faceset so that no face is measured twice.

File names with sizes and times in, rows of numbers out, and back, through one SQLite file in a
hidden folder beside the faceset. A face counts as known by its size, time and inode, or by its
size, time and name: so neither a new name nor a copy of the workspace makes it unknown. What the
file holds can be made again: a damaged one is put away and begun anew. Knows not what is measured.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple  # rows of SQL and numpy

import numpy as np

from understudy.errors import FileError, StorageError
from understudy.facesets.sorting.look import KINDS, Kind
from understudy.files import make_dir, remove_files

MEASURES_SUFFIX = "_measures"
_FILE = "measures.sqlite"
_FORGOTTEN_AT_LEAST = 1000
_PATIENCE_SECONDS = 60.0  # while another process measures the same faces


class FileKey(NamedTuple):
    """What tells a file from its other versions."""

    name: str
    size: int
    mtime_ns: int
    inode: int


def cache_path(aligned_dir: Path) -> Path:
    """File that holds the measures of a faceset."""
    real = aligned_dir.resolve()
    return real.with_name(f".{real.name}{MEASURES_SUFFIX}") / _FILE


def forget(path: Path) -> None:
    """Remove a cache that can't be read: that is no loss, only work."""
    remove_files([path, path.with_name(path.name + "-journal")])


class _Comparison(NamedTuple):
    """Files against rows: ids of known files, new files, other names of known ones, rows left."""

    ids: dict[str, int]
    new: list[tuple[bytes, FileKey]]
    changed: list[tuple[bytes, int, int]]
    gone: set[int]
    first_free: int

    @property
    def forgettable(self) -> bool:
        """Whether those that are gone are many: a few may come back out of the trash."""
        return len(self.gone) >= max(_FORGOTTEN_AT_LEAST, len(self.ids) + len(self.new))

    @property
    def is_news(self) -> bool:
        return bool(self.new or self.changed or self.forgettable)


class MeasureCache:
    """Measures of one faceset. Use as a context: leaving it writes what was stored.

    Where the folder can't be written, measures last as long as the process.
    """

    def __init__(self, aligned_dir: Path) -> None:
        self.path = cache_path(aligned_dir)
        self._ids: dict[str, int] = {}
        self._sql = sqlite3.connect(":memory:")

    def __enter__(self) -> "MeasureCache":
        try:
            make_dir(self.path.parent)
            self._open(str(self.path))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                self._sql.close()
                raise  # another process is at work on it: no damage
            self._begin_anew()
        except sqlite3.DatabaseError:
            self._begin_anew()
        except FileError:
            self._open(":memory:")
        return self

    def _begin_anew(self) -> None:
        try:
            self._sql.close()
            forget(self.path)
            self._open(str(self.path))
        except (sqlite3.DatabaseError, FileError):
            self._open(":memory:")

    def _open(self, database: str) -> None:
        self._sql = sqlite3.connect(database, isolation_level="DEFERRED", timeout=_PATIENCE_SECONDS)
        self._check_writable(database)
        run = self._sql.execute
        run("PRAGMA trusted_schema = OFF")
        run("PRAGMA synchronous = NORMAL")
        there = set()
        for kind, name, statement in run("SELECT type, name, sql FROM sqlite_master").fetchall():
            if kind != "table" or statement != _TABLES.get(name, statement):
                # A stranger's: it could make a plain question run for ever.
                raise sqlite3.DatabaseError(f"{kind} {name} is not ours")
            if name in _TABLES:
                there.add(name)
            elif name.isidentifier():  # of an older version of a measure
                run(f"DROP TABLE {name}")
        for name, statement in _TABLES.items():
            if name not in there:
                run(statement)
        self._sql.commit()

    def _check_writable(self, database: str) -> None:
        """Go on with a copy in memory, where what is kept on disk can only be read."""
        if Path(database).exists() and not os.access(database, os.W_OK):
            kept, self._sql = self._sql, sqlite3.connect(":memory:", isolation_level="DEFERRED")
            with contextlib.closing(kept):
                kept.backup(self._sql)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.commit()
        finally:
            self._sql.close()

    def commit(self) -> None:
        """Put what was stored on disk.

        Raises:
            StorageError: the disk is full.
        """
        try:
            self._sql.commit()
        except sqlite3.OperationalError as error:
            raise self._no_room(error) from error

    def know(self, keys: Sequence[FileKey]) -> None:
        """Say which files there are; those known under another name get the new one."""
        found = self._compare(keys)
        if found.is_news:
            self._sql.execute("BEGIN IMMEDIATE")  # another process may be learning of them, too
            self._learn(self._compare(keys))
            self.commit()  # and need not wait while faces are measured here
            found = self._compare(keys)
        self._ids = found.ids

    def _compare(self, keys: Sequence[FileKey]) -> "_Comparison":
        """What the cache knows of these files."""
        rows = self._sql.execute("SELECT id, name, size, mtime, inode FROM files").fetchall()
        by_inode: dict[tuple[Any, ...], int] = {}
        by_name: dict[tuple[Any, ...], int] = {}
        names: dict[int, tuple[bytes, int]] = {}
        for number, name, size, mtime, inode in rows:
            by_inode[size, mtime, inode] = by_name[size, mtime, name] = number
            names[number] = name, inode
        found = _Comparison({}, [], [], set(names), first_free=max(names, default=0) + 1)
        # Whoever still has both name and inode comes first: a copy must not take its row.
        for key in sorted(keys, key=lambda k: (k.size, k.mtime_ns, k.inode) not in by_inode):
            name = os.fsencode(key.name)
            number = by_inode.get((key.size, key.mtime_ns, key.inode), -1)
            if number not in found.gone:
                number = by_name.get((key.size, key.mtime_ns, name), -1)
            if number not in found.gone:
                found.new.append((name, key))
                continue
            found.gone.remove(number)
            found.ids[key.name] = number
            if names[number] != (name, key.inode):
                found.changed.append((name, key.inode, number))
        return found

    def _learn(self, found: "_Comparison") -> None:
        self._write("UPDATE files SET name = ?, inode = ? WHERE id = ?", found.changed)
        numbered = enumerate(found.new, found.first_free)
        added = [(n, name, k.size, k.mtime_ns, k.inode) for n, (name, k) in numbered]
        self._write("INSERT INTO files VALUES (?, ?, ?, ?, ?)", added)
        rows = [(number,) for number in found.gone] if found.forgettable else []
        for table in ("files", *(_table(kind) for kind in KINDS.values())):
            self._write(f"DELETE FROM {table} WHERE id = ?", rows)  # noqa: S608 - names of ours

    def missing(self, kind: Kind) -> list[str]:
        """Files given to `know` that were never measured so."""
        query = f"SELECT id FROM {_table(kind)}"  # noqa: S608 - a name of ours
        found = {number for (number,) in self._sql.execute(query)}
        return [name for name, number in self._ids.items() if number not in found]

    def load(self, kind: Kind, names: Sequence[str]) -> np.ndarray[Any, np.dtype[Any]]:
        """Rows of a kind for some of the files given to `know`; 0 for those never measured."""
        rows = np.zeros(len(names), kind.dtype)
        place = {self._ids[name]: index for index, name in enumerate(names)}
        size = kind.dtype.itemsize
        target = rows.view(np.uint8).reshape(len(names), size)
        query = f"SELECT id, value FROM {_table(kind)}"  # noqa: S608 - a name of ours
        for number, value in self._sql.execute(query):
            index = place.get(number)
            if index is not None and len(value) == size:
                target[index] = np.frombuffer(value, np.uint8)
        return rows

    def store(self, values: Mapping[str, Mapping[str, bytes]]) -> None:
        """Keep rows, by file and kind."""
        for kind in KINDS.values():
            rows = [(self._ids[n], row[kind.name]) for n, row in values.items() if kind.name in row]
            self._write(f"INSERT OR REPLACE INTO {_table(kind)} VALUES (?, ?)", rows)  # noqa: S608

    def _write(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        try:
            self._sql.executemany(statement, rows)
        except sqlite3.OperationalError as error:
            raise self._no_room(error) from error

    def _no_room(self, error: sqlite3.OperationalError) -> StorageError:
        return StorageError(
            self.path,
            expected="room to keep measures",
            found=str(error),
            remedy="Free some space and start again: finished work is kept.",
        )


def _table(kind: Kind) -> str:
    return f"{kind.name}_{kind.version}"


_TABLES = {
    "files": "CREATE TABLE files (id INTEGER PRIMARY KEY, name BLOB NOT NULL,"
    " size INTEGER NOT NULL, mtime INTEGER NOT NULL, inode INTEGER NOT NULL)"
} | {
    _table(kind): f"CREATE TABLE {_table(kind)} (id INTEGER PRIMARY KEY, value BLOB NOT NULL CHECK"
    f" (typeof(value) = 'blob' AND length(value) = {kind.dtype.itemsize}))"
    for kind in KINDS.values()
}
