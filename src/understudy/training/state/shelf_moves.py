"""Moving models about: renamed, copied, put into the trash, cut down to what is needed.

Folders in, moved folders out. Nothing is overwritten; what is deleted goes to a trash folder, and
only what pruning spares is removed for good. No tensor is read and torch is not loaded.
"""

import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from understudy import files
from understudy.errors import FileError, OptionError, from_os_error
from understudy.training.state.backups import link_or_copy, remove
from understudy.training.state.dfl_files import find_models
from understudy.training.state.shelf import current_save, numbered, our_models

TRASH = "model_trash"
_LEFTOVERS = f".*{files.TEMPORARY_SUFFIX}*"


def model_path(model_dir: Path, name: str) -> Path:
    """Folder of the model called `name`.

    Raises:
        FileError: there is none.
    """
    path = model_dir / name
    if name and path.parent == model_dir and (path / "config.json").exists():
        return path
    theirs = [model for model in find_models(model_dir) if model.name == name]
    known = ", ".join(path.name for path in our_models(model_dir)) or "none"
    take_over = f'First take it over: understudy model import --name "{name}" --to NAME'
    raise FileError(
        path,
        expected=f"one of the models here ({known})",
        found="files of DeepFaceLab, which are left to it" if theirs else "nothing",
        remedy=take_over if theirs else "Check the name.",
    )


def free_path(model_dir: Path, name: str) -> Path:
    """Folder for a new model called `name`.

    Raises:
        OptionError: no folder can be called that.
        FileError: there is something of that name.
    """
    if not name or name.strip(" .") != name or set(name) & set('/\\:*?"<>|\0'):
        raise OptionError(
            "name of a model",
            expected="a name a folder can have, without slash or wildcard",
            found=repr(name),
            remedy="Choose another name.",
        )
    path = model_dir / name
    if path.exists():
        raise FileError(
            path, expected="a free name", found="a model", remedy="Choose another name."
        )
    return path


def rename(model_dir: Path, old: str, new: str) -> Path:
    """Folder of the model under its new name.

    Raises:
        FileError: there is no such model, or the name is taken.
    """
    source, target = model_path(model_dir, old), free_path(model_dir, new)
    _move(source, target)
    return target


def delete(model_dir: Path, name: str) -> Path:
    """Where in the trash the model lies now.

    Raises:
        FileError: there is no such model, or it can't be moved.
    """
    source = model_path(model_dir, name)
    trash = files.make_dir(model_dir.parent / TRASH)
    target, number = trash / name, 2
    while target.exists():
        target, number = trash / f"{name} ({number})", number + 1
    _move(source, target)
    return target


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
        files.fsync(target.parent)
        files.fsync(source.parent)
    except OSError as error:
        raise from_os_error(error, source, doing="write") from error


def copy(source: Path, target: Path, *, progress: Callable[[int, int], None]) -> Path:
    """A copy of the model folder `source` at `target`, whole or not at all; backups stay behind.

    Saves never change once written, so the copy shares them where the disk can.

    Raises:
        FileError: something can't be read or written.
    """
    parts = [p for p in sorted(source.rglob("*")) if _belongs(p.relative_to(source))]
    partial = new_partial(target)
    try:
        partial.mkdir()
        for place, path in enumerate(parts):
            progress(place, len(parts))
            at = partial / path.relative_to(source)
            if path.is_dir():
                at.mkdir()
            elif "saves" in path.relative_to(source).parts:
                link_or_copy(path, at)
            else:
                shutil.copy2(path, at)
                files.fsync(at)
        place_folder(partial, target)
    except OSError as error:
        raise from_os_error(error, target, doing="write") from error
    finally:
        remove(partial)
    return target


def _belongs(path: Path) -> bool:
    """Whether something in a model's folder is part of it."""
    return path.parts[0] != "backups" and files.TEMPORARY_SUFFIX not in str(path)


def sweep(model_dir: Path) -> None:
    """Removes what killed copies and imports left; only for whoever holds the workspace."""
    for left in model_dir.glob(_LEFTOVERS):
        remove(left)


def new_partial(target: Path) -> Path:
    """Hidden name beside `target` for a folder that is being made."""
    tag = f"{secrets.token_hex(4)}{files.TEMPORARY_SUFFIX}"
    return target.with_name(f".{target.name[:40]}.{tag}")


def place_folder(partial: Path, target: Path) -> None:
    """Gives the finished folder its name."""
    for path in partial.rglob("*"):
        if path.is_dir():
            files.fsync(path)
    files.fsync(partial)
    partial.rename(target)
    files.fsync(target.parent)


def spare(path: Path, *, saves: int, backups: int, previews: int) -> list[Path]:
    """What the model in folder `path` can do without, when this many of each are to stay.

    The save that holds always stays, and so does the latest preview.
    """
    holds = current_save(path)
    older = sorted(numbered(path / "saves"), key=lambda folder: int(folder.name), reverse=True)
    if not holds or not (path / "saves" / holds).is_dir():
        holds = older[0].name if older else ""
    older = [folder for folder in older if folder.name != holds]
    shown = [path / "previews", *(p for p in (path / "previews").glob("*") if p.is_dir())]
    pictures = [sorted(folder.glob("[0-9]*.jpg"), reverse=True)[previews:] for folder in shown]
    broken = [*path.glob("*.damaged.*"), *(path / "saves").glob("*.damaged.*")]
    left = [p for f in (path, path / "saves", path / "backups") for p in f.glob(_LEFTOVERS)]
    return [
        *older[max(0, saves - 1) :],
        *numbered(path / "backups")[backups:],
        *(picture for folder in pictures for picture in folder),
        *broken,
        *left,
    ]


def throw_away(paths: Iterable[Path]) -> None:
    """Removes these for good.

    Raises:
        FileError: one can't be removed; the rest may be gone.
    """
    for path in paths:
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise from_os_error(error, path, doing="write") from error
