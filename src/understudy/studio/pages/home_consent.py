"""The consent record on Home: on whose authority the face is used."""

from nicegui import ui

from understudy.errors import OptionError, UnderstudyError
from understudy.steps.consent import ConsentOptions
from understudy.studio.desk import Opened, answered, ask
from understudy.studio.forms import Form
from understudy.studio.parts import button, complaint, panel, told
from understudy.studio.texts import say
from understudy.studio.visit import Visit
from understudy.types import Report

_FIELDS = ("subject", "basis", "scope", "licence", "document", "expires")


def build(visit: Visit, opened: Opened) -> None:
    """What is recorded, and the form to record it."""
    with panel(say("consent.title")):
        ui.label(say("consent.why")).classes("soft")

        @ui.refreshable
        async def record() -> None:
            report = await answered(
                lambda: ask("consent", workspace=opened.root),
                lambda error: Report("consent", details={"summary": str(error)}),
            )
            ui.label(report.details["summary"]).props('data-consent=""')

        ui.timer(0.01, record, once=True)
        form = Form(ConsentOptions, fields=_FIELDS)

        def save() -> None:
            try:
                values = {**form.values(), "workspace": opened.root}
                if "subject" not in values or "basis" not in values:
                    raise OptionError(
                        "--subject" if "subject" not in values else "--basis",
                        expected=say("consent.both"),
                        found=say("consent.nothing"),
                        remedy="",
                    )
                visit.desk.jobs.add("consent", values, workspace=opened.root)
            except OptionError as error:
                if not form.tell(error):
                    complaint(error)
                return
            except UnderstudyError as error:
                complaint(error)
                return
            told(say("consent.queued"))

        with ui.element("div").classes("row-of"):
            button(say("consent.save"), save)
        seen = visit.desk.jobs.revision

        def look() -> None:
            nonlocal seen
            if visit.desk.jobs.revision != seen:
                seen = visit.desk.jobs.revision
                record.refresh()

        ui.timer(1.0, look)
