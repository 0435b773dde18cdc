"""What an editor of labels asks of a faceset: faces, their polygons and masks; and one way to save.

Names of faces in the folder `aligned_dir` in, values a page can be sent out. A save names the
version of the labels it changes, so that what another tab or program drew since is never lost.
Knows no browser.
"""

import hashlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from understudy.job import Job
from understudy.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

    from understudy.masks.labels import Labels
    from understudy.masks.polygons import Outlines
    from understudy.types import FaceSample

SideName = Literal["src", "dst"]
Outline = tuple[bool, list[tuple[float, float]]]
"""Whether a polygon includes, and its points, x then y, in pixels of the face."""

Shown = Literal["drawn", "applied"]

_WRITING = threading.Lock()  # the workspace's lock keeps out processes, not threads of this one


@dataclass(frozen=True, slots=True)
class Drawn:
    """Labels of a face, and their version: the same for the same polygons."""

    version: str
    outlines: list[Outline]
    has_mask: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a save: written, or refused because `now` lies there meanwhile."""

    is_written: bool
    now: Drawn


def editable_faces(workspace: Workspace, side: SideName) -> list[str]:
    """Names of a side's faces in order, with the person's folder before them.

    Raises:
        MaterialError: there is no such folder.
        FileError: the faces are in a pak.
    """
    from understudy.facesets.faceset import list_loose
    from understudy.facesets.moves.edit import recover
    from understudy.steps.faceset.measured import refuse_pak

    folder = workspace.faceset_dir(side)
    refuse_pak(folder, side)
    recover(folder)
    return [face.name for face in list_loose(folder)]


def read_drawn(workspace: Workspace, side: SideName, name: str) -> Drawn:
    """The labels of a face.

    Raises:
        FileError: it can't be read.
        FormatError: it is no face.
    """
    return _drawn(_face(workspace, side, name))


def are_labelled(workspace: Workspace, side: SideName, names: Iterable[str]) -> list[int]:
    """For each face 1 if it has labels, 0 if not, -1 if it is no face or gone."""
    return [_is_labelled(workspace, side, name) for name in names]


def save_drawn(
    workspace: Workspace, side: SideName, name: str, outlines: list[Outline], *, version: str
) -> Saved:
    """The face with these labels, if those it has are still of that version.

    What they were can be taken back (`LabelHistory`).

    Raises:
        WorkspaceBusyError: another process works in the workspace.
        FileError: the face can't be read.
        FormatError: it is no face, or can't hold these polygons; nothing was touched.
        StorageError: it can't be written.
    """
    from understudy.masks.labels import LabelHistory

    with _WRITING, workspace.lock():
        now = read_drawn(workspace, side, name)
        if now.version != version:
            return Saved(False, now)
        history = LabelHistory(workspace.faceset_dir(side))
        history.write(name, _polygons(outlines))
        return Saved(True, read_drawn(workspace, side, name))


def mask_png(workspace: Workspace, side: SideName, name: str, kind: Shown) -> bytes:
    """The applied mask, or the one its polygons draw, as a grey PNG of the face's size.

    Raises:
        FileError, FormatError: it can't be read, or is no face.
        MaterialError: it has no such mask.
    """
    from understudy.masks.face_masks import face_mask
    from understudy.media.images import encode_picture

    mask, _ = face_mask(_face(workspace, side, name), kind)
    return encode_picture((mask.clip(0, 1) * 255).round().astype("uint8"), ".png")


def traced_outlines(
    workspace: Workspace, side: SideName, name: str, kind: Literal["applied", "hull"]
) -> list[Outline]:
    """Polygons of the applied mask or of the landmarks' hull; nothing is written.

    Raises:
        FileError, FormatError: the face can't be read, or is none.
        MaterialError: it has no such mask.
    """
    from understudy.masks.face_masks import face_mask
    from understudy.masks.outlines import trace_polygons

    mask, _ = face_mask(_face(workspace, side, name), kind)
    return _outlines(trace_polygons(mask).polygons)


def trash_face(workspace: Workspace, side: SideName, name: str) -> None:
    """Move a face to the trash beside the faceset; `understudy faceset undo` brings it back.

    Raises:
        WorkspaceBusyError: another process works in the workspace.
        FileError: there is no such face.
        StorageError: it can't be moved.
    """
    from understudy.facesets.moves.edit import apply_moves, trash_moves

    path = _path(workspace, side, name)
    folder = workspace.faceset_dir(side)
    with _WRITING, workspace.lock():
        apply_moves(folder, trash_moves(folder, [path]), operation="reject")


def suggested_faces(workspace: Workspace, side: SideName, *, count: int) -> list[str]:
    """Names of the faces that are worth a label next, the most wanted first.

    Raises:
        MaterialError: there are no faces, or all have labels.
        FileError: the faces are in a pak.
    """
    from understudy.steps.mask.suggest import SuggestOptions, suggest

    options = SuggestOptions(workspace=workspace.root, faces=side, num=count)
    report = suggest(options, Job("mask suggest", workers=1))
    return [str(name) for name in report.details["suggested"]]


def _path(workspace: Workspace, side: SideName, name: str) -> Path:
    from understudy.facesets.dfl.entry_names import inside

    folder = workspace.faceset_dir(side)
    return inside(folder / name, folder)


def _face(workspace: Workspace, side: SideName, name: str) -> "FaceSample":
    from understudy.facesets.dfl import read_face

    return read_face(_path(workspace, side, name))


def _is_labelled(workspace: Workspace, side: SideName, name: str) -> int:
    from understudy.errors import FileError, FormatError
    from understudy.masks.polygons import is_labelled

    try:
        return int(is_labelled(_face(workspace, side, name).polygons))
    except (FileError, FormatError):
        return -1


def _drawn(face: "FaceSample") -> Drawn:
    outlines = _outlines(face.polygons)
    digest = hashlib.blake2b(repr(outlines).encode(), digest_size=12)
    return Drawn(digest.hexdigest(), outlines, face.mask is not None)


def _outlines(polygons: "Outlines") -> list[Outline]:
    return [(bool(include), _pairs(points)) for include, points in polygons if len(points)]


def _pairs(points: "np.ndarray") -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in points]


def _polygons(outlines: list[Outline]) -> "Labels":
    import numpy as np

    from understudy.types import Polygon

    return tuple(
        Polygon(include, np.array(points, np.float32).reshape(-1, 2))
        for include, points in outlines
    )
