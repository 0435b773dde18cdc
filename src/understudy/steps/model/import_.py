"""Take over a model made by DeepFaceLab, or one of another workspace."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from understudy.errors import MaterialError
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.training.state.dfl_files import DflModel


class ImportOptions(StepOptions):
    """Options of `model import`."""

    folder: Path | None = argument(
        "Folder with DeepFaceLab's model files, or of a model of ours; "
        "left out: the workspace's own model folder.",
        default=None,
    )
    name: str | None = option(None, "Name of the model there; needed if there are several.")
    kind: Literal["SAEHD", "AMP", "Quick96", "XSeg"] | None = option(
        None, "Its kind; needed if there are several of that name."
    )
    to: str | None = option(None, "Name it gets here; the same as there if left out.")


def import_(options: ImportOptions, job: Job) -> Report:
    """A model of ours that goes on where the other was: weights, optimizer, options, losses.

    Raises:
        MaterialError: there is no model, or there are several and none was named.
        FileError: the name is taken here.
        StateError: tensors do not fit; nothing is taken over then.
    """
    from understudy.files import make_dir
    from understudy.training.state import shelf, shelf_moves

    model_dir = make_dir(Workspace.open(options.workspace).model_dir)
    shelf_moves.sweep(model_dir)
    folder = options.folder or model_dir
    if (folder / "config.json").exists():
        target = shelf_moves.free_path(model_dir, options.to or folder.name)
        shelf_moves.copy(folder, target, progress=lambda done, total: job.progress(done, total))
        told: list[str] = []
    else:
        source = _choose(folder, options)
        target = shelf_moves.free_path(model_dir, options.to or source.name)
        told = _convert(source, target, job)
    facts = shelf.facts(target)
    details = {"summary": f"imported {facts.line()}", "told": told, "model": facts.as_json()}
    return Report("model import", done=1, outputs=[target], details=details)


def _choose(folder: Path, options: ImportOptions) -> "DflModel":
    """The one model that is meant."""
    from understudy.training.state.dfl_files import find_models

    found = find_models(folder) if folder.is_dir() else []
    fits = [
        model
        for model in found
        if options.name in (None, model.name) and options.kind in (None, model.kind)
    ]
    if len(fits) != 1:
        known = ", ".join(f"{model.name} ({model.kind})" for model in found) or "none"
        raise MaterialError(
            folder,
            expected="one model of DeepFaceLab" if not options.name else f"model {options.name!r}",
            found=known,
            remedy="Say which with --name and --kind." if found else "Check the folder.",
        )
    return fits[0]


def _convert(source: "DflModel", target: Path, job: Job) -> list[str]:
    """Writes the model of ours; what was said of the files it came from."""
    from understudy import files
    from understudy.errors import from_os_error
    from understudy.training.state import import_dfl, shelf_moves
    from understudy.training.state.backups import remove
    from understudy.training.state.model_folder import DFL_OPTIONS, create_model

    told: list[str] = []

    def say(text: str) -> None:
        told.append(text)
        job.message(text)

    state = import_dfl(source.folder, source.name, source.kind, say=say)
    job.check()
    partial = shelf_moves.new_partial(target)
    try:
        made = create_model(partial, state.config)
        files.write_json(partial / DFL_OPTIONS, dict(state.dfl_options))
        made.save(state)
        _keep_preview(source, made.previews_dir, say)
        shelf_moves.place_folder(partial, target)
    except OSError as error:
        raise from_os_error(error, target, doing="write") from error
    finally:
        remove(partial)
    return told


def _keep_preview(source: "DflModel", folder: Path, say: Callable[[str], None]) -> None:
    """Takes the last preview picture along, if one can be read."""
    from understudy.errors import FormatError
    from understudy.files import make_dir
    from understudy.media.images import read_pixels, write_image
    from understudy.training.state.shelf import dfl_preview

    path = dfl_preview(source)
    if path is None:
        return
    try:
        pixels = read_pixels(path)
    except FormatError as error:
        say(f"no preview taken along: {error}")
        return
    write_image(make_dir(folder) / "latest.png", pixels)
