"""Trim src to what dst needs."""

from typing import TYPE_CHECKING, Any

from understudy.errors import MaterialError, OptionError
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.faceset.measured import measured_traits
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

    from understudy.facesets.survey.statistics import Traits

_LISTED = 200  # names of trimmed faces in the report, per reason


class MatchOptions(StepOptions):
    """Options of `faceset match`."""

    faces: str = argument("Which faces to trim: src, dst or a folder.")
    to: str = option("dst", "Whose needs decide: src, dst or a folder of faces.")
    yaw_deg: float = option(
        12.0, "Degrees to the left or right a face may be off; 0 does not look.", ge=0, le=180
    )
    pitch_deg: float = option(
        12.0, "Degrees up or down a face may be off; 0 does not look.", ge=0, le=180
    )
    brightness: float = option(
        50.0, "Levels of 255 it may be brighter or darker; 0 does not look.", ge=0, le=255
    )
    color: float = option(
        15.0, "Units of CIE Lab its colour may be off; 0 does not look.", ge=0, le=200
    )
    as_they_are: bool = option(
        False,
        "Compare light and colour as they are, not by how far a face is from its own set's middle.",
    )
    mirrored: bool = option(False, "A mirrored face will do, as training with random flip has it.")
    dry_run: bool = option(False, "Only tell what would be trimmed.")


def match(options: MatchOptions, job: Job) -> Report:
    """The faces that no face of the other set is near go to the trash; undo brings them back.

    Raises:
        MaterialError: there are no faces, or none would be left.
        OptionError: both sets are the same.
    """
    from understudy.facesets.moves.edit import apply_moves, trash_dir, trash_moves
    from understudy.facesets.survey.match import Limits, reasons_to_trim, uncovered

    workspace = Workspace.open(options.workspace)
    folder, other = (workspace.faceset_dir(name) for name in (options.faces, options.to))
    if folder.resolve() == other.resolve():
        raise OptionError(
            "--to",
            expected="another faceset",
            found=f"{options.to}, the same",
            remedy="For example: understudy faceset match src --to dst",
        )
    limits = Limits(
        **options.model_dump(include=set(Limits.__dataclass_fields__))  # one name, one meaning
    )
    src, dst = measured_traits(folder, job), measured_traits(other, job)
    reasons = reasons_to_trim(src, dst, limits)
    trimmed = reasons.nonzero()[0]
    if len(trimmed) == len(src):
        raise MaterialError(
            folder,
            expected="faces that are near those of the other set",
            found=f"none of {len(src)} ({_told(_counts(reasons))})",
            remedy="Nothing was moved. Raise the limits, or look at: understudy faceset stats.",
        )
    if len(trimmed) and not options.dry_run:
        job.check()
        moves = trash_moves(folder, [folder / src.names[index] for index in trimmed])
        apply_moves(folder, moves, operation=f"match to {options.to}")
    missing = int(uncovered(src, dst, limits).sum())
    return _report(options, src, reasons, missing, outputs=[folder, trash_dir(folder)])


def _report(
    options: MatchOptions, src: "Traits", reasons: "np.ndarray", missing: int, *, outputs: list[Any]
) -> Report:
    counts = _counts(reasons)
    total = sum(counts.values())
    would = "would be trimmed" if options.dry_run else "trimmed"
    summary = f"{total} of {len(src)} faces {would}"
    summary += f" ({_told(counts)})" if total else ""
    if missing:
        lonely = counted(missing, f"face of {options.to} has", f"faces of {options.to} have")
        summary += f"; {lonely} no {options.faces} face of its pose"
    moved = bool(total) and not options.dry_run
    return Report(
        "faceset match",
        done=0 if options.dry_run else total,
        outputs=outputs if moved else outputs[:1],
        details={
            "summary": summary,
            "faces": len(src),
            "kept": len(src) - total,
            "trimmed": counts,
            "trimmed_names": _names(src, reasons),
            "poses_missing": missing,
            "dry_run": options.dry_run,
        },
    )


def _counts(reasons: "np.ndarray") -> dict[str, int]:
    from understudy.facesets.survey.match import Reason

    return {r.name.lower(): int((reasons == r).sum()) for r in Reason if r is not Reason.NEEDED}


def _names(src: "Traits", reasons: "np.ndarray") -> dict[str, list[str]]:
    from understudy.facesets.survey.match import Reason

    named = {r.name.lower(): (reasons == r).nonzero()[0][:_LISTED] for r in Reason if r}
    return {reason: [src.names[index] for index in places] for reason, places in named.items()}


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} by {reason}" for reason, count in counts.items() if count)
