"""Masks of faces as pictures."""

from pathlib import Path
from typing import Literal

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace


class ExportMasksOptions(StepOptions):
    """Options of `faceset export-masks`."""

    faces: str = argument("Which faces: src, dst or a folder.")
    kind: Literal["auto", "applied", "drawn", "hull"] = option(
        "auto",
        "Which mask: the applied one, the polygons drawn by hand, the hull of the landmarks, or "
        "the first of these there is.",
    )
    hard: bool = option(False, "Write black and white only, cut at one half.")
    out: Path | None = option(
        None, "Folder for the masks; if not given, one beside the faceset.", group="Output"
    )


def export_masks(options: ExportMasksOptions, job: Job) -> Report:
    """One grey PNG per face, `<face>_mask.png`, of the face's size.

    Raises:
        MaterialError: there are no faces.
        OptionError: the masks would go among the faces.
    """
    from understudy.errors import OptionError
    from understudy.facesets.faceset import Faceset
    from understudy.files import make_dir
    from understudy.masks.face_masks import face_mask, hardened
    from understudy.media.images import write_mask

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    faceset = Faceset.open(folder)
    real = folder.resolve()
    out_dir = options.out or real.with_name(real.name + "_masks")
    if out_dir.resolve() == real:
        raise OptionError(
            "--out",
            expected="another folder than the faceset's",
            found=str(out_dir),
            remedy="Masks among faces would be taken for faces; leave --out away.",
        )
    names = faceset.names

    def export(index: int) -> str:
        mask, kind = face_mask(faceset[index], options.kind)
        path = (out_dir / names[index]).with_suffix("")
        path = path.with_name(path.name + "_mask.png")
        make_dir(path.parent)
        write_mask(path, hardened(mask) if options.hard else mask)
        return kind

    counts = {"applied": 0, "drawn": 0, "hull": 0}
    done = job.map(export, range(len(names)), total=len(names), name=lambda index: names[index])
    for _, kind in done:
        counts[kind] += 1
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return Report(
        "faceset export-masks",
        done=sum(counts.values()),
        outputs=[out_dir],
        details={
            "summary": f"{counted(sum(counts.values()), 'mask')} ({kinds or 'none'})",
            **counts,
        },
    )
