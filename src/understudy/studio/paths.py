"""Which files the studio touches: those of opened workspaces, and no others.

Names that come from the browser in, paths out. A name is never trusted: no `..`, no absolute
path, no link that leads out of the workspace.
"""

import logging
import re
from pathlib import Path, PurePosixPath

from understudy.errors import FileError

log = logging.getLogger("understudy.studio")

LONGEST_NAME = 1024
_BACKSLASH_OR_CONTROL = re.compile(r"[\\\x00-\x1f\x7f]")
_PLAIN_NAME = re.compile(r"[^\W_][\w .()+-]{0,79}")


def file_within(root: Path, name: str) -> Path:
    """The file `name`, relative and with slashes, in the workspace at `root`.

    It need not exist; what leads there must lie in the workspace.

    Raises:
        FileError: the name leads out of the workspace, or is no name.
    """
    parts = PurePosixPath(name).parts
    bad = not parts or len(name) > LONGEST_NAME or _BACKSLASH_OR_CONTROL.search(name)
    if bad or name.startswith("/") or ".." in parts or ":" in parts[0]:
        raise _refused(name, "a path inside the workspace")
    inside = root.resolve()
    path = inside.joinpath(*parts)
    try:
        there = path.resolve()
    except OSError as error:  # links in a circle
        raise _refused(name, "a file") from error
    if not there.is_relative_to(inside):
        raise _refused(name, "a file inside the workspace, not a link out of it")
    return path


def plain_name(name: str) -> str:
    """`name` as the name of a new file or folder.

    Raises:
        FileError: it holds more than letters, digits, spaces and . ( ) + - _, or is too long.
    """
    name = name.strip()
    if not _PLAIN_NAME.fullmatch(name) or name.endswith("."):
        raise FileError(
            name[:80] or "name",
            expected="up to 80 letters, digits, spaces, dots, dashes",
            found=repr(name[:80]),
            remedy="Choose another name.",
        )
    return name


def typed_path(text: str) -> Path:
    """The existing file or folder of this machine whose whole path a user typed.

    Raises:
        FileError: there is none, or it is no whole path.
    """
    text = text.strip().strip('"')
    path = Path(text).expanduser() if text else Path()
    if len(text) > LONGEST_NAME or "\x00" in text or not path.is_absolute():
        raise FileError(
            text[:120] or "path",
            expected="a whole path on the machine the studio runs on",
            found=repr(text[:120]) if text else "nothing",
            remedy="Such as /shows/job/lead.mp4.",
        )
    if not path.exists():
        raise FileError(
            path, expected="a file or folder", found="nothing", remedy="Check the path."
        )
    return path


def _refused(name: str, expected: str) -> FileError:
    log.warning("refused path %r: expected %s", name[:120], expected)
    return FileError(
        name[:120] or "path", expected=expected, found="another", remedy="Open its workspace first."
    )
