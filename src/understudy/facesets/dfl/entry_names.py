"""Whether a name that came out of a file may be a file's name here.

Text or a path in, the same or an error out. Files from strangers name other files: faces in a pak,
faces in saved metadata. Such a name must be one plain name by the rules of every system, so that it
leads nowhere; and no folder that came with them may be a link out of the faceset.
"""

import os
import re
import sys
from pathlib import Path

from understudy.errors import UnsafeFileError

MAX_NAME_BYTES = 240  # of the 255 a name may have, some are needed while writing

_DRIVE = re.compile(r"^[A-Za-z]:")
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"}
)
_NOT_ON_WINDOWS = frozenset('<>:"|?*')


def plain_name(name: str, source: Path | str) -> str:
    """`name`, if it is a single name that leads out of no folder on any system.

    Raises:
        UnsafeFileError: it is a path, a device, or holds signs no name holds; `source` named it.
    """
    reason = _fault(name)
    if reason is None:
        return name
    raise UnsafeFileError(
        source,
        expected="plain file names inside",
        found=f"{reason}: {name[:80]!r}",
        remedy="Do not trust this file; nothing was written.",
    )


def inside(path: Path, folder: Path) -> Path:
    """`path`, if what is written there lies in `folder`: a stranger's folder may be a link.

    Raises:
        UnsafeFileError: it lies elsewhere.
    """
    parent = path.parent.resolve()
    if parent.is_relative_to(folder.resolve()):
        return path
    raise UnsafeFileError(
        path,
        expected=f"a folder inside {folder}",
        found=f"a link to {parent}",
        remedy="Remove the link.",
    )


def _fault(name: str) -> str | None:
    if name in ("", ".", ".."):
        return "no name"
    if "/" in name or "\\" in name or _DRIVE.match(name):
        return "a path"
    if any(ord(sign) < 32 or sign == "\x7f" for sign in name):
        return "a control sign in a name"
    try:
        size = len(os.fsencode(name))
    except UnicodeEncodeError:
        return "half a sign in a name"
    if size > MAX_NAME_BYTES:
        return "a name too long"
    if name.partition(".")[0].rstrip().lower() in _DEVICES:
        return "the name of a device"
    if name[-1] in ". " or name[0] == " ":
        return "a name that ends or begins with a blank"
    if sys.platform == "win32" and _NOT_ON_WINDOWS.intersection(name):
        return "a sign no name holds here"
    return None
