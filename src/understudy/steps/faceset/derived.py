"""A new faceset made face by face from another: into a folder beside it, or in its place.

A faceset and a function from face to face in, files out. Goes on where it was stopped, because the
new folder holds a journal; takes the place of the old faces only when all are made, in one move
that `faceset undo` takes back. Knows nothing of what happens to a face.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import FormatError, MaterialError, OptionError, from_os_error
from understudy.files import make_dir, remove_files, remove_leftovers
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.faceset.left_out import tell_left_out
from understudy.steps.faceset.measured import refuse_pak
from understudy.steps.journal import Journal
from understudy.steps.perform import StepOptions
from understudy.types import FaceSample, Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.facesets.faceset import Faceset

JOURNAL = ".understudy.jsonl"

Change = Callable[[FaceSample], FaceSample]
"""The new face; the very same object where nothing is to be changed."""


class DerivedOptions(StepOptions):
    """What every step takes that makes a faceset from another."""

    faces: str = argument("Which faces: src, dst or a folder.")
    out: Path | None = option(
        None, "Folder for the new faces; if not given, one beside the faceset.", group="Output"
    )
    replace: bool = option(
        False,
        "Put the new faces in the place of the old ones, which go to the trash; "
        "understudy faceset undo brings them back.",
        group="Output",
    )
    jpeg_quality: int = option(
        100, "Quality of the JPEG files; faces in PNG stay lossless.", group="Output", ge=1, le=100
    )
    restart: bool = option(
        False, "Delete what an earlier run left in the new folder and begin anew.", group="Output"
    )


def derive(options: DerivedOptions, job: Job, *, step: str, suffix: str, change: Change) -> Report:
    """The report of making all faces anew by `change`.

    `suffix` is added to the faceset's name for the new folder.

    Raises:
        OptionError: the options don't go together, or the folder holds something else.
        FileError: faces to be replaced are in a pak.
        MaterialError: there are no faces.
    """
    from understudy.facesets.faceset import Faceset

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    faceset = Faceset.open(folder)
    _probe(faceset, change)
    out_dir = _out_dir(options, folder, suffix)
    journal = _journal(options, out_dir, step)
    names = faceset.names
    todo = [i for i, name in enumerate(names) if not _is_done(folder, out_dir, name, journal)]
    earlier = len(names) - len(todo)
    with journal:
        _make(options, faceset, todo, out_dir=out_dir, journal=journal, change=change, job=job)
    done = [name for name in names if _is_done(folder, out_dir, name, journal)]
    changed = [name for name in done if not journal.items[name]["same"]]
    output, kept = out_dir, len(done) - len(changed)
    if options.replace and not job.failures:
        _put_in_place(folder, out_dir, changed, step)
        output = folder
    elif options.replace:
        job.message(f"the faceset stays as it is: {counted(len(job.failures), 'face')} failed")
    left_out = tell_left_out(faceset, job)
    return Report(
        step,
        done=max(len(done) - earlier, 0),
        skipped=earlier,
        outputs=[output],
        details={
            "summary": f"{counted(len(changed), 'face')}"
            + (f" ({kept} are so already)" if kept else ""),
            "faces": len(names),
            "changed": len(changed),
            "left_out": left_out,
        },
    )


def _probe(faceset: "Faceset", change: Change) -> None:
    """Raises what `change` says to a few faces if it can't be done to any of them."""
    refusals = []
    for index in {0, len(faceset) // 2, len(faceset) - 1}:
        try:
            change(faceset[index])
        except MaterialError as error:
            refusals.append(error)
        except FormatError:  # a damaged face is told when its turn comes
            continue
        else:
            return
    if refusals:
        raise refusals[0]


def _out_dir(options: DerivedOptions, folder: Path, suffix: str) -> Path:
    """Where the new faces go; made if it is not there."""
    if options.replace and options.out is not None:
        raise OptionError(
            "--replace",
            expected="either it or --out",
            found="both",
            remedy="Leave one of them out.",
        )
    if options.replace:
        refuse_pak(folder, options.faces)
    real = folder.resolve()
    out_dir = options.out or real.with_name(real.name + suffix)
    if out_dir.resolve() == real:
        raise OptionError(
            "--out",
            expected="another folder than the faceset's",
            found=str(out_dir),
            remedy="Use --replace to put the new faces in the place of the old.",
        )
    return make_dir(out_dir)


def _journal(options: DerivedOptions, out_dir: Path, step: str) -> Journal:
    """What is done in `out_dir` with these very options."""
    where = {"workspace", "out", "replace", "restart"}
    made_with = {"step": step, **options.model_dump(mode="json", exclude=where)}
    journal = Journal(out_dir / JOURNAL)
    if not journal.header and any(not path.name.startswith(".") for path in out_dir.iterdir()):
        raise OptionError(
            out_dir,
            expected="an empty folder, or one that this step began",
            found="files",
            remedy="Choose another --out, or move them away.",
        )
    remove_leftovers(out_dir)
    empty = not any((out_dir / name).is_file() for name in journal.items)
    if journal.header and options.restart:
        remove_files(out_dir / name for name in journal.items)
    elif journal.header and journal.header != made_with and not empty:
        before = journal.header
        changed = [f"{k} {before.get(k)} before, {v} now" for k, v in made_with.items()
                   if before.get(k) != v]  # fmt: skip
        raise OptionError(
            out_dir,
            expected="the options these faces were made with",
            found=", ".join(changed),
            remedy="Add --restart to delete these faces, or choose another --out.",
        )
    if journal.header != made_with or options.restart:
        journal.begin(made_with)
    return journal


def _is_done(folder: Path, out_dir: Path, name: str, journal: Journal) -> bool:
    """Whether a face was made from the file that lies there now."""
    row = journal.items.get(name)
    if row is None or row["source"] != _identity(folder, name):
        return False
    return bool(row["same"] and not row["copied"]) or (out_dir / name).is_file()


def _identity(folder: Path, name: str) -> list[int]:
    """What tells one version of a face's file from another: size and time of change."""
    from understudy.facesets.dfl.pack import PAK_NAME

    pak = folder / PAK_NAME
    path = pak if pak.is_file() else folder / name
    try:
        state = path.stat()
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error
    return [state.st_size, state.st_mtime_ns]


def _make(
    options: DerivedOptions,
    faceset: "Faceset",
    todo: Iterable[int],
    *,
    out_dir: Path,
    journal: Journal,
    change: Change,
    job: Job,
) -> None:
    from understudy.facesets.dfl import write_face

    names = faceset.names

    def make(index: int) -> dict[str, Any]:
        source = _identity(faceset.folder, names[index])
        before = faceset[index]
        after = change(before)
        same = after is before
        copied = not (same and options.replace)
        if copied:
            path = out_dir / names[index]
            make_dir(path.parent)
            # Old faces give way to these: they must be on disk before.
            write_face(path, after, quality=options.jpeg_quality, durable=options.replace)
        return {"source": source, "same": same, "copied": copied}

    numbers = list(todo)
    results = job.map(
        make,
        numbers,
        total=len(names),
        done_before=len(names) - len(numbers),
        name=lambda index: names[index],
    )
    for index, row in results:
        journal.add(names[index], **row)


def _put_in_place(folder: Path, out_dir: Path, names: list[str], step: str) -> None:
    """New faces in, old ones to the trash, in one move.

    The journal stays behind: who undoes it and thinks again finds the faces made.
    """
    from understudy.facesets.moves.edit import Move, apply_moves, trash_moves

    moves = trash_moves(folder, [folder / name for name in names])
    moves += [Move(out_dir / name, folder / name) for name in names]
    apply_moves(folder, moves, operation=step.removeprefix("faceset "))
