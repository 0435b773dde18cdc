"""Free the space of a model's old saves, backups and previews."""

from collections.abc import Iterable
from pathlib import Path

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
    from understudy.training.state import shelf, shelf_moves

    path = shelf_moves.model_path(Workspace.open(options.workspace).model_dir, options.model)
    spare = shelf_moves.spare(
        path, saves=options.saves, backups=options.backups, previews=options.previews
    )
    sizes = [(one.relative_to(path), shelf.size_of(one)) for one in spare]
    before = shelf.size_of(path)
    things = f"{len(spare)} thing{'' if len(spare) == 1 else 's'}"
    if options.delete:
        shelf_moves.throw_away(spare)
        summary = f"{things} removed, {shelf.in_words(before - shelf.size_of(path))} freed"
    else:
        summary = f"{things} can be spared" + ("; --delete removes them" if spare else "")
    return Report(
        "model prune",
        done=len(spare) if options.delete else 0,
        outputs=[path],
        details={"summary": summary, "lines": _lines(sizes), "bytes_before": before},
    )


def _lines(sizes: Iterable[tuple[Path, int]]) -> list[str]:
    """What can be spared: folders one by one, the pictures of a folder in one line."""
    from understudy.training.state.shelf import in_words

    parts: dict[str, list[int]] = {}
    for path, size in sizes:
        pictures = path.suffix == ".jpg"
        parts.setdefault(str(path.parent if pictures else path), []).append(size)
    return [
        f"  {name}: {f'{len(each)} pictures, ' if len(each) > 1 else ''}{in_words(sum(each))}"
        for name, each in sorted(parts.items())
    ]
