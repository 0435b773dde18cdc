"""Clips sent by a browser: bounded, written whole or not at all.

The body of a PUT in, `data_src.*` or `data_dst.*` in the workspace out. Nothing of the name the
browser gives is used but its ending.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

from understudy.errors import FileError, OptionError, StorageError
from understudy.files import fsync, replacing
from understudy.workspace import Side

CLIP_SUFFIXES = frozenset(
    {".mp4", ".mov", ".mkv", ".avi", ".mxf", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv"}
)
_SPARE_BYTES = 256 << 20


async def receive_clip(
    side: Side, name: str, chunks: AsyncIterator[bytes], *, size: int, largest: int
) -> Path:
    """The clip of a side, received whole.

    Raises:
        OptionError: it is no clip by its ending, too large, or not of the size it was said to be.
        FileError: the side has a clip.
        StorageError: there is no room for it.
    """
    path = _place(side, name)
    _check_room(side.root, size, largest)
    with replacing(path, durable=False) as temporary:
        received = 0
        with temporary.open("xb") as file:
            async for chunk in chunks:
                received += len(chunk)
                if received > size:
                    break
                await asyncio.to_thread(file.write, chunk)
        if received != size:
            raise OptionError(
                name[:80], expected=f"{size} bytes", found=str(received), remedy="Send it again."
            )
        await asyncio.to_thread(fsync, temporary)
        if side.video() is not None:  # another tab was faster
            raise _has_one(side)
    return path


def _place(side: Side, name: str) -> Path:
    suffix = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    if suffix not in CLIP_SUFFIXES:
        raise OptionError(
            name[:80],
            expected=f"a clip: {', '.join(sorted(CLIP_SUFFIXES))}",
            found=repr(suffix[:12]) if suffix else "no ending",
            remedy="Choose a film.",
        )
    if side.video() is not None:
        raise _has_one(side)
    return side.root / f"data_{side.name}{suffix}"


def _has_one(side: Side) -> FileError:
    return FileError(
        f"data_{side.name}",
        expected=f"no clip of {side.name} yet",
        found=getattr(side.video(), "name", "one"),
        remedy="Make a new workspace for another clip.",
    )


def _check_room(root: Path, size: int, largest: int) -> None:
    if not 0 < size <= largest:
        raise OptionError(
            "clip",
            expected=f"at most {largest / 1e9:.1f} GB and not nothing",
            found=f"{size / 1e9:.3f} GB",
            remedy="Give its path on this machine instead.",
        )
    free = shutil.disk_usage(root).free
    if size + _SPARE_BYTES > free:
        raise StorageError(
            root,
            expected=f"room for {size / 1e9:.1f} GB",
            found=f"{free / 1e9:.1f} GB free",
            remedy="Free some space.",
        )
