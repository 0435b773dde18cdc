"""Small parts that pages are built of: buttons, panels, headings, facts, dialogs that ask.

They carry the theme's classes and the labels that screen readers need.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

from nicegui import ui
from nicegui.element import Element

from understudy.errors import UnderstudyError
from understudy.studio.texts import say

Action = Callable[[], Awaitable[None] | None]


def button(text: str, action: Action, *, kind: str = "plain") -> Element:
    """A button; `kind` is plain, main (one per page) or quiet."""
    made = ui.element("button").classes(f"{kind}-button").props('type="button"')
    with made:
        ui.label(text)
    return made.on("click", action)


@contextmanager
def panel(title: str = "", *, classes: str = "") -> Iterator[Element]:
    """A block with a heading."""
    with ui.element("section").classes(f"panel {classes}") as made:
        if title:
            made.props(f'aria-label="{title}"')
            heading(title)
        yield made


def heading(text: str, *, level: int = 2) -> None:
    """A heading."""
    with ui.element(f"h{level}"):
        ui.label(text)


def facts(rows: Mapping[str, str]) -> None:
    """Names and values, one pair per line."""
    with ui.element("dl").classes("facts"):
        for name, value in rows.items():
            with ui.element("dt"):
                ui.label(name)
            with ui.element("dd"):
                ui.label(value)


def complaint(error: UnderstudyError) -> None:
    """Tell the user what is wrong, for as long as it takes to read."""
    ui.notify(str(error), type="negative", position="bottom", timeout=12_000, multi_line=True,
              close_button=say("parts.close"))  # fmt: skip


def told(text: str) -> None:
    """Tell the user that something was done."""
    ui.notify(text, position="bottom", timeout=4000, color="grey-9")


async def confirmed(question: str, *, yes: str) -> bool:
    """Whether the user says yes."""
    with ui.dialog() as dialog, panel(question):
        with ui.element("div").classes("row-of"):
            button(yes, lambda: dialog.submit(True), kind="main")
            button(say("parts.cancel"), lambda: dialog.submit(False))
    answer = await dialog
    dialog.delete()
    return bool(answer)
