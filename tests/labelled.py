"""Facesets with labels drawn on some of their faces."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from made_faceset import make_workspace
from understudy.facesets.dfl import read_face, write_face
from understudy.types import Polygon
from understudy.workspace import Workspace

OVAL = np.array(
    [(64 + 40 * np.cos(a), 66 + 52 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 14)[:-1]],
    np.float32,
)
HAND = np.array([(30, 90), (70, 84), (70, 128), (28, 128)], np.float32)
LABEL = (Polygon(True, OVAL), Polygon(False, HAND))


def label_faces(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        face = read_face(folder / name)
        write_face(folder / name, replace(face, polygons=LABEL), durable=False)


def labelled_workspace(root: Path, *, src: int = 4, labelled: Iterable[int] = (2, 3)) -> Workspace:
    """A workspace whose src has labels on the faces of these numbers."""
    workspace = make_workspace(root, src=src, dst=2)
    label_faces(workspace.src.aligned_dir, [f"{number:05d}_0.jpg" for number in labelled])
    return workspace


def content(folder: Path) -> dict[str, bytes]:
    """Files of a folder and its sub-folders but hidden ones, by name."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    shown = (p for p in files if not any(part[0] == "." for part in p.relative_to(folder).parts))
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in shown}


def pixels_of(path: Path) -> bytes:
    """What a face file holds from its first picture table on: all but its metadata."""
    data = path.read_bytes()
    return data[data.index(b"\xff\xdb") :]
