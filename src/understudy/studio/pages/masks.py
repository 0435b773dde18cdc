"""Masks: the polygons of every face, drawn and changed by hand; saved as they are drawn.

The canvas and all it does stand in `static/mask_*.js`; this page gives it its texts and words.
"""

import json

from nicegui import ui

from understudy.studio.frame import asset
from understudy.studio.texts import say
from understudy.studio.visit import Page, Visit

_WORDS = (
    *("side", "src", "dst", "kind", "include", "exclude", "undo", "redo", "delete", "trash"),
    *("views", "edit", "baked", "applied", "overlay", "colour", "red", "green", "blue"),
    *("from_previous", "from_next", "trace_applied", "trace_hull", "suggest", "suggest_help"),
    *("previous", "next", "jump", "fit", "canvas", "make", "pace", "no_faces", "no_mask"),
    *("no_labels", "no_such", "labelled", "saved", "saving", "unsaved", "retry"),
    *("conflict", "take_theirs", "keep_mine", "lost", "taken_over", "copied_none", "trashed"),
    *("mode_none", "mode_draw", "mode_points", "mode_change", "view_help"),
)

_KEYS = (
    ("A  D", "masks.key.step"),
    ("Shift A  D", "masks.key.leap"),
    ("Ctrl A  D", "masks.key.labelled"),
    ("Click", "masks.key.click"),
    ("Ctrl click", "masks.key.ctrl"),
    ("Enter", "masks.key.close"),
    ("Esc", "masks.key.leave"),
    ("Arrows", "masks.key.nudge"),
    ("Space", "masks.key.place"),
    ("N  .  ,", "masks.key.choose"),
    ("Delete", "masks.key.delete"),
    ("Ctrl Z", "masks.key.undo"),
    ("Ctrl Shift Z", "masks.key.redo"),
    ("Q  W", "masks.key.kind"),
    ("1  2  3", "masks.key.colour"),
    ("4  5", "masks.key.views"),
    ("`", "masks.key.overlay"),
    ("C  V", "masks.key.copy"),
    ("S", "masks.key.suggest"),
    ("Wheel", "masks.key.zoom"),
    ("Middle drag", "masks.key.pan"),
    ("Shift", "masks.key.centre"),
    ("F", "masks.key.fit"),
    ("G", "masks.key.jump"),
    ("X", "masks.key.trash"),
)


def build(visit: Visit) -> None:
    """The page."""
    ui.add_head_html(f'<link rel="stylesheet" href="{asset("masks.css")}">')
    texts = {word: say(f"masks.{word}") for word in _WORDS}
    host = ui.element("div").classes("mask-editor")
    host.props["id"] = "mask-editor"
    host.props["data-texts"] = json.dumps(texts)
    host.props["data-workspace"] = visit.opened.key if visit.opened else ""


PAGE = Page("masks", "/masks", build, keys=_KEYS, scripts=("mask_editor.js",))
