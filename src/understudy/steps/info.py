"""What a workspace holds and what comes next."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.errors import FormatError
from understudy.files import read_json
from understudy.job import Job
from understudy.options import argument
from understudy.steps.frames import are_unfinished
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Side, Workspace

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr")


class InfoOptions(StepOptions):
    """Options of `info`."""

    workspace: Path = argument("Workspace to look at.", default=Path("workspace"))


@dataclass(frozen=True, slots=True)
class _Trained:
    """A model as the user sees it, and how far it is."""

    state: str
    iteration: int = 0
    is_over: bool = True


def info(options: InfoOptions, job: Job) -> Report:
    """Counts of frames, faces, iterations and results, and the next step.

    Raises:
        WorkspaceError: the folder is no workspace.
    """
    from understudy.provenance.consent import read_consent, status_sentence

    workspace = Workspace.open(options.workspace)
    workspace.check_is_one()
    facts: dict[str, Any] = {}
    for side in (workspace.src, workspace.dst):
        facts[f"{side.name}_frames"] = _count(side.frames_dir)
        facts[f"{side.name}_unfinished"] = are_unfinished(workspace, side.name)
        facts |= _faces(side)
    trained = _trained(workspace)
    facts["models"] = {name: model.state for name, model in trained.items()}
    facts["merged"] = _count(workspace.merged_dir)
    facts |= _film(workspace)
    facts["next"] = _next(facts, trained, _session(workspace))
    consent = status_sentence(read_consent(workspace.root))
    lines = [
        *(f"  {name}      {_side_line(facts, name)}" for name in ("src", "dst")),
        *(f"  model    {name}: {state}" for name, state in facts["models"].items()),
        f"  merged   {facts['merged']} of {facts['dst_frames']} frames",
        *([f"  film     {facts['film']}{_age(facts)}"] if facts["film"] else ()),
        f"  consent  {consent.removeprefix('consent: ')}",
        f"  next     {facts['next']}",
    ]
    return Report(
        "info", done=1, details={"lines": lines, "summary": str(options.workspace)} | facts
    )


def _count(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    return sum(p.suffix.lower() in PICTURES for p in folder.iterdir())


def _faces(side: Side) -> dict[str, Any]:
    """Number of faces of a side, and where they lie."""
    pak = side.aligned_dir / "faceset.pak"
    if not pak.exists():
        return {f"{side.name}_faces": _count(side.aligned_dir), f"{side.name}_faces_in": "files"}
    from understudy.facesets.dfl.pack import read_index

    try:
        packed = len(read_index(pak))
    except FormatError as error:  # the rest of the workspace is told all the same
        return {f"{side.name}_faces": 0, f"{side.name}_faces_in": f"unreadable: {error.found}"}
    return {f"{side.name}_faces": packed, f"{side.name}_faces_in": pak.name}


def _side_line(facts: dict[str, Any], name: str) -> str:
    unfinished = " (unfinished)" if facts[f"{name}_unfinished"] else ""
    place = facts[f"{name}_faces_in"]
    where = "" if place == "files" else f" in {place}"
    if place.startswith("unreadable"):
        where = f" (faceset.pak is {place})"
    frames, faces = facts[f"{name}_frames"], facts[f"{name}_faces"]
    return f"{counted(frames, 'frame')}{unfinished}, {counted(faces, 'face')}{where}"


def _trained(workspace: Workspace) -> dict[str, _Trained]:
    models: dict[str, _Trained] = {}
    if not workspace.model_dir.is_dir():
        return models
    for config in sorted(workspace.model_dir.glob("[!.]*/config.json")):
        shape = read_json(config).get("config", {})
        saves = sorted(config.parent.glob("saves/[0-9]*/save.json"))
        save = read_json(saves[-1]) if saves else {}
        asked = saves[-1].with_name("options.json") if saves else None
        limits = read_json(asked) if asked is not None and asked.exists() else {}
        done, seconds = save.get("iteration", 0), save.get("seconds", 0.0)
        to = limits.get("target_iter", 0)
        minutes = limits.get("minutes", 0)
        reached = (to and done >= to) or (minutes and seconds >= 60 * minutes)
        until = f" of {to}" if to else ""
        until += f", {seconds / 60:.1f} of {minutes:g} minutes" if minutes else ""
        what = f"{shape.get('kind')} {shape.get('archi')} {shape.get('resolution')} px"
        models[config.parent.name] = _Trained(
            f"{what}, iteration {done}{until}",
            iteration=done,
            is_over=bool(saves) and bool(reached or not (to or minutes)),
        )
    for data in sorted(workspace.model_dir.glob("*_data.dat")):
        models[data.stem.removesuffix("_data")] = _Trained("a DeepFaceLab model")
    return models


def _session(workspace: Workspace) -> dict[str, Any]:
    """What the merged frames were made with; empty for those another program made."""
    path = workspace.root / "merge.json"
    session = read_json(path) if path.exists() else {}
    return session if isinstance(session, dict) else {}


def _film(workspace: Workspace) -> dict[str, Any]:
    """The film, and whether the frames were merged again after it."""
    asked = (workspace.read_manifest("video") or {}).get("asked", {})
    film = asked.get("out")
    if not film or not Path(film).exists():
        return {"film": None, "film_is_old": False}
    pictures = (p for p in workspace.merged_dir.glob("*") if p.suffix.lower() in PICTURES)
    newest = max((path.stat().st_mtime_ns for path in pictures), default=0)
    old = asked.get("merging") != _session(workspace).get("made_by")
    return {"film": film, "film_is_old": old or newest > asked.get("newest_ns", 0)}


def _age(facts: dict[str, Any]) -> str:
    return " (older than the merged frames)" if facts["film_is_old"] else ""


def _next(facts: dict[str, Any], trained: dict[str, _Trained], session: dict[str, Any]) -> str:
    for side in ("src", "dst"):  # what was begun comes before what was not
        if facts[f"{side}_unfinished"]:
            return f"frames {side}"
    for side in ("src", "dst"):
        if not facts[f"{side}_faces"] and facts[f"{side}_faces_in"] == "files":
            return f"extract {side}" if facts[f"{side}_frames"] else f"frames {side}"
    if not trained or not all(model.is_over for model in trained.values()):
        return "train"
    if not facts["dst_frames"]:
        return "frames dst"
    if facts["merged"] < facts["dst_frames"] or _is_merge_old(trained, session):
        return "merge"
    if not facts["film"] or facts["film_is_old"]:
        return "video"
    return f"nothing: the film is {facts['film']}"


def _is_merge_old(trained: dict[str, _Trained], session: dict[str, Any]) -> bool:
    """Whether merging did not end, or its model was trained on since."""
    facts = session.get("model", {})
    model = trained.get(facts.get("name", ""))
    trained_on = model is not None and facts.get("iteration", 0) < model.iteration
    return trained_on or not session.get("complete", True)
