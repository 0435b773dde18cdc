"""Gather the labelled faces of a faceset in a folder of their own."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.faceset.left_out import tell_left_out
from understudy.steps.faceset.measured import refuse_pak
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.facesets.faceset import Faceset

SUFFIX = "_xseg"

Found = Literal["labelled", "older", "there", "unlabelled"]
"""A face, by its labels and by what is in the place of its copy: nothing, another, the same."""


class FetchOptions(StepOptions):
    """Options of `mask fetch`."""

    faces: str = argument("Which faces: src, dst or a folder.")
    out: Path | None = option(
        None,
        "Folder for the copies; if not given, aligned_xseg beside the faceset.",
        group="Output",
    )
    replace: bool = option(
        False,
        "Put newer versions in the place of copies fetched before; those go to the trash beside "
        "the copies.",
        group="Output",
    )
    delete_originals: bool = option(
        False,
        "Move the fetched faces out of the faceset, to the trash beside it; understudy faceset "
        "undo brings them back.",
    )


def fetch(options: FetchOptions, job: Job) -> Report:
    """Copies of all faces with labels, as they are, with the masks that lie beside them.

    Raises:
        MaterialError: there are no faces, or none has labels.
        FileError: faces to be moved away are in a pak.
    """
    from understudy.facesets import edit
    from understudy.facesets.faceset import Faceset
    from understudy.files import make_dir, remove_leftovers

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    faceset = Faceset.open(folder)
    if options.delete_originals:
        refuse_pak(folder, options.faces)
    out_dir = _out_dir(options, folder)
    names = faceset.names
    remove_leftovers(make_dir(out_dir))
    seen = job.map(
        lambda index: _look(faceset, index, out_dir),
        range(len(names)),
        total=len(names),
        name=lambda index: names[index],
        message="looking for labels",
    )
    found: dict[Found, list[int]] = {"labelled": [], "older": [], "there": [], "unlabelled": []}
    for index, state in seen:
        found[state].append(index)
    wanted = found["labelled"] + _made_way(
        found["older"], names, out_dir, job, replace=options.replace
    )
    copies = job.map(
        lambda index: _copy(faceset, index, out_dir),
        wanted,
        total=len(wanted),
        name=lambda index: names[index],
        message="copying",
    )
    copied = [names[index] for index, _ in copies]
    there = [names[index] for index in found["there"]]
    if not copied and not there and not job.failures:
        _remove_if_empty(out_dir)
        raise _no_labels(folder, len(names), options.faces)
    summary = f"{len(copied)} labelled faces fetched"
    if options.delete_originals:
        fetched = [folder / name for name in (*copied, *there)]
        moves = edit.trash_moves(folder, fetched)
        edit.apply_moves(folder, moves, operation="mask fetch")
        summary += f"; the originals are in {edit.trash_dir(folder).name}"
    left_out = tell_left_out(faceset, job)
    return Report(
        "mask fetch",
        done=len(copied),
        skipped=len(there),
        outputs=[out_dir],
        details={
            "summary": summary,
            "faces": len(names),
            "unlabelled": len(found["unlabelled"]),
            "left_out": left_out,
        },
    )


def _out_dir(options: FetchOptions, folder: Path) -> Path:
    from understudy.errors import OptionError

    real = folder.resolve()
    out_dir = options.out or real.with_name(real.name + SUFFIX)
    if out_dir.resolve() == real:
        raise OptionError(
            "--out",
            expected="another folder than the faceset's",
            found=str(out_dir),
            remedy="Leave --out away for a folder beside the faceset.",
        )
    return out_dir


def _look(faceset: "Faceset", index: int, out_dir: Path) -> Found:
    from understudy.masks.polygons import is_labelled

    face = faceset[index]
    if not is_labelled(face.polygons):
        return "unlabelled"
    files = _files(faceset, index, out_dir)
    if not any(path.exists() for path in files):
        return "labelled"
    return "there" if all(_holds(path, data) for path, data in files.items()) else "older"


def _files(faceset: "Faceset", index: int, out_dir: Path) -> dict[Path, bytes]:
    """What the copy of a face consists of: its mask, if that lies beside it, before the face."""
    from understudy.facesets.dfl import read_file_header, sidecar_path
    from understudy.facesets.metadata import SIDECAR_KEY, read_metadata
    from understudy.files import read_bytes

    path, target = faceset.folder / faceset.names[index], out_dir / faceset.names[index]
    encoded = faceset[index].encoded
    files = {target: read_bytes(path) if encoded is None else encoded()}
    beside = sidecar_path(path)
    if beside.is_file() and SIDECAR_KEY in read_metadata(read_file_header(path).payload, path):
        files = {sidecar_path(target): read_bytes(beside)} | files
    return files


def _holds(path: Path, data: bytes) -> bool:
    from understudy.files import read_bytes

    return path.is_file() and read_bytes(path) == data


def _copy(faceset: "Faceset", index: int, out_dir: Path) -> None:
    from understudy.errors import FileError
    from understudy.facesets.entry_names import inside
    from understudy.files import make_dir, write_bytes

    for path, data in _files(faceset, index, out_dir).items():
        make_dir(path.parent)
        if not _holds(inside(path, out_dir), data):
            if path.exists():
                raise FileError(
                    path,
                    expected="a free name",
                    found="another file",
                    remedy="Move it away and fetch again.",
                )
            write_bytes(path, data)


def _made_way(
    older: list[int], names: Sequence[str], out_dir: Path, job: Job, *, replace: bool
) -> list[int]:
    """Those whose older copies are in the trash now; without `replace` each is a failure."""
    from understudy.facesets import edit

    if replace:
        there = [out_dir / names[index] for index in older if (out_dir / names[index]).exists()]
        edit.apply_moves(out_dir, edit.trash_moves(out_dir, there), operation="mask fetch")
        return older
    for index in older:
        job.fail(
            names[index],
            f"{out_dir.name} holds another version of it; --replace moves that one to the trash",
        )
    return []


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def _no_labels(folder: Path, count: int, faces: str) -> Exception:
    from understudy.errors import MaterialError

    return MaterialError(
        folder,
        expected="faces with labels",
        found=f"{count} faces without any",
        remedy=f"Label some first; which ones, tells: understudy mask suggest {faces}",
    )
