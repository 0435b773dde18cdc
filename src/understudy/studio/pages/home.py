"""Home: the pipeline as a row of rooms with what each holds, what is next, and how to begin."""

from typing import Any  # facts of many kinds

from nicegui import ui

from understudy.errors import UnderstudyError
from understudy.studio.desk import Opened
from understudy.studio.pages import home_consent, home_training, welcome
from understudy.studio.parts import button, complaint, heading, panel, told
from understudy.studio.paths import typed_path
from understudy.studio.texts import say
from understudy.studio.visit import Page, Visit

_LOOK_SECONDS = 1.0
_SIDES = ("src", "dst")


async def build(visit: Visit) -> None:
    """The page."""
    if visit.opened is None:
        welcome.build(visit)
        return
    opened = visit.opened
    await visit.desk.look(opened)
    with ui.element("div").classes("column-page"):
        _workspace_line(opened)

        @ui.refreshable
        def pipeline() -> None:
            if opened.problem:
                ui.label(opened.problem).classes("wrong").props("role=alert")
                return
            _rooms(opened.facts)

        @ui.refreshable
        def following() -> None:
            if opened.facts:
                _next(visit, opened)

        pipeline()
        following()
        with ui.element("div").classes("two"):
            for side in _SIDES:
                _import(visit, opened, side)
        with ui.element("div").classes("two"):
            home_consent.build(visit, opened)
            with ui.element("div").classes("stack"):
                welcome.choices(visit)
    shown = _shown(visit, opened)

    async def look() -> None:
        nonlocal shown
        await visit.desk.look(opened)
        if _shown(visit, opened) != shown:
            shown = _shown(visit, opened)
            pipeline.refresh()
            following.refresh()

    ui.timer(_LOOK_SECONDS, look)


def _shown(visit: Visit, opened: Opened) -> tuple[Any, ...]:
    """What the page's living parts show; they are made anew when it changes."""
    facts = {name: value for name, value in opened.facts.items() if name != "lines"}
    return opened.problem, repr(facts), _is_busy(visit, opened)


def _is_busy(visit: Visit, opened: Opened) -> str:
    jobs = visit.desk.jobs.all(opened.root)
    return next((job.step for job in jobs if job.state in ("running", "waiting")), "")


def _workspace_line(opened: Opened) -> None:
    with ui.element("div"):
        heading(opened.name)
        ui.label(str(opened.root)).classes("soft")


def _rooms(facts: dict[str, Any]) -> None:
    """The row of rooms."""
    following = str(facts["next"]).split()[0]
    models = facts["models"]
    name, state = next(iter(models.items()), ("", ""))
    rooms: tuple[tuple[str, str, list[tuple[str, str]]], ...] = (
        ("frames", "", [(side, _count(facts[f"{side}_frames"])) for side in _SIDES]),
        ("extract", "", [(side, _count(facts[f"{side}_faces"])) for side in _SIDES]),
        ("masks", "", [(side, _labelled(facts, side)) for side in _SIDES]),
        ("train", _iterations(state), [(name, "")] if name else []),
        ("merge", _count(facts["merged"]), [(say("home.of", count=facts["dst_frames"]), "")]),
        ("video", say("home.film_there") if facts["film"] else "–", _film(facts)),
    )
    with ui.element("ol").classes("pipeline").props(f'aria-label="{say("home.pipeline")}"'):
        for key, count, lines in rooms:
            _room(key, count, lines, is_next=key == following)


def _room(key: str, count: str, lines: list[tuple[str, str]], *, is_next: bool) -> None:
    empty = not any(c.isdigit() and c != "0" for c in count + "".join(v for _, v in lines))
    classes = "step" + (" is-next" if is_next else "") + (" is-empty" if empty else "")
    with ui.element("li").classes(classes).props(f'data-room="{key}"'):
        with ui.element("h3"):
            ui.label(say(f"home.room.{key}"))
        if is_next:
            ui.label(say("home.next_mark")).classes("step-mark")
        if count:
            ui.label(count).classes("step-count")
        for name, value in lines:
            with ui.element("div").classes("step-line"):
                ui.label(name)
                if value:
                    ui.label(value).classes("step-count")


