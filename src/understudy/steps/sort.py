"""Sort a faceset: faces get the names of their places, what is sorted out goes to the trash."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from understudy.errors import MaterialError, OptionError
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.faceset.measured import refuse_pak
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:  # tables and moves are made of numpy, which naming the options needs not
    from understudy.facesets.moves.edit import Move
    from understudy.facesets.sorting.methods import Order, Sort, SortSettings
    from understudy.facesets.sorting.table import Table

SortName = Literal[
    "blur",
    "motion-blur",
    "face-yaw",
    "face-pitch",
    "face-source-rect-size",
    "hist",
    "hist-dissim",
    "brightness",
    "hue",
    "black",
    "origname",
    "oneface",
    "absdiff",
    "final-by-blur",
    "final-by-size",
    "identity",
    "landmark-fit",
    "duplicate",
]
_LISTED = 100  # names of rejected faces in the report


class SortOptions(StepOptions):
    """Options of `sort`."""

    faces: str = argument("Faceset to sort: src, dst or a folder of faces.")
    by: SortName = option("hist", "What to sort by; final-by-blur keeps only the best faces.")
    reverse: bool = option(False, "The other way round.")
    keep: bool = option(False, "Keep faces that are sorted out, after the others.")
    target: int = option(2000, "About how many faces final-by-... keep.", group="Methods", ge=1)
    dissimilar: bool = option(
        False, "absdiff: each face followed by the least similar.", group="Methods"
    )
    closeness: float = option(
        2.0, "duplicate: how alike faces are, in levels of 255.", group="Methods", ge=0, le=64
    )
    embedder: Literal["texture", "sface"] = option(
        "texture", "identity: what tells people apart.", group="Methods"
    )
    like: tuple[Path, ...] = option(
        (), "identity: faces of a faceset; only faces of their person stay.", group="Methods"
    )


def sort(options: SortOptions, job: Job) -> Report:
    """The same faces in another order; `faceset undo` brings the old one back.

    Raises:
        FileError: the faces are in a pak.
        MaterialError: there are no faces, or none would be left.
        OptionError: options that don't go together.
    """
    from understudy.facesets.moves import edit
    from understudy.facesets.sorting.methods import SORTS, SortSettings
    from understudy.facesets.sorting.table import measure

    _check(options)
    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    finished = edit.recover(folder)
    if finished:
        job.message(f"{finished}: was stopped half way and is finished now")
    refuse_pak(folder, options.faces)
    method = SORTS[options.by]
    settings = SortSettings(
        target=options.target,
        similar=not options.dissimilar,
        closeness=options.closeness,
        embedder=options.embedder,
        like=options.like,
    )
    table = measure(folder, method.kinds_with(settings), job)
    damaged = _damaged(folder, table, job)
    table, drawn = _without_debug_pictures(table)
    kept, rejected = _orders(table, method, settings, job)
    if options.reverse:
        kept = {person: order[::-1] for person, order in kept.items()}
    if options.keep:
        kept = {person: order + rejected[person] for person, order in kept.items()}
        rejected = dict.fromkeys(kept, ())
    out = [table.path(index) for order in rejected.values() for index in order]
    if not any(kept.values()):
        raise MaterialError(
            folder,
            expected="faces to sort",
            found=f"{len(out) + len(damaged)} pictures that {options.by} would all sort out"
            if out or damaged
            else "no pictures",
            remedy="Nothing was moved. Extract faces into it, or sort by something else.",
        )
    moves = _renamed(table, kept) if out or options.by != "oneface" else []
    if moves and drawn:  # they have the old names
        moves += edit.trash_moves(folder, drawn)
        job.message(f"{counted(len(drawn), 'debug picture')} put into the trash; draw anew")
    moves += edit.trash_moves(folder, [*out, *damaged])
    job.check()
    edit.apply_moves(folder, moves, operation=f"sort {options.by}")
    return _report(options, table, kept=sum(map(len, kept.values())), out=out, damaged=damaged)


def _check(options: SortOptions) -> None:
    if options.like and options.by != "identity":
        raise OptionError(
            "--like",
            expected="--by identity with it",
            found=f"--by {options.by}",
            remedy="Add --by identity, or leave --like out.",
        )


def _damaged(folder: Path, table: "Table", job: Job) -> list[Path]:
    """Pictures that could not be measured.

    Raises:
        MaterialError: so many that it is no fault of single files.
    """
    damaged = [folder / item for item in dict.fromkeys(f.item for f in job.failures)]
    if len(damaged) > len(table):
        raise MaterialError(
            folder,
            expected="pictures that can be read",
            found=f"{len(damaged)} that can't: {job.failures[0].reason}",
            remedy="Nothing was moved. Check the folder and the disk.",
        )
    return damaged


def _without_debug_pictures(table: "Table") -> "tuple[Table, list[Path]]":
    """The table of the faces, and the pictures that `faceset debug` put beside them."""
    from understudy.steps.faceset.debug import is_debug_picture

    drawn = [is_debug_picture(table.path(index)) for index in range(len(table))]
    faces = [index for index, other in enumerate(drawn) if not other]
    return table.part(faces), [table.path(i) for i, other in enumerate(drawn) if other]


Places = dict[str, tuple[int, ...]]


def _orders(
    table: "Table", method: "Sort", settings: "SortSettings", job: Job
) -> tuple[Places, Places]:
    """Indices of the faces kept and sorted out, by person: each person is a faceset of its own."""
    persons: dict[str, list[int]] = {}
    for index, name in enumerate(table.names):
        persons.setdefault(name.rpartition("/")[0], []).append(index)
    kept, rejected = {}, {}
    for person, indices in persons.items():
        order: "Order" = method.order(table.part(indices), settings, job)
        kept[person] = tuple(indices[i] for i in order.kept)
        rejected[person] = tuple(indices[i] for i in order.rejected)
    return kept, rejected


def _renamed(table: "Table", kept: Places) -> "list[Move]":
    """Names by place: five digits, as DFL has it, or more where five would not sort as text."""
    from understudy.facesets.moves.edit import Move

    moves = []
    for order in kept.values():
        digits = max(5, len(str(len(order) - 1)))
        for place, index in enumerate(order):
            path = table.path(index)
            moves.append(Move(path, path.with_name(f"{place:0{digits}d}{path.suffix}")))
    return moves


def _report(
    options: SortOptions, table: "Table", *, kept: int, out: list[Path], damaged: list[Path]
) -> Report:
    from understudy.facesets.moves.edit import trash_dir

    trash = trash_dir(table.aligned_dir)
    summary = f"{counted(kept, 'face')} sorted by {options.by}"
    if options.by == "oneface" and not out:
        summary = f"every frame holds one face; nothing to do for {counted(kept, 'face')}"
    if out or damaged:
        summary += f", {len(out) + len(damaged)} sorted out to {trash.name}"
    listed = [path.relative_to(table.aligned_dir).as_posix() for path in out[:_LISTED]]
    return Report(
        "sort",
        done=kept,
        outputs=[table.aligned_dir, *([trash] if out or damaged else [])],
        details={"summary": summary, "kept": kept, "sorted_out": len(out), "first_out": listed},
    )
