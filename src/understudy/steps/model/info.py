"""What one model is and how far it came."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any  # DFL's options are of several plain types

from understudy.job import Job
from understudy.options import argument
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.training.state.shelf import ModelFacts


class InfoOptions(StepOptions):
    """Options of `model info`."""

    model: str = argument("Name of the model.", default="new")


def info(options: InfoOptions, job: Job) -> Report:
    """Shape, iterations, losses, options that are not the usual ones, saves, backups, size.

    Raises:
        FileError: there is no such model.
    """
    from understudy.training.state import shelf, shelf_moves
    from understudy.training.state.dfl_files import find_models, known_data

    model_dir = Workspace.open(options.workspace).model_dir
    theirs = [m for m in find_models(model_dir) if m.name == options.model]
    ours = (model_dir / options.model / "config.json").exists()
    if theirs and not ours:
        facts = shelf.dfl_facts(theirs[0])
        rows = _rows(facts)
        config: dict[str, Any] = {}
        changed = dict(known_data(theirs[0], job.message).options)
    else:
        path = shelf_moves.model_path(model_dir, options.model)
        facts = shelf.facts(path)
        rows = _rows(facts) | _kept(path)
        config = shelf.shape_of(shelf.read_config(path))
        changed = shelf.changed_options(path)
    if facts.preview is not None:
        job.preview(facts.name, facts.preview)
    lines = _aligned(rows)
    for title, values in (("shape", config), ("options that are not the usual ones", changed)):
        if values:
            lines += [f"  {title}:", *(f"  {line}" for line in _aligned(values))]
    return Report(
        "model info",
        done=1,
        details={
            "summary": facts.line(),
            "lines": lines,
            "model": facts.as_json(),
            "config": config,
            "options": {k: str(v) for k, v in changed.items()},
        },
    )


def _rows(facts: "ModelFacts") -> dict[str, object]:
    from understudy.training.state import shelf

    means = [f"{name} {loss:.4f}" for name, loss in (facts.losses or {}).items()]
    rows = {
        "model": facts.shape,
        "iterations": f"{facts.iteration}",
        "training": _hours(facts.seconds) if facts.seconds else "",
        "losses": f"{', '.join(means)} (mean of the last {shelf.RECENT})" if means else "none",
        "likeness": ", ".join(f"{name} {value:.4f}" for name, value in facts.likeness.items()),
        "recipe": facts.phase.removeprefix("recipe "),
        "size": f"{shelf.in_words(facts.bytes)} in all",
        "last preview": str(facts.preview or "none"),
        "trouble": facts.trouble,
    }
    return {name: value for name, value in rows.items() if value}


def _kept(path: Path) -> dict[str, object]:
    """Saves and backups, the newest first."""
    from understudy.training.state import shelf

    return {
        "saves": "; ".join(shelf.saves_of(path / "saves")) or "none",
        "backups": "; ".join(shelf.backups_of(path)) or "none",
    }


def _hours(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}:{minutes:02d} hours"


def _aligned(rows: Mapping[str, object]) -> list[str]:
    width = max(len(name) for name in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows.items()]
