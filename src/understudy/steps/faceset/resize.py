"""Faces at another size or of another face type."""

from typing import TYPE_CHECKING

from understudy.errors import OptionError
from understudy.job import Job
from understudy.options import option
from understudy.steps.faceset.derived import DerivedOptions, derive
from understudy.types import FaceType, Report

if TYPE_CHECKING:
    from understudy.types import FaceSample


class ResizeOptions(DerivedOptions):
    """Options of `faceset resize`."""

    size: int | None = option(
        None, "Side of the new pictures in pixels; if not given, as they are.", ge=64, le=2048
    )
    face_type: FaceType | None = option(
        None, "How much of the head they show; if not given, as much as they do."
    )
    dfl_parity: bool = option(False, "Resample as DeepFaceLab does, which aliases when it shrinks.")


def resize(options: ResizeOptions, job: Job) -> Report:
    """The faces at the size and of the type asked for, with landmarks, polygons and masks.

    Raises:
        OptionError: neither a size nor a type is given, or the new folder holds something else.
        MaterialError: there are no faces.
    """
    if options.size is None and options.face_type is None:
        raise OptionError(
            "--size and --face-type",
            expected="at least one of them",
            found="none",
            remedy="Say what the faces should become: --size 512.",
        )

    def change(sample: "FaceSample") -> "FaceSample":
        from understudy.facesets.resize import resize_face

        size = options.size or max(sample.image.shape[:2])
        kind, parity = options.face_type, options.dfl_parity
        return resize_face(sample, size, face_type=kind, dfl_parity=parity)

    return derive(options, job, step="faceset resize", suffix="_resized", change=change)
