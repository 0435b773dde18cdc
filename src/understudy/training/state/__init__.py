"""A model in training: its state, the folder it is saved in, the way from and to DFL's files."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # to list models on disk needs no torch
    from understudy.training.state.train_state import TrainState


def import_dfl(
    folder: Path, name: str, kind: str, *, say: Callable[[str], None] | None = None
) -> "TrainState":
    """The DFL model `name`, as `dfl_import.import_dfl` reads it.

    Raises:
        OptionError: an unknown kind, or options out of range.
        FileError: the model, or one of its files, is not there.
        FormatError: a file is damaged.
        StateError: tensors do not fit the model that the options describe.
    """
    from understudy.training.state import dfl_import

    return dfl_import.import_dfl(folder, name, kind, say=say)


def export_dfl(state: "TrainState", folder: Path, name: str) -> list[Path]:
    """Writes `state` as the DFL model `name`, as `dfl_import.export_dfl` does.

    Raises:
        OptionError: DFL can't open a model of this kind or name.
        StateError: the model was not trained yet: DFL would begin it anew.
        FileError: a file of that name is there already; nothing is overwritten.
        StorageError: the disk is full or can't be written.
    """
    from understudy.training.state import dfl_import

    return dfl_import.export_dfl(state, folder, name)
