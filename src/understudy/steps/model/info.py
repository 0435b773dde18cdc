"""What one model is and how far it came."""

from typing import Any

from understudy.job import Job
from understudy.options import argument
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class InfoOptions(StepOptions):
    """Options of `model info`."""

    model: str = argument("Name of the model.", default="new")


def info(options: InfoOptions, job: Job) -> Report:
    """Shape, iterations, losses, options that are not the usual ones, saves, backups, size.

    Raises:
        FileError: there is no such model.
    """
    from understudy.training import shelf, shelf_moves
    from understudy.training.dfl_files import find_models, known_data

    model_dir = Workspace.open(options.workspace).model_dir
    theirs = [m for m in find_models(model_dir) if m.name == options.model]
    ours = (model_dir / options.model / "config.json").exists()
    if theirs and not ours:
        facts = shelf.dfl_facts(theirs[0])
        config: dict[str, Any] = {}
        changed = dict(known_data(theirs[0], job.message).options)
    else:
        path = shelf_moves.model_path(model_dir, options.model)
        facts = shelf.facts(path)
        config = shelf.read_config(path).model_dump(mode="json")
        changed = shelf.changed_options(path)
    if facts.preview is not None:
        job.preview(facts.name, facts.preview)
    means = (facts.losses or {}).items()
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in means) or "none"
    rows = {
        "shape": facts.shape,
        "iterations": f"{facts.iteration}, {facts.seconds / 3600:.1f} hours of training",
        "losses": f"{losses} (mean of the last {shelf.RECENT})",
        "size": f"{shelf.in_words(facts.bytes)}, {facts.saves} saves, {facts.backups} backups",
        "preview": str(facts.preview or "none"),
    }
    if facts.trouble:
        rows["trouble"] = facts.trouble
    rows |= {f"  {name}": str(value) for name, value in (config | changed).items()}
    return Report(
        "model info",
        done=1,
        details={
            "summary": facts.line(),
            "lines": [f"  {name:<18}{value}" for name, value in rows.items()],
            "model": facts.as_json(),
            "config": config,
            "options": {k: str(v) for k, v in changed.items()},
        },
    )
