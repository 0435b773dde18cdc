"""Free the space of a model's old saves, backups and previews."""

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class PruneOptions(StepOptions):
    """Options of `model prune`."""

    model: str = argument("Name of the model.", default="new")
    saves: int = option(1, "Saves to keep; the one that holds always stays.", ge=1)
    backups: int = option(3, "Backups to keep, the newest.", ge=0)
    previews: int = option(100, "Numbered previews to keep, the newest.", ge=0)
    delete: bool = option(False, "Remove what can be spared; without it, it is only listed.")


def prune(options: PruneOptions, job: Job) -> Report:
    """What can be spared, listed or removed.

    Raises:
        FileError: there is no such model, or something can't be removed.
    """
    from understudy.training import shelf, shelf_moves

    path = shelf_moves.model_path(Workspace.open(options.workspace).model_dir, options.model)
    spare = shelf_moves.spare(
        path, saves=options.saves, backups=options.backups, previews=options.previews
    )
    lines = [f"  {one.relative_to(path)}: {shelf.in_words(shelf.size_of(one))}" for one in spare]
    before = shelf.size_of(path)
    if options.delete:
        shelf_moves.throw_away(spare)
        freed = before - shelf.size_of(path)
        summary = f"{len(spare)} things removed, {shelf.in_words(freed)} freed"
    else:
        summary = f"{len(spare)} things can be spared; --delete removes them"
    return Report(
        "model prune",
        done=len(spare) if options.delete else 0,
        outputs=[path],
        details={"summary": summary, "lines": lines, "bytes_before": before},
    )
