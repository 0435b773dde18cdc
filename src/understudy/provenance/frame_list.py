"""The hashes of a folder's pictures in one list, which is signed in their stead.

A folder in; `frames.sha256`, readable by `sha256sum -c`, out; and what no longer fits it. Knows
nothing of manifests or of what the pictures show.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from understudy.errors import FormatError
from understudy.files import read_bytes, sha256_file, write_bytes

LIST_NAME = "frames.sha256"
_LIMIT = 512 << 20
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\\\0]+)")


def list_path(folder: Path) -> Path:
    """Where the list of a folder lies."""
    return folder / LIST_NAME


def write_frame_list(folder: Path, paths: Iterable[Path]) -> Path:
    """The list of these pictures of `folder`, written whole or not at all.

    Raises:
        FileError: a picture can't be read, or the list can't be written.
    """
    lines = [f"{sha256_file(path)}  {path.name}\n" for path in sorted(paths)]
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
    if not found or None in found:
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
    endings = {Path(name).suffix.lower() for name in listed}
    for path in sorted(folder.iterdir()):
        if path.name not in listed and path.suffix.lower() in endings:
            found.append(f"understudy.frames.added: {path.name}")
    return found
