"""What a workspace holds and what comes next."""

from pathlib import Path
from typing import Any

from understudy.files import read_json
from understudy.job import Job
from understudy.options import argument
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Side, Workspace

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


class InfoOptions(StepOptions):
    """Options of `info`."""

    workspace: Path = argument("Workspace to look at.", default=Path("workspace"))


def info(options: InfoOptions, job: Job) -> Report:
    """Counts of frames, faces, iterations and results, and the next step."""
    from understudy.provenance.consent import read_consent, status_sentence

    workspace = Workspace.open(options.workspace)
    facts: dict[str, Any] = {}
    for side in (workspace.src, workspace.dst):
        facts[f"{side.name}_frames"] = _count(side.frames_dir)
        facts[f"{side.name}_faces"] = _faces(side)
    facts["models"] = _models(workspace)
    facts["merged"] = _count(workspace.merged_dir)
    film = (workspace.read_manifest("video") or {}).get("asked", {}).get("out")
    facts["film"] = film if film and Path(film).exists() else None
    consent = status_sentence(read_consent(workspace.root))
    lines = [
        f"  src      {facts['src_frames']} frames, {facts['src_faces']}",
        f"  dst      {facts['dst_frames']} frames, {facts['dst_faces']}",
        *(f"  model    {name}: {state}" for name, state in facts["models"].items()),
        f"  merged   {facts['merged']} of {facts['dst_frames']} frames",
        f"  {consent}",
        f"  next     {_next(facts)}",
    ]
    return Report(
        "info", done=1, details={"lines": lines, "summary": str(options.workspace)} | facts
    )


def _count(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    return sum(p.suffix.lower() in PICTURES for p in folder.iterdir())


def _faces(side: Side) -> str:
    if (side.aligned_dir / "faceset.pak").exists():
        return "faces in faceset.pak"
    return f"{_count(side.aligned_dir)} faces"


def _models(workspace: Workspace) -> dict[str, str]:
    models: dict[str, str] = {}
    if not workspace.model_dir.is_dir():
        return models
    for config in sorted(workspace.model_dir.glob("[!.]*/config.json")):
        shape = read_json(config).get("config", {})
        saves = sorted(config.parent.glob("saves/[0-9]*/save.json"))
        done = read_json(saves[-1]).get("iteration", 0) if saves else 0
        models[config.parent.name] = (
            f"{shape.get('kind')} {shape.get('archi')} {shape.get('resolution')} px, "
            f"iteration {done}"
        )
    for data in sorted(workspace.model_dir.glob("*_data.dat")):
        models[data.stem.removesuffix("_data")] = "a DeepFaceLab model"
    return models


def _next(facts: dict[str, Any]) -> str:
    for side in ("src", "dst"):
        if not facts[f"{side}_frames"]:
            return f"frames {side}"
        if facts[f"{side}_faces"] == "0 faces":
            return f"extract {side}"
    if not facts["models"]:
        return "train"
    if facts["merged"] < facts["dst_frames"]:
        return "merge"
    return "video" if not facts["film"] else f"nothing: the film is {facts['film']}"
