"""Masks become polygons that can be edited and trained on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.faceset.left_out import tell_left_out
from understudy.steps.faceset.measured import refuse_pak
from understudy.steps.mask.changed import Changed, change_faces
from understudy.steps.perform import StepOptions
from understudy.types import FaceSample, Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.masks.outlines import Traced


class ToPolygonsOptions(StepOptions):
    """Options of `mask to-polygons`."""

    faces: str = argument("Which faces: src, dst or a folder.")
    kind: Literal["applied", "hull"] = option(
        "applied", "Which mask to trace: the applied one, or the hull of the landmarks."
    )
    tolerance: float = option(
        0.3,
        "How far a polygon may be from the mask's edge, in percent of the picture's side: less "
        "takes more points.",
        ge=0.05,
        le=5,
    )
    least_area: float = option(
        0.05, "Leave out specks and holes below this size, in percent of the picture.", ge=0, le=10
    )
    only: tuple[str, ...] = option((), "Only the faces of these names; without it, all.")
    replace: bool = option(
        False, "Also faces that have labels; as they were, they go to the trash."
    )


def to_polygons(options: ToPolygonsOptions, job: Job) -> Report:
    """Labels made from masks: an including polygon for each outline, an excluding for each hole.

    Raises:
        MaterialError: there are no faces, or none has such a mask.
        OptionError: there is no face of a name that was given.
        FileError: the faces are in a pak.
    """
    from dataclasses import replace

    from understudy.facesets.faceset import Faceset
    from understudy.masks.polygons import is_labelled

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    faceset = Faceset.open(folder)
    refuse_pak(folder, options.faces)
    kept: list[str] = []
    maskless: list[str] = []

    def labelled(index: int) -> Changed | None:
        face, name = faceset[index], faceset.names[index]
        if options.kind == "applied" and face.mask is None:
            maskless.append(name)
        elif is_labelled(face.polygons) and not options.replace:
            kept.append(name)
        else:
            traced = _trace(face, options)
            facts = {"iou": traced.iou, "points": traced.num_points}
            return Changed(replace(face, polygons=traced.polygons), facts)
        return None

    chosen = _chosen(options, faceset.names)
    facts = change_faces(
        faceset,
        chosen,
        labelled,
        operation="mask to-polygons",
        job=job,
        settings=options.model_dump(mode="json", exclude={"workspace", "faces", "only"}),
    )
    if len(maskless) == len(chosen):
        raise _no_masks(options, len(chosen))
    left_out = tell_left_out(faceset, job)
    details = _measures(facts)
    summary = f"{counted(len(facts), 'mask')} traced"
    if facts:
        summary += f" with {details['points_median']:g} points each (median), "
        summary += f"IoU {details['iou_mean']:.4f} on average, {details['iou_least']:.4f} at least"
        summary += f" ({details['iou_least_name']})"
    if kept:
        stay = counted(len(kept), "face has labels and stays", "faces have labels and stay")
        summary += f"; {stay}"
    if maskless:
        summary += f"; {counted(len(maskless), 'face has', 'faces have')} no mask"
    details |= {
        "summary": summary,
        "without_mask": len(maskless),
        "kept": len(kept),
        "left_out": left_out,
    }
    return Report("mask to-polygons", done=len(facts), outputs=[folder], details=details)


def _chosen(options: ToPolygonsOptions, names: tuple[str, ...]) -> list[int]:
    """Places of the faces that were named; a name may leave out its ending."""
    from understudy.errors import OptionError

    wanted = set(options.only)
    places = [i for i, name in enumerate(names) if {name, name.rpartition(".")[0]} & wanted]
    unknown = wanted - {n for i in places for n in (names[i], names[i].rpartition(".")[0])}
    if unknown:
        raise OptionError(
            "--only",
            expected="names of faces",
            found=", ".join(sorted(unknown)),
            remedy="They are the files' names in the faceset.",
        )
    return places if wanted else list(range(len(names)))


def _trace(face: FaceSample, options: ToPolygonsOptions) -> "Traced":
    from understudy.errors import MaterialError
    from understudy.masks.face_masks import face_mask
    from understudy.masks.outlines import trace_polygons

    mask, _ = face_mask(face, options.kind)
    traced = trace_polygons(
        mask, tolerance=options.tolerance / 100, least_area=options.least_area / 100
    )
    if not traced.polygons:
        raise MaterialError(
            face.name or "face",
            expected="a mask with an area of face",
            found="an empty one",
            remedy="It stays without labels; lower --least-area if the area is only small.",
        )
    return traced


def _measures(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:  # JSON values
    """How many points it took and how well they draw the masks again."""
    from statistics import mean, median

    if not facts:
        return {"traced": 0}
    least = min(facts, key=lambda name: facts[name]["iou"])
    return {
        "traced": len(facts),
        "points_median": median(told["points"] for told in facts.values()),
        "points_most": max(told["points"] for told in facts.values()),
        "iou_mean": round(mean(told["iou"] for told in facts.values()), 5),
        "iou_least": round(facts[least]["iou"], 5),
        "iou_least_name": least,
    }


def _no_masks(options: ToPolygonsOptions, count: int) -> Exception:
    from understudy.errors import MaterialError

    return MaterialError(
        options.faces,
        expected="faces with an applied mask",
        found=f"{count} without",
        remedy="Apply one first, import some, or trace the hull with --kind hull.",
    )
