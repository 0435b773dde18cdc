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
from understudy.steps.perform import StepOptions
from understudy.steps.video import check_out, merge_session, merged_frames
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.merging.settings import MergeSettings


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
    from understudy.media.images import list_unique_images
    from understudy.steps.comp_package import CompPackage
    from understudy.steps.marks import sign_in_place

    workspace = Workspace.open(options.workspace)
    clips = (*clip_paths(workspace, "src"), *clip_paths(workspace, "dst"))
    check_out(options.out, workspace, clips=clips, overwrite=options.overwrite)
    session = merge_session(workspace)
    if not session:
        raise MaterialError(
            workspace.root,
            expected="frames merged by this program",
            found="none, so there is no model to ask for its face",
            remedy=f"First: understudy merge --workspace {workspace.root}",
        )
    parts = read_frame_manifests(workspace, "dst")
    merged = merged_frames(workspace, parts)
    plates = plates_of(workspace, list_unique_images(workspace.dst.frames_dir).paths, merged)
    faces = faces_by_frame(workspace, plates, job)
    model = session["model"]
    predictor, facts = load_predictor(
        workspace,
        model["name"],
        averaged=model.get("averaged", True),
        device=options.device,
        job=job,
    )
    notices = _notices(session, facts)
    for notice in notices:
        job.message(notice)
    _own(workspace, options.out)
    package = CompPackage(
        make_dir(options.out),
        predictor=predictor,
        settings=_settings(session),
        bit_depth=options.bit_depth or None,
    )
    _empty(package.folder)
    work = list(zip(plates, merged, strict=True))

    def one(item: tuple[Path, Path]) -> dict[str, Any]:
        plate, final = item
        return package.write(
            plate, final, workspace.merged_mask_dir / final.name, faces.get(plate.stem, ())
        )

    rows = job.map(one, work, total=len(work), name=lambda item: item[0].name)
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


def _settings(session: dict[str, Any]) -> "MergeSettings":
    """Those the frames were merged with, but that no other network is asked for its part."""
    from understudy.merging.settings import MergeSettings

    settings = session["keyframes"][0]["settings"]
    return MergeSettings(**settings | {"mask_mode": "learned-dst", "super_resolution": 0.0})


def _notices(session: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    if session["model"].get("sha256") == facts["sha256"]:
        return []
    return ["the model was trained on since merging, so the raw prediction is of a later state"]


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
