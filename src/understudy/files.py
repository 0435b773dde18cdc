"""Writes that leave the old file or the new one, never a part of either.

Bytes in, a file on disk out: serialise first, write to a temporary name in the same folder, fsync,
rename. Knows nothing of formats.
"""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from understudy.errors import FormatError, from_os_error

TEMPORARY_SUFFIX = ".partial"
_CANT_WAIT = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


def temporary_path(path: Path) -> Path:
    """Unused hidden name beside `path`, with its ending so that encoders know the format."""
    # A name may hold 255 bytes, and a character take four of them.
    return path.with_name(
        f".{path.stem[:40]}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}{path.suffix}"
    )


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Temporary path to write to; takes the place of `path` when the block ends without an error.

    On an error the temporary file is removed and `path` stays as it was. `durable` waits for the
    disk (fsync of file and folder); leave it on for anything that can't be made again cheaply.

    Raises:
        StorageError: the disk is full or the folder can't be written.
    """
    temporary = temporary_path(path)
    try:
        yield temporary
        if durable:
            fsync(temporary)
        temporary.replace(path)
        if durable:
            fsync(path.parent)
    except OSError as error:
        raise from_os_error(error, path, doing="write") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Put `data` in place of whatever `path` held, whole or not at all."""
    with replacing(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any) -> None:  # any JSON value
    """Put `value` as indented UTF-8 JSON in place of whatever `path` held."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    # A file name that is no UTF-8 comes as lone surrogates; their escaped form is JSON's own.
    write_bytes(path, text.encode(errors="backslashreplace"))


def read_bytes(path: Path, *, limit: int | None = None) -> bytes:
    """Content of a file.

    Raises:
        FileError: it can't be read.
        FormatError: it is larger than `limit` bytes.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if limit is not None and size > limit:
                raise FormatError(
                    path,
                    expected=f"at most {limit} bytes",
                    found=f"{size} bytes",
                    remedy="This is not the file it claims to be.",
                )
            return file.read()
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error


def read_json(path: Path, *, limit: int = 64 << 20) -> Any:
    """Value of a JSON file.

    Raises:
        FileError: it can't be read.
        FormatError: it is no JSON.
    """
    try:
        return json.loads(read_bytes(path, limit=limit))
    except (ValueError, RecursionError) as error:
        raise FormatError(
            path,
            expected="JSON",
            found=f"text that is not ({error})",
            remedy="Restore it from a backup, or remove it to begin this part anew.",
        ) from error


def make_dir(path: Path) -> Path:
    """`path` as an existing folder.

    Raises:
        FileError: it can't be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise from_os_error(
            NotADirectoryError(20, "file in the way"), path, doing="write"
        ) from error
    except OSError as error:
        raise from_os_error(error, path, doing="write") from error
    return path


def remove_files(paths: Iterable[Path]) -> None:
    """Take away these files; one that is gone already is no matter.

    Raises:
        FileError: one can't be removed.
    """
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise from_os_error(error, path, doing="write") from error


def remove_leftovers(folder: Path, *, stem: str = "") -> None:
    """Take away what killed writes left in `folder`, or only those of files called `stem`.

    Only for whoever alone writes there.

    Raises:
        FileError: one can't be removed.
    """
    if folder.is_dir():
        begin = f"{stem[:40]}." if stem else ""
        hidden = (p for p in folder.iterdir() if p.name.startswith(".") and p.is_file())
        mine = (p for p in hidden if p.name.lstrip(".").startswith(begin))
        remove_files([p for p in mine if TEMPORARY_SUFFIX in p.name])


def fsync(path: Path) -> None:
    """Wait until a file or folder is on disk; file systems that can't do folders are left alone."""
    # Windows waits only for what is open for writing.
    flags = os.O_RDWR if sys.platform == "win32" else os.O_RDONLY | os.O_CLOEXEC
    try:
        handle = os.open(path, flags)
    except (PermissionError, IsADirectoryError):  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANT_WAIT or not path.is_dir():
            raise
    finally:
        os.close(handle)


def sha256_file(path: Path) -> str:
    """Hex digest of a file's content.

    Raises:
        FileError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error
