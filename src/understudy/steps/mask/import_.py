"""Take over masks that were painted elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.faceset.measured import refuse_pak
from understudy.steps.mask.changed import Changed, change_faces
from understudy.steps.perform import StepOptions
from understudy.types import FaceSample, Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.facesets.faceset import Faceset
    from understudy.masks.incoming import Matches, Source

_NUM_NAMED = 5
_LISTED = 1000


class ImportOptions(StepOptions):
    """Options of `mask import`."""

    faces: str = argument("Which faces: src, dst or a folder.")
    masks: Path = argument(
        "Folder of mask pictures, named as the faces or as their frames, with or without _mask; "
        "or of face files with labels."
    )
    target: Literal["mask", "polygons"] = option(
        "mask",
        "What they become: the faces' applied masks, or polygons to edit and to train on.",
    )
    per: Literal["auto", "face", "frame"] = option(
        "auto",
        "What one picture shows: a face, or a frame whose mask is cut to each of its faces; auto "
        "goes by the names, faces first.",
    )
    channel: Literal["auto", "alpha", "grey"] = option(
        "auto", "Where in the picture the mask is; auto takes alpha where there is any."
    )
    invert: bool = option(False, "White is what to leave out.")
    tolerance: float = option(
        0.3,
        "How far a polygon may be from the mask's edge, in percent of the picture's side.",
        group="Polygons",
        ge=0.05,
        le=5,
    )
    replace: bool = option(
        False,
        "Also faces that have such a mask or label already; as they were, they go to the trash.",
    )


def import_(options: ImportOptions, job: Job) -> Report:
    """Masks or labels of faces from pictures; what matched no face is listed.

    Raises:
        MaterialError: there are no faces or pictures, or no picture matches.
        FileError: the folder can't be read, or the faces are in a pak.
    """
    from understudy.facesets.faceset import Faceset

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    faceset = Faceset.open(folder)
    refuse_pak(folder, options.faces)
    matches = _match(options, faceset, job)
    kept: list[str] = []

    def imported(index: int) -> Changed | None:
        face = faceset[index]
        if _has_one(face, options.target) and not options.replace:
            kept.append(faceset.names[index])
            return None
        return _with_mask(face, matches.sources[index], options, folder=folder)

    facts = change_faces(
        faceset,
        list(matches.sources),
        imported,
        operation="mask import",
        job=job,
        settings=options.model_dump(mode="json", exclude={"workspace", "faces"}),
        reads=lambda index: (matches.sources[index].path,),
    )
    without = [n for i, n in enumerate(faceset.names) if i not in matches.sources]
    _tell(matches.unmatched, "belongs to no face", "belong to no face", job)
    details: dict[str, Any] = {
        "unmatched_pictures": matches.unmatched[:_LISTED],
        "num_unmatched_pictures": len(matches.unmatched),
        "faces_without_picture": without[:_LISTED],
        "num_faces_without_picture": len(without),
        "kept": len(kept),
    }
    ious = [told["iou"] for told in facts.values() if "iou" in told]
    if ious:
        details["iou_mean"] = round(sum(ious) / len(ious), 5)
        details["iou_least"] = round(min(ious), 5)
    details["summary"] = _summary(
        "mask" if options.target == "mask" else "label",
        done=len(facts),
        ious=ious,
        kept=len(kept),
        unmatched=len(matches.unmatched),
        without=len(without),
    )
    return Report(
        "mask import",
        done=len(facts),
        outputs=[folder],
        details=details,
    )


def _summary(
    what: str, *, done: int, ious: list[float], kept: int, unmatched: int, without: int
) -> str:
    told = f"{counted(done, what)} imported"
    if ious:
        told += f", IoU of the polygons {min(ious):.4f} at least"
    if kept:
        stay = counted(kept, f"face has a {what} and stays", f"faces have a {what} and stay")
        told += f"; {stay}"
    if unmatched:
        told += f"; {counted(unmatched, 'picture matches', 'pictures match')} no face"
    if without:
        told += f"; {counted(without, 'face has', 'faces have')} no picture"
    return told


def _match(options: ImportOptions, faceset: "Faceset", job: Job) -> "Matches":
    from understudy.errors import MaterialError, from_os_error
    from understudy.masks.incoming import match_pictures
    from understudy.media.images import list_images

    if not options.masks.is_dir():
        problem = NotADirectoryError if options.masks.exists() else FileNotFoundError
        number = 20 if options.masks.exists() else 2
        raise from_os_error(problem(number, ""), options.masks, doing="read")
    inner = sorted(p for p in options.masks.iterdir() if p.is_dir() and not p.name.startswith("."))
    found = [path for where in (options.masks, *inner) for path in list_images(where)]
    pictures = {path.relative_to(options.masks).as_posix(): path for path in found}
    names = faceset.names
    read = job.map(
        lambda index: faceset[index].source_name,
        range(len(names)),
        total=len(names),
        name=lambda index: names[index],
        message="reading faces",
    )
    frames = dict(read)
    matches = match_pictures(
        pictures, names, [frames.get(index) for index in range(len(names))], options.per
    )
    for index in matches.sources.keys() - frames.keys():  # a face that can't be read was told
        del matches.sources[index]
    if not matches.sources:
        some = ", ".join(list(pictures)[:_NUM_NAMED]) or "no pictures"
        raise MaterialError(
            options.masks,
            expected=f"pictures named as the faces ({names[0]}) or their frames",
            found=some,
            remedy="Rename them: a mask has the name of its face or frame, and may end in _mask.",
        )
    return matches


def _has_one(face: FaceSample, target: str) -> bool:
    from understudy.masks.polygons import is_labelled

    return face.mask is not None if target == "mask" else is_labelled(face.polygons)


def _with_mask(
    face: FaceSample, source: "Source", options: ImportOptions, *, folder: Path
) -> Changed:
    """The face with what the picture says, and how well polygons say the same if it became some."""
    from dataclasses import replace

    from understudy.errors import MaterialError
    from understudy.masks.incoming import mask_of, polygons_of
    from understudy.masks.outlines import trace_polygons

    if options.target == "polygons" and (drawn := polygons_of(face, source)) is not None:
        return Changed(replace(face, polygons=drawn))
    frames_dir = folder.resolve().parent
    mask = mask_of(
        face, source, frames_dir=frames_dir, channel=options.channel, invert=options.invert
    )
    if options.target == "mask":
        return Changed(replace(face, mask=mask))
    outline = trace_polygons(mask, tolerance=options.tolerance / 100)
    if not outline.polygons:
        raise MaterialError(
            source.path,
            expected="an area of face in the mask",
            found="none",
            remedy="The face stays without labels; is white what to leave out? (--invert)",
        )
    return Changed(replace(face, polygons=outline.polygons), {"iou": outline.iou})


def _tell(names: list[str], one: str, many: str, job: Job) -> None:
    if names:
        more = f" and {len(names) - _NUM_NAMED} more" if len(names) > _NUM_NAMED else ""
        pictures = f"picture {one}" if len(names) == 1 else f"pictures {many}"
        job.message(f"{len(names)} {pictures}: {', '.join(names[:_NUM_NAMED])}{more}")
