"""The few choices before a newcomer's first training; the Training page has all of them."""

from typing import Any, get_args  # Any: values of options

from nicegui import ui

from understudy.errors import OptionError, UnderstudyError
from understudy.steps.train import PresetName
from understudy.studio.desk import Opened
from understudy.studio.parts import button, complaint
from understudy.studio.texts import say
from understudy.studio.visit import Visit

_USUAL_MINUTES = 60


def build(visit: Visit, opened: Opened) -> None:
    """What to train and for how long; a model that is there is trained on."""
    models = opened.facts.get("models", {})
    with ui.element("div").classes("row-of"):
        presets = {name: say(f"presets.{name}") for name in get_args(PresetName)}
        preset = None
        if not models:
            preset = ui.select(presets, value="quick96", label=say("home.preset"))
            preset.props("dense outlined options-dense").classes("chooser")
        minutes = ui.number(say("home.minutes"), value=_USUAL_MINUTES, min=1, step=1)
        minutes.props("dense outlined").style("width: 130px")

        def start() -> None:
            try:
                values = _values(opened, preset.value if preset else None, minutes.value)
                visit.desk.jobs.add("train", values, workspace=opened.root)
            except UnderstudyError as error:
                complaint(error)

        button(say("home.button.train"), start, kind="main")


def _values(opened: Opened, preset: str | None, minutes: float | None) -> dict[str, Any]:
    if not minutes or minutes <= 0:
        raise OptionError(
            say("home.minutes"), expected="more than 0", found=repr(minutes), remedy=""
        )
    values: dict[str, Any] = {"workspace": opened.root, "minutes": float(minutes)}
    models = list(opened.facts.get("models", {}))
    if models:
        values["model"] = models[0]
    elif preset:
        values["preset"] = preset
    return values