def _count(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _labelled(facts: dict[str, Any], side: str) -> str:
    known = facts.get(f"{side}_labelled")
    return "–" if known is None else _count(known)


def _iterations(state: str) -> str:
    if "iteration " not in state:
        return "–" if not state else state
    return _count(int(state.partition("iteration ")[2].split()[0].rstrip(",")))


def _film(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [(say("home.film_old"), "")] if facts["film_is_old"] else []


def _next(visit: Visit, opened: Opened) -> None:
    """What comes next, and the button that does it."""
    step, _, side = str(opened.facts["next"]).partition(" ")
    with panel(classes="next") as block:
        block.props(f'data-next="{step.rstrip(":")}"')
        busy = _is_busy(visit, opened)
        if busy:
            _words(say("home.busy"), say("home.busy_help", step=busy))
            link = ui.link(target=visit.link("/jobs")).classes("text-link")
            link.text = say("home.see_jobs")
        elif step.startswith("nothing"):
            film = str(opened.facts["film"])
            _words(say("home.ready"), film)
        elif step == "frames" and opened.workspace.side(_side(side)).video() is None:
            _words(say(f"home.import.{side}"), say("home.import_help"))
        elif step == "train":
            _words(say("home.do.train"), say("home.help.train"))
            home_training.build(visit, opened)
        else:
            _words(say(f"home.do.{step}", side=side), say(f"home.help.{step}", side=side))
            button(say(f"home.button.{step}", side=side), lambda: _start(visit, opened, step, side),
                   kind="main")  # fmt: skip


def _words(title: str, more: str) -> None:
    with ui.element("div").classes("next-words"):
        heading(title)
        ui.label(more).classes("soft")


def _side(name: str) -> Any:
    return "src" if name == "src" else "dst"


def _start(visit: Visit, opened: Opened, step: str, side: str) -> None:
    values: dict[str, Any] = {"workspace": opened.root}
    if step in ("frames", "extract"):
        values["side"] = side
    if step == "video":
        values["out"] = opened.root / "result.mp4"
        if (opened.root / "result.mp4").exists():
            values["overwrite"] = True
    try:
        visit.desk.jobs.add(step, values, workspace=opened.root)
    except UnderstudyError as error:
        complaint(error)


def _import(visit: Visit, opened: Opened, side: str) -> None:
    """Where a clip is dropped, chosen or named."""
    title = say(f"home.clip.{side}")
    with panel(title):
        there = opened.workspace.side(_side(side)).video()
        frames = opened.facts.get(f"{side}_frames", 0)
        ui.label(there.name if there else say("home.no_clip")).classes("soft")
        with ui.element("div").classes("drop") as drop:
            drop.props(
                f'data-upload="/upload/{opened.key}/{side}" data-side="{side}" '
                f'data-sending="{say("home.sending")}" data-sent="{say("home.sent")}" '
                f'data-failed="{say("home.not_sent")}"'
            )
            ui.label(say("home.drop"))
            picker = f"pick-{side}"
            ui.element("input").props(f'type="file" accept="video/*,.mxf,.mkv" id="{picker}"')
            with ui.element("label").classes("plain-button pick").props(f'for="{picker}"'):
                ui.label(say("home.choose", what=title))
            ui.element("output").props('aria-live="polite"')
        with ui.element("div").classes("path-row"):
            path = ui.input(say("home.path")).props("dense outlined")
            button(say("home.use_path"), lambda: _use_path(visit, opened, side, path.value or ""))
        if frames:
            ui.label(say("home.has_frames", count=_count(frames))).classes("soft")


def _use_path(visit: Visit, opened: Opened, side: str, path: str) -> None:
    try:
        values = {"side": side, "workspace": opened.root, "video": (typed_path(path),)}
        visit.desk.jobs.add("frames", values, workspace=opened.root)
    except UnderstudyError as error:
        complaint(error)
        return
    told(say("home.queued"))


PAGE = Page("home", "/", build, needs_workspace=False, scripts=("drop.js",))
