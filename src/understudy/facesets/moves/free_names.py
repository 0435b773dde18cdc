"""Names that no file has yet, nor the mask that would lie beside a face of that name."""

import os
from collections.abc import Collection
from pathlib import Path

from understudy.facesets.dfl.face_file import sidecar_path

WITH_SIDECAR = (".jpg", ".jpeg")  # a PNG holds its mask of any size itself


def free_name(path: Path, taken: set[Path], *, leaving: Collection[Path] = ()) -> Path:
    """`path`, or its name with "~2" and so on: one that neither a file nor a strange mask has."""

    def is_taken(name: Path) -> bool:
        return name in taken or (name not in leaving and is_there(name))

    number, name = 2, path
    while is_taken(name) or (path.suffix.lower() in WITH_SIDECAR and is_taken(sidecar_path(name))):
        name = path.with_name(f"{path.stem}~{number}{path.suffix}")
        number += 1
    return name


def is_there(path: Path) -> bool:
    """Whether anything has this name, a link that leads nowhere included."""
    return os.path.lexists(path)
