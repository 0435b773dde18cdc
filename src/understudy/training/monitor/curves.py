"""Curves of training as TensorBoard shows them, written beside our own history.

Events of a job in, event files in a folder out; the package tensorboard is loaded only where they
are asked for. Knows no training: what is drawn are the numbers and pictures the job is told.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy import files
from understudy.errors import OptionError
from understudy.job import Event, Job
from understudy.media.images import read_pixels

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def check_tensorboard() -> None:
    """Nothing, if the package that writes event files is installed; it is not loaded to know.

    Raises:
        OptionError: it is not.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise OptionError(
            "--tensorboard",
            expected="the package tensorboard",
            found="none",
            remedy='Install it with: pip install "understudy[tensorboard]", or leave this out.',
        )


@contextmanager
def drawing(folder: Path, job: Job, *, after: int, wanted: bool) -> Iterator[None]:
    """Writes what `job` is told of iterations beyond `after` to event files in `folder`, if wanted.

    Raises:
        OptionError: the package tensorboard is not installed.
        FileError: the folder can't be written.
    """
    if not wanted:
        yield
        return
    check_tensorboard()
    curves = Curves(files.make_dir(folder), after=after)
    try:
        with job.heard_by(curves):
            yield
    finally:
        curves.close()


class Curves:
    """A sink that draws numbers and previews of iterations.

    TensorBoard shows the last of several runs through the same iterations: after a save was taken
    up again, or training went back to one, what was drawn beyond it no longer counts.
    """

    def __init__(self, folder: Path, *, after: int) -> None:
        self._folder, self._last = folder, after
        self._writer = self._open(after + 1)

    def __call__(self, event: Event) -> None:
        """Draw one event; others than numbers and previews of an iteration are passed over."""
        step = event.data.get("step")
        if event.kind not in ("metric", "preview") or step is None:
            return
        if step < self._last:
            self._writer.close()
            self._writer = self._open(step)
        self._last = step
        if event.kind == "metric":
            self._writer.add_scalar(_tag(event.data["name"]), event.data["value"], step)
        else:
            self._add_picture(event.data["name"], Path(event.data["path"]), step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

    def _open(self, step: int) -> "SummaryWriter":
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(self._folder, purge_step=step)

    def _add_picture(self, name: str, newest: Path, step: int) -> None:
        """The preview kept under this number, if it was: all of them would fill the disk."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        kept = newest.with_name(f"{step:07d}.jpg")
        if not kept.exists():
            return
        height, width, _ = read_pixels(kept).shape
        image = Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=kept.read_bytes()
        )
        value = Summary.Value(tag=f"previews/{name}", image=image)
        writer: Any = self._writer.file_writer  # torch does not say what it is
        writer.add_summary(Summary(value=[value]), step)


def _tag(name: str) -> str:
    """Name of a curve; curves of one sort stand together: "src loss" becomes "loss/src"."""
    first, _, sort = name.partition(" ")
    return f"{sort}/{first}" if sort else name
