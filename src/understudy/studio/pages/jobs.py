"""Jobs: what waits, runs and has ended; its progress, log and report; stop and once more."""

import datetime
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nicegui import ui

from understudy.errors import UnderstudyError
from understudy.studio.frame import share_of
from understudy.studio.job_record import JobRecord
from understudy.studio.parts import button, complaint, facts, heading
from understudy.studio.texts import say
from understudy.studio.visit import Page, Visit

_LOOK_SECONDS = 0.5
_SHOWN = 50


@dataclass(slots=True)
class _Card:
    """The elements of one job that live."""

    state: str
    bar: ui.linear_progress
    words: ui.label
    time: ui.label
    more: ui.element
    open: bool = False
    log: ui.label | None = None
    text: str = field(default="")


def build(visit: Visit) -> None:
    """The page."""
    jobs = visit.desk.jobs
    cards: dict[tuple[str, str], _Card] = {}

    @ui.refreshable
    def listing() -> None:
        was_open = {key for key, card in cards.items() if card.open}
        cards.clear()
        newest = list(reversed(jobs.all()))[:_SHOWN]
        if not newest:
            ui.label(say("jobs.none")).classes("soft")
        for job in newest:
            key = (str(job.workspace), job.key)
            cards[key] = _card(visit, job, is_open=key in was_open)

    with ui.element("div").classes("column-page").props('aria-live="off"'):
        listing()
    shown = _states(visit)

    def look() -> None:
        nonlocal shown
        now = _states(visit)
        if now != shown:
            shown = now
            listing.refresh()
        for job in jobs.all():
            card = cards.get((str(job.workspace), job.key))
            if card is not None and job.state == "running":
                _update(card, job)

    ui.timer(_LOOK_SECONDS, look)


def _states(visit: Visit) -> list[tuple[str, str, str]]:
    return [(str(job.workspace), job.key, job.state) for job in visit.desk.jobs.all()]


def _card(visit: Visit, job: JobRecord, *, is_open: bool) -> _Card:
    label = f"{job.step} {job.values.get('side', '')}".strip()
    with ui.element("article").classes("panel job") as article:
        article.props(f'data-job="{job.key}" data-state="{job.state}" aria-label="{label}"')
        with ui.element("div").classes("job-head"):
            with ui.element("h2").classes("job-title"):
                ui.label(label)
            ui.label(say(f"jobs.state.{job.state}")).classes(f"state is-{job.state}")
            ui.label(job.workspace.name).classes("soft")
            ui.element("div").classes("spring")
            ui.label(_clock(job.created)).classes("soft num")
            _buttons(visit, job)
        with ui.element("div").classes("job-progress"):
            bar = ui.linear_progress(value=share_of(job) or 0.0, show_value=False, size="4px")
            bar.props('aria-hidden="true"').set_visibility(job.state == "running")
            time_label = ui.label().classes("num")
        words = ui.label().classes("soft num")
        if job.state in ("failed", "lost", "partly"):
            ui.label(_reason(job)).classes("wrong").props("role=alert")
        more = ui.element("div").classes("column-page")
        card = _Card(job.state, bar, words, time_label, more)
        with ui.element("div").classes("row-of"):
            toggle = button(say("jobs.details"), lambda: _toggle(card, job, toggle), kind="quiet")
            toggle.props('aria-expanded="false"')
    _update(card, job)
    if is_open:
        _toggle(card, job, toggle)
    return card


def _buttons(visit: Visit, job: JobRecord) -> None:
    jobs = visit.desk.jobs

    def retry() -> None:
        try:
            jobs.retry(job)
        except UnderstudyError as error:
            complaint(error)

    def tell(command: str) -> None:
        try:
            jobs.tell(job, {"command": command})
        except UnderstudyError as error:
            complaint(error)

    if job.state == "running":
        _pausing(tell)
    if job.state in ("running", "waiting"):
        text = say("jobs.stop") if job.state == "running" else say("jobs.remove")
        button(text, lambda: jobs.cancel(job)).props('data-do="cancel"')
    else:
        button(say("jobs.retry"), retry).props('data-do="retry"')


def _pausing(tell: Callable[[str], None]) -> None:
    """A button that pauses, then lets go on."""

    def turn() -> None:
        paused = made.props.get("aria-pressed") != "true"
        tell("pause" if paused else "resume")
        made.props(f'aria-pressed="{"true" if paused else "false"}"')
        text.set_text(say("jobs.go_on") if paused else say("jobs.pause"))

    made = ui.element("button").classes("plain-button")
    made.props('type="button" aria-pressed="false" data-do="pause"').on("click", turn)
    with made:
        text = ui.label(say("jobs.pause"))


def _update(card: _Card, job: JobRecord) -> None:
    heard = job.heard
    share = share_of(job)
    card.bar.set_value(share or 0.0)
    if job.state == "running" and share is None:
        card.bar.props(add="indeterminate")
    else:
        card.bar.props(remove="indeterminate")
    count = f"{heard.done} / {heard.total}" if heard.total else ""
    inner = heard.step if heard.step != job.step else ""
    parts = [count, inner, heard.text] if job.state == "running" else [_summary(job)]
    card.words.set_text("   ".join(part for part in parts if part))
    card.time.set_text(_time(job))
    if card.log is not None:
        text = job.log_tail()
        if text != card.text:
            card.text = text
            card.log.set_text(text or say("jobs.no_log"))


def _toggle(card: _Card, job: JobRecord, toggle: ui.element) -> None:
    card.open = not card.open
    toggle.props(f'aria-expanded="{"true" if card.open else "false"}"')
    card.more.clear()
    card.log, card.text = None, ""
    if not card.open:
        return
    with card.more:
        values = {name: _value(value) for name, value in job.values.items()}
        facts(values)
        report = job.heard.report
        if report:
            heading(say("jobs.report"), level=3)
            with ui.element("pre").classes("log").props('tabindex="0" data-report=""'):
                ui.label(json.dumps(report, indent=1, ensure_ascii=False))
        heading(say("jobs.log"), level=3)
        with ui.element("pre").classes("log").props('tabindex="0" data-log=""'):
            card.log = ui.label()
    _update(card, job)


def _summary(job: JobRecord) -> str:
    report = job.heard.report or {}
    return str(report.get("details", {}).get("summary", ""))


def _reason(job: JobRecord) -> str:
    failed = (job.heard.report or {}).get("failed", [])
    if job.state == "partly" and failed:
        first = failed[0]
        return say("jobs.partly", count=len(failed), item=first["item"], reason=first["reason"])
    return job.reason() or say("jobs.no_reason")


def _time(job: JobRecord) -> str:
    if job.state == "running":
        left = job.heard.seconds_left
        if left is None:
            left = _guess(job)
        return say("jobs.left", time=_span(left)) if left is not None else ""
    if job.ended and job.heard.started:
        return _span(job.ended - job.heard.started)
    return ""


def _guess(job: JobRecord) -> float | None:
    heard = job.heard
    if not heard.total or not heard.done or not heard.started:
        return None
    return (time.time() - heard.started) / heard.done * (heard.total - heard.done)


def _span(seconds: float) -> str:
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _clock(moment: float) -> str:
    local = datetime.datetime.fromtimestamp(moment).astimezone()
    today = datetime.datetime.now().astimezone().date()
    return local.strftime("%H:%M" if local.date() == today else "%d %b %H:%M")


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


PAGE = Page("jobs", "/jobs", build, needs_workspace=False)
