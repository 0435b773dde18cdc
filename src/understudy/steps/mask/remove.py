"""Take applied masks off faces."""

from understudy.job import Job
from understudy.options import argument
from understudy.steps.faceset.left_out import tell_left_out
from understudy.steps.faceset.measured import refuse_pak
from understudy.steps.mask.changed import Changed, change_faces
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class RemoveOptions(StepOptions):
    """Options of `mask remove`."""

    faces: str = argument("Which faces: src, dst or a folder.")


def remove(options: RemoveOptions, job: Job) -> Report:
    """The faces without applied masks; labels stay. The masked files go to the trash.

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

    def bare(index: int) -> Changed | None:
        face = faceset[index]
        return None if face.mask is None else Changed(replace(face, mask=None))

    names = change_faces(faceset, range(len(faceset)), bare, operation="mask remove", job=job)
    left_out = tell_left_out(faceset, job)
    summary = f"masks removed from {len(names)} of {len(faceset)} faces"
    if names:
        summary += f"; as they were they are in {trash_dir(folder).name}"
        summary += f" (back with: understudy faceset undo {options.faces})"
    return Report(
        "mask remove",
        done=len(names),
        outputs=[folder],
        details={"summary": summary, "faces": len(faceset), "left_out": left_out},
    )
