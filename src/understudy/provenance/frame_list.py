"""The hashes of a folder's files in one list, which is signed in their stead.

A folder in; `frames.sha256`, readable by `sha256sum -c`, out; and what no longer fits it. Files may
lie in folders inside it. Knows nothing of manifests or of what the pictures show.
"""

import glob
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from understudy.errors import FormatError
from understudy.files import read_bytes, sha256_file, write_bytes

LIST_NAME = "frames.sha256"
_LIMIT = 512 << 20
_LINE = re.compile(r"([0-9a-f]{64})  ([^\\\0]+)")


def list_path(folder: Path) -> Path:
    """Where the list of a folder lies."""
    return folder / LIST_NAME


def write_frame_list(folder: Path, paths: Iterable[Path]) -> Path:
    """The list of these files in `folder`, written whole or not at all.

    Raises:
        FileError: one can't be read, or the list can't be written.
    """
    named = sorted((path.relative_to(folder).as_posix(), path) for path in paths)
    lines = [f"{sha256_file(path)}  {name}\n" for name, path in named]
    write_bytes(list_path(folder), "".join(lines).encode(errors="surrogateescape"))
    return list_path(folder)


def read_frame_list(folder: Path) -> dict[str, str]:
    """Hashes by file name.

    Raises:
        FileError: there is no list, or it can't be read.
        FormatError: it is none.
    """
    path = list_path(folder)
    text = read_bytes(path, limit=_LIMIT).decode(errors="surrogateescape")
    found = [_LINE.fullmatch(line) for line in text.splitlines()]
    names = [match[2] for match in found if match]
    if len(names) < len(found) or not names or not all(map(_lies_inside, names)):
        raise FormatError(
            path,
            expected='lines of "sha256  name"',
            found="something else",
            remedy="Restore it from a copy, or deliver the pictures again.",
        )
    return {match[2]: match[1] for match in found if match}


def listed_names(folder: Path) -> tuple[str, ...]:
    """Names in the folder's list; none if there is no list."""
    return tuple(read_frame_list(folder)) if list_path(folder).is_file() else ()


def misfits(folder: Path) -> list[str]:
    """What of the folder is not as its list says: changed, missing or added files.

    Raises:
        FileError, FormatError: there is no list, or it or a picture can't be read.
    """
    listed = read_frame_list(folder)
    found = []
    for name, digest in listed.items():
        path = folder / name
        if not path.is_file():
            found.append(f"understudy.frames.missing: {name}")
        elif sha256_file(path) != digest:
            found.append(f"understudy.frames.changed: {name}")
    kinds = {(PurePosixPath(name).parent, PurePosixPath(name).suffix) for name in listed}
    for parent, suffix in sorted(kinds):
        there = (folder / parent).glob(f"*{glob.escape(suffix)}")
        names = sorted((parent / path.name).as_posix() for path in there)
        found += [f"understudy.frames.added: {name}" for name in names if name not in listed]
    return found


def _lies_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts
