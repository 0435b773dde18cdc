"""The traits of a faceset's faces, measured once and cached beside it."""

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import FileError, MaterialError
from understudy.job import Job

if TYPE_CHECKING:
    from understudy.facesets.statistics import Traits


def measured_traits(folder: Path, job: Job) -> "Traits":
    """Traits of all faces in a folder; what can't be read is among the job's failures.

    Raises:
        FileError: the faces are in a pak.
        MaterialError: there is no face.
    """
    from understudy.facesets.edit import recover
    from understudy.facesets.pack import PAK_NAME
    from understudy.facesets.sorting.table import measure
    from understudy.facesets.statistics import KINDS, traits_of

    recover(folder)
    if (folder / PAK_NAME).is_file():
        raise FileError(
            folder / PAK_NAME,
            expected="faces as files, which can be measured",
            found="a pak",
            remedy="Unpack it first: understudy faceset unpack.",
        )
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
