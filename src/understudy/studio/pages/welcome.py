"""What every page shows while no workspace is open: make one, or open one."""

from nicegui import ui

from understudy.errors import UnderstudyError
from understudy.studio.parts import button, complaint, panel
from understudy.studio.paths import typed_path
from understudy.studio.texts import say
from understudy.studio.visit import Visit


def build(visit: Visit) -> None:
    """The two ways to a workspace."""
    with ui.element("div").classes("column-page"):
        ui.label(say("welcome.lead")).classes("soft")
        with ui.element("div").classes("two"):
            choices(visit)


def choices(visit: Visit) -> None:
    """Panels to make and to open a workspace."""
    with panel(say("welcome.new")):
        ui.label(say("welcome.where", folder=visit.desk.projects)).classes("soft")
        name = ui.input(say("welcome.name"), value="").props("dense outlined")

        def create() -> None:
            try:
                opened = visit.desk.create(name.value or "")
            except UnderstudyError as error:
                complaint(error)
                return
            ui.navigate.to(f"/?w={opened.key}")

        name.on("keydown.enter", create)
        with ui.element("div").classes("row-of"):
            button(say("welcome.make"), create, kind="plain" if visit.opened else "main")
    with panel(say("welcome.open")):
        ui.label(say("welcome.opened_is")).classes("soft")
        path = ui.input(say("welcome.path"), value="").props("dense outlined")

        def open_() -> None:
            try:
                opened = visit.desk.open(typed_path(path.value or ""))
            except UnderstudyError as error:
                complaint(error)
                return
            ui.navigate.to(f"/?w={opened.key}")

        path.on("keydown.enter", open_)
        with ui.element("div").classes("row-of"):
            button(say("welcome.open_it"), open_)
