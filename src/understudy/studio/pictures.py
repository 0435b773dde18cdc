"""The socket "pictures": frames and faces as JPEG, for canvases that scrub through them.

Question: {"id": 7, "name": "data_dst/00012.png", "height": 720}.
"""

import asyncio
from collections import OrderedDict
from pathlib import Path
from typing import Any  # JSON values

from understudy.errors import OptionError
from understudy.steps.views.pictures import shown_picture
from understudy.studio.desk import Opened
from understudy.studio.paths import file_within
from understudy.studio.socket import SOCKETS

LARGEST_PX = 4320
_HELD_BYTES = 256 << 20


class Held:
    """Pictures that were shown lately, a bounded number of bytes of them."""

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._held: OrderedDict[tuple[Path, int, int], bytes] = OrderedDict()

    def get(self, key: tuple[Path, int, int]) -> bytes | None:
        """The picture, now the last one to go."""
        if key in self._held:
            self._held.move_to_end(key)
        return self._held.get(key)

    def put(self, key: tuple[Path, int, int], data: bytes) -> None:
        """Hold one more; the oldest go."""
        self._size += len(data) - len(self._held.pop(key, b""))
        self._held[key] = data
        while self._size > self._limit:
            _, gone = self._held.popitem(last=False)
            self._size -= len(gone)


_SHOWN = Held(_HELD_BYTES)


async def answer(opened: Opened, asked: dict[str, Any]) -> bytes:
    """The picture asked for.

    Raises:
        OptionError: the question is none.
        FileError, FormatError: there is no such picture in the workspace.
    """
    name, height = asked.get("name"), asked.get("height")
    if not isinstance(name, str) or type(height) is not int or not 16 <= height <= LARGEST_PX:
        raise OptionError(
            "picture",
            expected=f"a name and a height of 16 to {LARGEST_PX}",
            found=repr(asked)[:120],
            remedy="Reload the page.",
        )
    path = file_within(opened.root, name)
    return await picture(path, height=height)


async def picture(path: Path, *, height: int) -> bytes:
    """JPEG of a file, from memory where it was shown lately and has not changed."""
    stamp = path.stat().st_mtime_ns if path.exists() else 0
    key = (path, stamp, height)
    data = _SHOWN.get(key)
    if data is None:
        data = await asyncio.to_thread(shown_picture, path, height=height)
        _SHOWN.put(key, data)
    return data


SOCKETS["pictures"] = answer
