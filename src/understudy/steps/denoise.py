"""Less noise in the frames of a clip, averaged over time; the originals are kept and come back."""

import functools
import hashlib
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from understudy.errors import MaterialError, OptionError, from_os_error
from understudy.files import make_dir, remove_leftovers, replacing, sha256_file, write_bytes
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.journal import Journal
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import SideName, Workspace

ORIGINALS = "original"
_VERSION = 1
_HELD = 12  # decoded frames kept for their neighbours
_JPEG_QUALITY = 97


class DenoiseOptions(StepOptions):
    """Options of `denoise`."""

    side: SideName = argument("Whose frames: src or dst.")
    factor: float = option(
        7.0, "Differences up to so many of 255 levels count as noise.", ge=1, le=20
    )
    undo: bool = option(False, "Put the original frames back.")


def denoise(options: DenoiseOptions, job: Job) -> Report:
    """Frames with less noise in the place of the originals, which lie in the folder `original`.

    Each frame is replaced in one go, after its original was put aside; started again, the step goes
    on where it was. Another factor begins from the originals.

    Raises:
        MaterialError: there are no frames, or nothing to undo.
        OptionError: frames and originals do not belong together.
    """
    from understudy.media.images import list_images

    workspace = Workspace.open(options.workspace)
    folder = workspace.side(options.side).frames_dir
    frames = list_images(folder) if folder.is_dir() else []
    journal = Journal(workspace.manifests_dir / f"denoise_{options.side}.jsonl")
    if not journal.header:
        journal.begin({"version": _VERSION})
    if not frames:
        raise MaterialError(
            folder,
            expected="frames",
            found="none",
            remedy=f"First: understudy frames {options.side} --workspace {workspace.root}",
        )
    floats = [frame for frame in frames if frame.suffix.lower() == ".exr"]
    if floats:
        raise OptionError(
            floats[0],
            expected="frames of 8 or 16 bits",
            found="OpenEXR",
            remedy="Denoise it where it was graded; its floats are not touched here.",
        )
    shelf = Shelf(folder, journal)
    remove_leftovers(folder)
    hashes = {frame: shelf.checked(frame) for frame in frames}
    if options.undo:
        return _undo(options, shelf)
    for frame in frames:
        job.check()
        shelf.keep(frame)
    todo = [frame for frame in frames if not shelf.is_done(frame, hashes[frame], options.factor)]
    cleaner = Cleaner(shelf, frames, options.factor)
    with journal:
        cleaned = job.map(
            cleaner.clean, todo, total=len(frames), done_before=len(frames) - len(todo)
        )
        done = sum(1 for _ in cleaned)
    return Report(
        "denoise",
        done=done,
        skipped=len(frames) - len(todo),
        outputs=[folder],
        details={
            "summary": f"{counted(len(frames), 'frame')} of {options.side} with less noise",
            "unit": "frame",
            "originals": str(shelf.originals),
        },
    )


class Shelf:
    """The originals beside the frames, and which frames were made by this step."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self.originals = folder / ORIGINALS
        self._folder, self._journal = folder, journal

    def original(self, frame: Path) -> Path:
        """Where the original of a frame lies once it was put aside."""
        return self.originals / frame.name

    def checked(self, frame: Path) -> str:
        """Hash of what lies in a frame's place.

        Raises:
            OptionError: it is neither its original nor made from it.
        """
        digest, kept = sha256_file(frame), self.original(frame)
        if not kept.exists():
            return digest
        row = self._journal.items.get(frame.name, {})
        if digest in (row.get("sha256"), row.get("before")) or digest == sha256_file(kept):
            return digest
        raise OptionError(
            kept,
            expected=f"the original of {frame.name}",
            found="one of another frame: the frames were made anew, or changed by hand",
            remedy=f"Move {self.originals} away, if its pictures are no longer needed.",
        )

    def is_done(self, frame: Path, digest: str, factor: float) -> bool:
        """Whether what lies there was made by this step with this factor."""
        row = self._journal.items.get(frame.name, {})
        return row.get("sha256") == digest and row.get("factor") == factor

    def keep(self, frame: Path) -> None:
        """Put the original aside, unless it is; the frame stays in its place meanwhile."""
        kept = self.original(frame)
        if kept.exists():
            return
        make_dir(self.originals)
        try:
            os.link(frame, kept)
        except OSError:  # a file system without hard links
            with replacing(kept, durable=False) as temporary:
                shutil.copyfile(frame, temporary)

    def put(self, frame: Path, data: bytes, factor: float) -> None:
        """Replace a frame, saying so first: a kill leaves the one before, and known as that."""
        digest, before = hashlib.sha256(data).hexdigest(), sha256_file(frame)
        self._journal.add(frame.name, sha256=digest, before=before, factor=factor)
        write_bytes(frame, data, durable=False)

    def restore(self) -> int:
        """Number of originals put back into their places."""
        kept = sorted(self.originals.iterdir()) if self.originals.is_dir() else []
        for path in kept:
            try:
                path.replace(self._folder / path.name)
            except OSError as error:
                raise from_os_error(error, path, doing="write") from error
        if self.originals.is_dir():
            self.originals.rmdir()
        self._journal.begin({"version": _VERSION})
        return len(kept)


class Cleaner:
    """Makes one frame after another from the originals around it."""

    def __init__(self, shelf: Shelf, frames: Sequence[Path], factor: float) -> None:
        from understudy.media.images import read_pixels

        self._shelf, self._frames, self._factor = shelf, frames, factor
        self._places = {frame: place for place, frame in enumerate(frames)}
        self._writing = threading.Lock()
        self._read = functools.lru_cache(maxsize=_HELD)(read_pixels)

    def clean(self, frame: Path) -> None:
        """Replace a frame."""
        from understudy.imaging.temporal import RADIUS, denoise_middle
        from understudy.media.images import encode_picture

        place = self._places[frame]
        first = max(place - RADIUS, 0)
        around = self._frames[first : place + RADIUS + 1]
        pictures = [self._read(self._shelf.original(each)) for each in around]
        middle = place - first
        same = [p if p.shape == pictures[middle].shape else pictures[middle] for p in pictures]
        cleaned = denoise_middle(same, middle, strength=self._factor)
        data = encode_picture(cleaned, frame.suffix, jpeg_quality=_JPEG_QUALITY)
        with self._writing:
            self._shelf.put(frame, data, self._factor)


def _undo(options: DenoiseOptions, shelf: Shelf) -> Report:
    if not shelf.originals.is_dir():
        raise MaterialError(
            shelf.originals,
            expected="original frames to put back",
            found="none",
            remedy="There is nothing to undo.",
        )
    count = shelf.restore()
    return Report(
        "denoise",
        done=count,
        details={"summary": f"{counted(count, 'original')} of {options.side} put back"},
    )
