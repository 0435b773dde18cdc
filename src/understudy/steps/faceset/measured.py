"""What steps ask of a faceset before they work on its files: loose faces, and their traits.

A folder in; traits that are measured once and cached beside it out, or an error for a pak.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import MaterialError
from understudy.job import Job

if TYPE_CHECKING:
    from understudy.facesets.survey.statistics import Traits


def refuse_pak(folder: Path, faces: str) -> None:
    """Raises unless the faces are files of their own; `faces` is what the user called the folder.

    Raises:
        FileError: they are in a pak.
    """
    from understudy.facesets.dfl.pack import check_no_pak

    check_no_pak(folder, faces)


def measured_traits(folder: Path, job: Job) -> "Traits":
    """Traits of all faces in a folder; what can't be read is among the job's failures.

    Raises:
        FileError: the faces are in a pak.
        MaterialError: there is no face.
    """
    from understudy.facesets.moves.edit import recover
    from understudy.facesets.sorting.table import measure
    from understudy.facesets.survey.statistics import KINDS, traits_of

    recover(folder)
    refuse_pak(folder, str(folder))
    # Faces of two sets have the same names: what fails in one must not hide another's.
    own = job.for_step(job.step)
    traits = traits_of(measure(folder, KINDS, own))
    job.failures.extend(own.failures)
    if not len(traits):
        raise MaterialError(
            folder,
            expected="at least one face",
            found="no picture with a face's metadata",
            remedy="Extract faces into it first.",
        )
    return traits
