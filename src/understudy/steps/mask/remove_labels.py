"""Take the labels off faces."""

from understudy.job import Job
from understudy.options import argument
from understudy.steps.faceset.left_out import tell_left_out
from understudy.steps.faceset.measured import refuse_pak
from understudy.steps.mask.changed import Changed, change_faces
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class RemoveLabelsOptions(StepOptions):
    """Options of `mask remove-labels`."""

    faces: str = argument("Which faces: src, dst or a folder.")


def remove_labels(options: RemoveLabelsOptions, job: Job) -> Report:
    """The faces without polygons; applied masks stay. The labelled files go to the trash.

    Raises:
        MaterialError: there are no faces.
        FileError: they are in a pak.
    """
    from dataclasses import replace

    from understudy.facesets.faceset import Faceset
    from understudy.facesets.moves.edit import trash_dir

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    faceset = Faceset.open(folder)
    refuse_pak(folder, options.faces)

    def unlabelled(index: int) -> Changed | None:
        face = faceset[index]
        return Changed(replace(face, polygons=())) if face.polygons else None

    names = change_faces(
        faceset, range(len(faceset)), unlabelled, operation="mask remove-labels", job=job
    )
    left_out = tell_left_out(faceset, job)
    summary = f"labels removed from {len(names)} of {len(faceset)} faces"
    if names:
        summary += f"; as they were they are in {trash_dir(folder).name}"
        summary += f" (back with: understudy faceset undo {options.faces})"
    return Report(
        "mask remove-labels",
        done=len(names),
        outputs=[folder],
        details={"summary": summary, "faces": len(faceset), "left_out": left_out},
    )
