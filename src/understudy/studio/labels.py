"""The socket "labels": polygons of faces, read and saved for the Masks page.

Questions: {"id": 7, "do": "face", "side": "src", "name": "00012_0.jpg"}, and so on, one function
each. Answers are JSON, masks PNG. A save that would undo another tab's is answered with what lies
there now instead.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal  # Any: JSON values

from understudy.errors import OptionError
from understudy.steps.mask import editing
from understudy.studio.desk import Opened
from understudy.studio.paths import file_within
from understudy.studio.socket import SOCKETS

MOST_POINTS = 20_000
MOST_NAMES = 500
_FARTHEST_PX = 1e9

Asked = dict[str, Any]
Side = Literal["src", "dst"]


async def answer(opened: Opened, asked: Asked) -> bytes:
    """What was asked for.

    Raises:
        UnderstudyError: the question is none, or can't be answered.
    """
    act = ACTS.get(str(asked.get("do")))
    if act is None:
        raise _no_question("do", f"one of {', '.join(ACTS)}", asked.get("do"))
    return await asyncio.to_thread(act, opened, asked)


def _list(opened: Opened, asked: Asked) -> bytes:
    return _json(editing.editable_faces(opened.workspace, _side(asked)))


def _labelled(opened: Opened, asked: Asked) -> bytes:
    names = asked.get("names")
    if not isinstance(names, list) or len(names) > MOST_NAMES:
        raise _no_question("names", f"a list of up to {MOST_NAMES}", names)
    side = _side(asked)
    checked = [_checked(opened, side, name) for name in names]
    return _json(editing.are_labelled(opened.workspace, side, checked))


def _face(opened: Opened, asked: Asked) -> bytes:
    side = _side(asked)
    return _json(asdict(editing.read_drawn(opened.workspace, side, _name(opened, asked))))


def _save(opened: Opened, asked: Asked) -> bytes:
    side, version = _side(asked), asked.get("version")
    if not isinstance(version, str):
        raise _no_question("version", "that of the labels it changes", version)
    saved = editing.save_drawn(
        opened.workspace,
        side,
        _name(opened, asked),
        _outlines(asked.get("outlines")),
        version=version,
    )
    return _json(asdict(saved))


def _mask(opened: Opened, asked: Asked) -> bytes:
    kind = _one_of(asked, "kind", ("drawn", "applied"))
    side = _side(asked)
    shown: editing.Shown = "drawn" if kind == "drawn" else "applied"
    return editing.mask_png(opened.workspace, side, _name(opened, asked), shown)


def _trace(opened: Opened, asked: Asked) -> bytes:
    kind = _one_of(asked, "kind", ("applied", "hull"))
    side = _side(asked)
    name = _name(opened, asked)
    traced: Literal["applied", "hull"] = "applied" if kind == "applied" else "hull"
    return _json(editing.traced_outlines(opened.workspace, side, name, traced))


def _trash(opened: Opened, asked: Asked) -> bytes:
    editing.trash_face(opened.workspace, _side(asked), _name(opened, asked))
    return _json(None)


def _suggest(opened: Opened, asked: Asked) -> bytes:
    return _json(editing.suggested_faces(opened.workspace, _side(asked), count=20))


ACTS: dict[str, Callable[[Opened, Asked], bytes]] = {
    "list": _list,
    "labelled": _labelled,
    "face": _face,
    "save": _save,
    "mask": _mask,
    "trace": _trace,
    "trash": _trash,
    "suggest": _suggest,
}


def _side(asked: Asked) -> Side:
    return "src" if _one_of(asked, "side", ("src", "dst")) == "src" else "dst"


def _name(opened: Opened, asked: Asked) -> str:
    return _checked(opened, _side(asked), asked.get("name"))


def _checked(opened: Opened, side: Side, name: object) -> str:
    if not isinstance(name, str):
        raise _no_question("name", "a face's name", name)
    file_within(opened.workspace.side(side).aligned_dir, name)
    return name


def _one_of(asked: Asked, key: str, known: tuple[str, ...]) -> str:
    value = asked.get(key)
    if not isinstance(value, str) or value not in known:
        raise _no_question(key, f"one of {', '.join(known)}", value)
    return value


def _outlines(value: object) -> list[editing.Outline]:
    if not isinstance(value, list):
        raise _no_question("outlines", "a list of polygons", value)
    outlines, count = [], 0
    for outline in value:
        include, points = outline if _is_list(outline, 2) else (None, None)
        if not isinstance(include, bool) or not isinstance(points, list):
            raise _no_question("outlines", "pairs of include and points", outline)
        count += len(points)
        if count > MOST_POINTS or not all(_is_point(point) for point in points):
            raise _no_question("points", f"up to {MOST_POINTS} pairs of numbers", points)
        outlines.append((include, [(float(x), float(y)) for x, y in points]))
    return outlines


def _is_list(value: object, length: int) -> bool:
    return isinstance(value, list) and len(value) == length


def _is_point(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    return all(type(part) in (int, float) and abs(part) < _FARTHEST_PX for part in value)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _no_question(key: str, expected: str, found: object) -> OptionError:
    return OptionError(key, expected=expected, found=repr(found)[:80], remedy="Reload the page.")


SOCKETS["labels"] = answer
