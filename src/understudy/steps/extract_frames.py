"""Which frames an extraction works on: a range, every Nth, or some of them once more.

Names of frames and records of earlier runs in, lists of frames out. Deletes and moves nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from understudy.errors import MaterialError, OptionError
from understudy.steps.journal import Journal
from understudy.workspace import Side

Redo = Literal["none", "range", "deleted", "faceless"]


def chosen_frames(
    paths: Sequence[Path], *, first: str, last: str, every: int
) -> tuple[tuple[int, Path], ...]:
    """Frames from `first` to `last`, every Nth, each with its place in the clip, from 0.

    Raises:
        OptionError: one of the two is no frame, or the last comes before the first.
    """
    begin = frame_place(paths, first, "--first") if first else 0
    end = frame_place(paths, last, "--last") if last else len(paths) - 1
    if begin > end:
        raise OptionError(
            "--last",
            expected=f"a frame not before {paths[begin].name}",
            found=paths[end].name,
            remedy="Exchange --first and --last.",
        )
    return tuple(enumerate(paths))[begin : end + 1 : every]


def frame_place(paths: Sequence[Path], wanted: str, flag: str) -> int:
    """Place of the frame of that name, name without ending, or number as in its name."""
    for place, path in enumerate(paths):
        if wanted in (path.name, path.stem):
            return place
    if wanted.isdecimal():
        numbers = [int(path.stem) if path.stem.isdecimal() else None for path in paths]
        if int(wanted) in numbers:
            return numbers.index(int(wanted))
    raise OptionError(
        flag,
        expected=f"a frame's name or number, {paths[0].name} to {paths[-1].name}",
        found=repr(wanted),
        remedy="Look into the frames' folder.",
    )


def frames_to_redo(
    redo: Redo, chosen: Sequence[tuple[int, Path]], journal: Journal, side: Side
) -> list[Path]:
    """Finished frames that are to be done anew.

    Raises:
        MaterialError: debug pictures are what tells, and there are none.
    """
    done = [path for _, path in chosen if path.name in journal.items]
    if redo == "none":
        return []
    if redo == "range":
        return done
    if redo == "faceless":
        return [path for path in done if not journal.items[path.name]["files"]]
    kept = {path.stem for path in side.debug_dir.glob("*.jpg")} if side.debug_dir.is_dir() else {}
    if not kept:
        raise MaterialError(
            side.debug_dir,
            expected="debug pictures, some of them deleted",
            found="none at all",
            remedy="Extract with --debug on, delete the pictures of bad frames, then redo.",
        )
    return [path for path in done if path.stem not in kept]
