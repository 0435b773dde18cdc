"""What a compositor needs to put the face in by hand: layers over the plate, and transforms."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from understudy.errors import MaterialError
from understudy.files import make_dir, remove_files, remove_leftovers
from understudy.job import Job
from understudy.options import option
from understudy.steps.frames import clip_paths, read_frame_manifests
from understudy.steps.merge import faces_by_frame
from understudy.steps.merge_networks import load_predictor
from understudy.steps.merge_plan import session_settings
from understudy.steps.perform import StepOptions
from understudy.steps.video import check_out, merge_session, merged_frames
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.models.predictor import FacePredictor
    from understudy.steps.comp_package import MergedFrame


class DeliverOptions(StepOptions):
    """Options of `deliver`."""

    for_: Literal["comp"] = option(
        "comp", "Whom the package is for: comp writes EXR layers over the plate, and transforms."
    )
    out: Path = option(Path("comp"), "Folder of the package.")
    bit_depth: Literal[0, 16, 32] = option(
        0, "16 is half floats, 32 is floats; 0 takes 16 for plates of 8 bits, 32 for deeper ones."
    )
    device: str = option("auto", "Where to run the model: auto, cpu, cuda.", group="Machine")
    overwrite: bool = option(False, "Replace files that this workspace did not make.")


def deliver(options: DeliverOptions, job: Job) -> Report:
    """The package: EXR layers registered to the plate, transforms per frame, a README, the mark.

    Raises:
        MaterialError: merging did not end, or its frames, the plate or the model are gone.
        OptionError: the folder holds what this workspace did not make.
    """
    from understudy.steps.comp_package import CompPackage
    from understudy.steps.marks import sign_in_place

    workspace = Workspace.open(options.workspace)
    clips = (*clip_paths(workspace, "src"), *clip_paths(workspace, "dst"))
    check_out(options.out, workspace, clips=clips, overwrite=options.overwrite)
    session = _session(workspace)
    parts = read_frame_manifests(workspace, "dst")
    work = _work(workspace, merged_frames(workspace, parts), job)
    predictor, notices = _predictor(workspace, session["model"], options.device, job)
    _own(workspace, options.out)
    package = CompPackage(
        make_dir(options.out), predictor=predictor, bit_depth=options.bit_depth or None
    )
    _empty(package.folder)
    rows = job.map(package.write, work, total=len(work), name=lambda one: one.plate.name)
    frames = [row for _, row in rows]
    listing = package.finish(frames, parts, notices)
    mark = sign_in_place(listing, workspace, job)
    return Report(
        "deliver",
        done=len(frames),
        outputs=[options.out],
        details={
            "summary": f"{counted(len(frames), 'frame')} for the compositor",
            "unit": "frame",
            "for": options.for_,
            "notices": notices,
            "provenance": mark,
        },
    )


def _session(workspace: Workspace) -> dict[str, Any]:
    """What the frames were merged with."""
    session = merge_session(workspace)
    if not session:
        raise MaterialError(
            workspace.root,
            expected="frames merged by this program",
            found="none, so there is no model to ask for its face",
            remedy=f"First: understudy merge --workspace {workspace.root}",
        )
    return session


def _work(workspace: Workspace, merged: Sequence[Path], job: Job) -> "list[MergedFrame]":
    """Each merged frame with its plate, its faces and the settings that it was merged with."""
    from understudy.media.images import list_unique_images
    from understudy.steps.comp_package import MergedFrame

    frames = list_unique_images(workspace.dst.frames_dir).paths
    plates = plates_of(workspace, frames, merged)
    faces = faces_by_frame(workspace, plates, job)
    settings = dict(zip(frames, session_settings(workspace, frames, job), strict=True))
    return [
        MergedFrame(
            plate=plate,
            merged=path,
            matte=workspace.merged_mask_dir / f"{path.stem}.png",
            faces=faces.get(plate.stem, ()),
            settings=settings[plate],
        )
        for plate, path in zip(plates, merged, strict=True)
    ]


def _predictor(
    workspace: Workspace, model: dict[str, Any], device: str, job: Job
) -> "tuple[FacePredictor, list[str]]":
    """The model the frames were merged with, and what is to be said of it."""
    predictor, facts = load_predictor(
        workspace, model["name"], averaged=model.get("averaged", True), device=device, job=job
    )
    if model.get("sha256") == facts["sha256"]:
        return predictor, []
    notice = "the model was trained on since merging, so the raw prediction is of a later state"
    job.message(notice)
    return predictor, [notice]


def plates_of(workspace: Workspace, plates: Sequence[Path], merged: Sequence[Path]) -> list[Path]:
    """The plate of each merged frame, in their order.

    Raises:
        MaterialError: one is gone.
    """
    by_stem = {path.stem: path for path in plates}
    missing = [path.stem for path in merged if path.stem not in by_stem]
    if missing:
        raise MaterialError(
            workspace.dst.frames_dir,
            expected="the plate of every merged frame",
            found=f"{len(missing)} of {len(merged)} missing ({missing[0]})",
            remedy=f"First: understudy frames dst --workspace {workspace.root}",
        )
    return [by_stem[path.stem] for path in merged]


def _own(workspace: Workspace, out: Path) -> None:
    """Remember that this folder is ours, so that the next start may write there."""
    done = workspace.read_manifest("video") or {}
    films = sorted({*done.get("films", ()), str(out.absolute())})
    workspace.write_manifest("video", done | {"films": films})


def _empty(folder: Path) -> None:
    """Take away what an earlier start delivered: its list first, which vouches for the rest."""
    from understudy.provenance.container import sidecar_path
    from understudy.provenance.frame_list import list_path, listed_names

    old = listed_names(folder)
    remove_files([list_path(folder), sidecar_path(list_path(folder))])
    remove_files(folder / name for name in old)
    remove_leftovers(folder)
