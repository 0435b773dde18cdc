"""What stands around every page: the rooms on the left, the workspace and the running job above.

A page and a visit in, elements out; the page's own content goes into the block.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from nicegui import ui

from understudy import __version__
from understudy.studio.job_record import JobRecord
from understudy.studio.texts import say
from understudy.studio.visit import Page, Visit

STATIC = Path(__file__).with_name("static")
CANVAS = Path(__file__).with_name("canvas")
GENERAL_KEYS = (("?", "keys.help"), ("1 … 9", "keys.rooms"), ("Esc", "keys.close"))
_TICK_SECONDS = 0.5


@contextmanager
def framed(page: Page, pages: Sequence[Page], visit: Visit) -> Iterator[None]:
    """A block whose elements are the page's content."""
    scripts = "".join(_script(name) for name in ("keys.js", *page.scripts))
    ui.add_head_html(f'<link rel="stylesheet" href="{asset("theme.css")}">{scripts}')
    with ui.element("a").props('href="#content"').classes("skip"):
        ui.label(say("frame.skip"))
    with ui.element("div").classes("frame"):
        _rail(page, pages, visit)
        with ui.element("div").classes("stage"):
            _bar(page, visit)
            with ui.element("main").classes("content").props('id="content" tabindex="-1"'):
                yield
    _help(page)


def asset(name: str) -> str:
    """Address of one of our own files; new when any of them is."""
    return f"/static/{_stamp()}/{name}"


@cache
def _stamp() -> str:
    """Of all files together: modules that import each other share one address."""
    files = (path for folder in (STATIC, CANVAS) if folder.is_dir() for path in folder.iterdir())
    return f"{__version__}-{max(path.stat().st_mtime_ns for path in files):x}"


def _script(name: str) -> str:
    return f'<script type="module" src="{asset(name)}"></script>'


def _rail(page: Page, pages: Sequence[Page], visit: Visit) -> None:
    with ui.element("nav").classes("rail").props(f'aria-label="{say("frame.rooms")}"'):
        ui.label("Understudy").classes("brand")
        for number, each in enumerate(pages, start=1):
            here = each.name == page.name
            link = ui.link(target=visit.link(each.path)).classes("room-link")
            link.props(f'data-key="{number}"' + (' aria-current="page"' if here else ""))
            with link:
                ui.label(say(f"pages.{each.name}.title"))
                ui.label(str(number)).classes("key").props('aria-hidden="true"')
        ui.element("div").classes("spring")
        with ui.element("button").classes("room-link").props('type="button" data-open-help'):
            ui.label(say("keys.title"))
            ui.label("?").classes("key").props('aria-hidden="true"')


def _bar(page: Page, visit: Visit) -> None:
    with ui.element("header").classes("bar"):
        with ui.element("h1"):
            ui.label(say(f"pages.{page.name}.title"))
        names = {each.key: each.name for each in visit.desk.opened}
        if visit.opened is not None:
            chooser = ui.select(names, value=visit.opened.key, label=say("frame.workspace"))
            chooser.props("dense outlined options-dense").classes("chooser")
            chooser.on_value_change(lambda e: ui.navigate.to(f"{page.path}?w={e.value}"))
        ui.element("div").classes("spring")
        _running(visit)


def _running(visit: Visit) -> None:
    with ui.link(target=visit.link("/jobs")).classes("now") as link:
        text = ui.label().classes("now-text")
        bar = ui.linear_progress(value=0, show_value=False, size="4px").props("aria-hidden=true")
    link.props(f'aria-label="{say("frame.now")}"')

    def show() -> None:
        jobs = visit.desk.jobs.all()
        running = [job for job in jobs if job.state == "running"]
        waiting = sum(job.state == "waiting" for job in jobs)
        bar.set_visibility(bool(running))
        if running:
            share = share_of(running[0])
            bar.set_value(share or 0.0)
            bar.props(add="" if share is not None else "indeterminate", remove="indeterminate"
                      if share is not None else "")  # fmt: skip
        text.set_text(_now_text(running, waiting))

    show()
    ui.timer(_TICK_SECONDS, show)


def _now_text(running: list[JobRecord], waiting: int) -> str:
    if not running:
        return say("frame.idle")
    heard = running[0].heard
    count = f"  {heard.done} / {heard.total}" if heard.total else ""
    more = "  " + say("frame.waiting", count=waiting) if waiting else ""
    return f"{heard.step or running[0].step}{count}{more}"


def share_of(job: JobRecord) -> float | None:
    """How much of a job is done, 0 to 1; None if it can't be known."""
    heard = job.heard
    if job.is_over:
        return 1.0 if job.state in ("done", "partly") else 0.0
    return min(1.0, heard.done / heard.total) if heard.total else None


def _help(page: Page) -> None:
    title = say("keys.title")
    has_figures = any(key[0].isdigit() for key, _ in page.keys)  # they come before the rooms'
    general = [(key, text) for key, text in GENERAL_KEYS if not (has_figures and key[0].isdigit())]
    with ui.element("dialog").classes("help").props(f'id="help" aria-label="{title}"'):
        with ui.element("h2"):
            ui.label(title)
        with ui.element("dl"):
            for key, text in (*page.keys, *general):
                with ui.element("dt"), ui.element("kbd"):
                    ui.label(key)
                with ui.element("dd"):
                    ui.label(say(text))
        with ui.element("form").props('method="dialog"'):
            with ui.element("button").classes("plain-button").props("autofocus"):
                ui.label(say("keys.close"))
