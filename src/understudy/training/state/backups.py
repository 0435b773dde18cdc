"""Backups of a model: whole model folders, numbered from 01, the newest, to 24.

The folder of a model and one of its saves in, a copy on disk out. Saves never change once written,
so large files are shared with the backup where the disk can. Knows nothing of what a save holds.
"""

import secrets
import shutil
from pathlib import Path

from understudy import files
from understudy.errors import FileError, StateError, from_os_error
from understudy.training.state.save_mark import read_mark

BACKUPS_KEPT = 24


def make_backup(model_dir: Path, save_dir: Path) -> Path:
    """Folder 01 of the model's backups, made of one save; older ones move up by one.

    Raises:
        StorageError: the disk is full or can't be written; the older backups hold.
    """
    folder = files.make_dir(model_dir / "backups")
    partial = folder / f".new.{secrets.token_hex(4)}{files.TEMPORARY_SUFFIX}"
    try:
        copied = files.make_dir(partial / "saves" / save_dir.name)
        for file in save_dir.iterdir():
            link_or_copy(file, copied / file.name)
        for name in ("config.json", "history.jsonl", "current.json", "dfl_options.json"):
            if (model_dir / name).exists():
                shutil.copy2(model_dir / name, partial / name)
        for path in partial.rglob("*"):
            files.fsync(path)
        _make_room(folder)
        first = folder / "01"
        partial.rename(first)
        files.fsync(folder)
    except OSError as error:
        raise from_os_error(error, folder, doing="write") from error
    finally:
        remove(partial)
    return first


def backed_up_seconds(model_dir: Path) -> float:
    """How long training had taken when the newest backup was made; 0 if none can be read."""
    newest = (model_dir / "backups" / "01" / "saves").glob("*")
    try:
        return max((read_mark(save).seconds for save in newest), default=0.0)
    except (StateError, FileError):  # then the next one is due
        return 0.0


def _make_room(folder: Path) -> None:
    """Moves 01, 02, ... up to the first gap; the last one drops out."""
    count = 0
    while count < BACKUPS_KEPT and (folder / f"{count + 1:02d}").exists():
        count += 1
    if count == BACKUPS_KEPT:
        remove(folder / f"{count:02d}")
        count -= 1
    for number in range(count, 0, -1):
        (folder / f"{number:02d}").rename(folder / f"{number + 1:02d}")


def link_or_copy(source: Path, target: Path) -> None:
    """The file under another name too, or a copy where the disk can't do that."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def remove(path: Path) -> None:
    """Take away a file or a folder with all in it; nothing if it is not there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def set_aside(path: Path) -> None:
    """Gives what is damaged another name, so that what is new can have its own."""
    if path.exists():
        path.rename(path.with_name(f"{path.name}.damaged.{secrets.token_hex(2)}"))
