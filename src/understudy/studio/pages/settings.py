"""Settings: what this machine computes on, the face models it has, who signs its films."""

from nicegui import ui

from understudy.errors import UnderstudyError
from understudy.steps.views.signer import Signer, signer
from understudy.studio.asking import ask_child
from understudy.studio.desk import answered, ask
from understudy.studio.parts import button, complaint, facts, panel, told
from understudy.studio.texts import say
from understudy.studio.visit import Page, Visit
from understudy.types import Report


async def build(visit: Visit) -> None:
    """The page."""
    with ui.element("div").classes("column-page"):
        with panel(say("settings.devices")):
            found = ui.element("div")
            with found:
                ui.label(say("settings.looking")).classes("soft")
        with panel(say("settings.weights")):
            await _weights(visit)
        with panel(say("settings.signer")):
            await _signer()

    async def look() -> None:
        report = await ask_child("devices")
        found.clear()
        with found:
            rows = {each["name"]: _device(each) for each in report.get("devices", ())}
            facts(rows | {say("settings.threads"): str(report.get("threads", "?"))})

    ui.timer(0.01, look, once=True)


def _device(each: dict[str, object]) -> str:
    text = str(each["title"])
    free = each["free_bytes"]
    if isinstance(free, int) and free:
        text += ", " + say("settings.free", gigabytes=f"{free / 1e9:.1f}")
    return text + (" · " + say("settings.auto") if each["is_auto"] else "")


async def _weights(visit: Visit) -> None:
    report = await answered(lambda: ask("weights"), _told)
    ui.label(say("settings.weights_why")).classes("soft")
    for line in report.details.get("lines", ()):
        ui.label(line.strip()).classes("num")
    ui.label(report.details["summary"]).classes("soft")

    def fetch() -> None:
        if visit.opened is None:
            told(say("settings.needs_workspace"))
            return
        values = {"action": "get", "workspace": visit.opened.root}
        try:
            visit.desk.jobs.add("weights", values, workspace=visit.opened.root)
        except UnderstudyError as error:
            complaint(error)
            return
        told(say("home.queued"))

    with ui.element("div").classes("row-of"):
        button(say("settings.fetch"), fetch)


async def _signer() -> None:
    found = await answered(_signer_or_why, str)
    if isinstance(found, str):
        ui.label(found).classes("wrong").props("role=alert")
        return
    ui.label(say("settings.own") if found.is_own else say("settings.made")).classes("soft")
    facts(
        {
            say("settings.name"): found.name,
            say("settings.algorithm"): found.algorithm,
            say("settings.certificate"): str(found.certificate),
            say("settings.key"): str(found.private_key),
        }
    )


def _signer_or_why() -> Signer | str:
    return signer()


def _told(error: UnderstudyError) -> Report:
    return Report("weights", details={"summary": str(error)})


PAGE = Page("settings", "/settings", build, needs_workspace=False)
