"""Names that faces had when they were extracted: the frame's name and a number.

What is known of each face in, new names out; moves nothing. Source: reference section 10, golden.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from understudy.facesets.dfl.entry_names import plain_name
from understudy.types import FaceSample


@dataclass(frozen=True, slots=True)
class Origin:
    """A face's `name` in the faceset ("alice/00003.jpg"), its frame's file name and its area there.

    `area` is that of the detector's box; 0 where it is unknown.
    """

    name: str
    source_name: str | None
    area: float


def origin_of(name: str, face: FaceSample) -> Origin:
    """What `original_names` has to know of a face.

    Raises:
        UnsafeFileError: the name of its frame leads out of a folder.
    """
    box = face.source_box
    area = 0.0 if box is None else abs(float(box[2] - box[0]) * float(box[3] - box[1]))
    source = plain_name(face.source_name, name) if face.source_name else None
    return Origin(name, source, area)


def original_names(faces: Iterable[Origin], *, dfl_parity: bool = False) -> dict[str, str]:
    """New name of each face that knows its frame, by its present name.

    Faces of one frame are numbered from the largest, as extraction numbers them; with `dfl_parity`
    in the order they come, as DFL does. A face keeps its ending and its person's folder.
    """
    of_frame: dict[tuple[str, str], list[Origin]] = {}
    for face in faces:
        if face.source_name is not None:
            folder = PurePosixPath(face.name).parent.as_posix()
            of_frame.setdefault((folder, face.source_name), []).append(face)
    names: dict[str, str] = {}
    for (_, source), group in of_frame.items():
        # A stable sort: what is of one size, or of unknown size, keeps its order.
        ordered = group if dfl_parity else sorted(group, key=lambda face: -face.area)
        for number, face in enumerate(ordered):
            path = PurePosixPath(face.name)
            new = f"{Path(source).stem}_{number}{path.suffix}"
            names[face.name] = path.with_name(plain_name(new, face.name)).as_posix()
    return _without_clashes(names)


def _without_clashes(names: dict[str, str]) -> dict[str, str]:
    """Frames `a.png` and `a.jpg` give faces of one name: those after the first count on."""
    taken: set[str] = set()
    result: dict[str, str] = {}
    for old, new in names.items():
        path, free = PurePosixPath(new), new
        stem, _, number = path.stem.rpartition("_")
        count = int(number)
        while free in taken:
            count += 1
            free = path.with_name(f"{stem}_{count}{path.suffix}").as_posix()
        taken.add(free)
        result[old] = free
    return result
