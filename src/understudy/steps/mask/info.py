"""What a faceset has of labels and masks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from understudy.job import Job
from understudy.options import argument
from understudy.steps.faceset.left_out import tell_left_out
from understudy.steps.perform import StepOptions
from understudy.types import FaceSample, Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

_BAND_DEG = 15


class InfoOptions(StepOptions):
    """Options of `mask info`."""

    faces: str = argument("Which faces: src, dst or a folder.")


@dataclass(frozen=True, slots=True)
class _Face:
    labelled: bool
    applied: bool
    yaw_deg: float
    pitch_deg: float


def info(options: InfoOptions, job: Job) -> Report:
    """Counts of labels and applied masks, and the directions faces look in that no label shows.

    Raises:
        MaterialError: there are no faces.
    """
    from understudy.facesets.faceset import Faceset

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    faceset = Faceset.open(folder)
    names = faceset.names
    looked = job.map(
        lambda index: _look(faceset[index]),
        range(len(names)),
        total=len(names),
        name=lambda index: names[index],
        message="looking at masks",
    )
    faces = [face for _, face in looked]
    details = _count(faces)
    left_out = tell_left_out(faceset, job)
    summary = f"{counted(len(faces), 'face')}: {details['labelled']} labelled, "
    summary += f"{details['applied']} with an applied mask, {details['neither']} with neither"
    lines = _lines(details)
    return Report(
        "mask info",
        done=len(faces),
        outputs=[folder],
        details=details | {"summary": summary, "lines": lines, "left_out": left_out},
    )


def _look(face: FaceSample) -> _Face:
    from math import degrees

    from understudy.faces.pose import head_pose
    from understudy.facesets.dfl.face_file import picture_shape
    from understudy.masks.polygons import is_labelled

    pitch, yaw, _ = head_pose(face.landmarks, picture_shape(face)[0])
    labelled, applied = is_labelled(face.polygons), face.mask is not None
    return _Face(labelled, applied, degrees(yaw), degrees(pitch))


def _count(faces: "Sequence[_Face]") -> dict[str, Any]:  # JSON values
    import numpy as np

    from understudy.facesets.survey.statistics import covered_share, direction_grid

    labelled = np.array([face.labelled for face in faces], bool)
    applied = np.array([face.applied for face in faces], bool)
    yaw = np.array([face.yaw_deg for face in faces], np.float64)
    pitch = np.array([face.pitch_deg for face in faces], np.float64)
    all_poses, label_poses = direction_grid(yaw, pitch), direction_grid(
        yaw[labelled], pitch[labelled]
    )  # fmt: skip
    edges = np.arange(-90, 91, _BAND_DEG)
    band = np.clip(np.digitize(yaw, edges) - 1, 0, len(edges) - 2)
    bands = [
        {
            "yaw_from_deg": int(edges[number]),
            "faces": int((band == number).sum()),
            "labelled": int((labelled & (band == number)).sum()),
        }
        for number in range(len(edges) - 1)
    ]
    return {
        "faces": len(faces),
        "labelled": int(labelled.sum()),
        "applied": int(applied.sum()),
        "both": int((labelled & applied).sum()),
        "neither": int((~labelled & ~applied).sum()),
        "poses_covered": round(covered_share(label_poses, all_poses), 4),
        "yaw": [one for one in bands if one["faces"]],
    }


def _lines(details: dict[str, Any]) -> list[str]:
    lines = []
    for one in details["yaw"]:
        low = one["yaw_from_deg"]
        lines.append(
            f"yaw {low:+4d} to {low + _BAND_DEG:+4d}: {one['faces']:6d} faces, "
            f"{one['labelled']:4d} labelled"
        )
    share = int(details["poses_covered"] * 100)
    return [*lines, f"labels look in the direction of {share} % of the faces, to 10 degrees"]
