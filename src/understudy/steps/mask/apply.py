"""Paint masks onto faces with a mask model."""

from typing import TYPE_CHECKING, Any

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.faceset.left_out import tell_left_out
from understudy.steps.faceset.measured import refuse_pak
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.models.mask_net import MaskModel

BOTH = ("src", "dst")


class ApplyOptions(StepOptions):
    """Options of `mask apply`."""

    faces: str = argument("Which faces: src, dst, both or a folder.", default="both")
    model: str = option("XSeg", "Name of the mask model.", group="Model")
    generic: bool = option(False, "Use the mask that ships instead of a model.", group="Model")
    averaged: bool = option(True, "Use the averaged weights where there are any.", group="Model")
    soft: bool = option(
        False, "Keep how sure the net is of each pixel; otherwise black and white.", group="Mask"
    )
    smooth: int = option(
        0,
        "Frames before and after whose masks count too, along each person's track; 0 = none.",
        group="Mask",
        ge=0,
        le=12,
    )
    replace: bool = option(
        False,
        "Also faces whose mask was not painted by this command; as they were, they go to the "
        "trash.",
    )
    restart: bool = option(False, "Paint faces anew that are done already.")
    batch_size: int = option(8, "Faces painted at once.", group="Machine", ge=1, le=256)
    device: str = option("auto", "Where to run the net: auto, cpu, cuda.", group="Machine")


def apply(options: ApplyOptions, job: Job) -> Report:
    """The faces with the masks the model paints; their pixels and labels stay as they are.

    Raises:
        MaterialError: there are no faces, or no such model.
        FileError: the faces are in a pak, or have masks from elsewhere and `replace` is off.
        WeightsError: the mask that ships is not there.
    """
    from understudy.facesets.faceset import Faceset
    from understudy.masks.painter import MaskPainter
    from understudy.models.devices import all_threads, choose_device
    from understudy.steps.mask.apply_work import Painting, frames_in_time

    workspace = Workspace.open(options.workspace)
    facesets = []
    for name in _names(options, workspace):
        folder = workspace.faceset_dir(name)
        refuse_pak(folder, name)
        facesets.append((name, Faceset.open(folder)))
    all_threads()
    model, made_by = _model(options, workspace, job)
    painter = MaskPainter(model, device=choose_device(options.device))
    made_by |= {"soft": options.soft, "smooth": options.smooth}
    paintings = []
    for name, faceset in facesets:
        tracks = _tracks(workspace, name) if options.smooth else {}
        painting = Painting(
            faceset,
            painter,
            manifests_dir=workspace.manifests_dir,
            made_by=made_by,
            frames=frames_in_time(faceset, tracks),
            soft=options.soft,
            clean=options.generic,
            reach=options.smooth,
        )
        painting.check_may_replace(name, replace=options.replace, restart=options.restart)
        paintings.append((name, painting))
    report = Report("mask apply")
    counts = {}
    for name, painting in paintings:
        done = painting.run(job, batch_size=options.batch_size)
        counts[name] = done
        report.done, report.skipped = report.done + done, report.skipped + painting.num_finished
        report.outputs.append(painting.faceset.folder)
        tell_left_out(painting.faceset, job)
        if painting.kept_dir is not None:
            job.message(f"faces of {name} with their former masks lie in {painting.kept_dir}")
    report.details = {
        "summary": f"masks on {counted(report.done, 'face')}",
        "faces": counts,
        "model": made_by,
    }
    return report


def _names(options: ApplyOptions, workspace: Workspace) -> tuple[str, ...]:
    """The facesets meant; of both those that are there."""
    from understudy.errors import MaterialError

    if options.faces != "both":
        return (options.faces,)
    sides = (workspace.src, workspace.dst)
    found = tuple(
        side.name for side in sides if side.aligned_dir.is_dir() and any(side.aligned_dir.iterdir())
    )
    if not found:
        raise MaterialError(
            workspace.root,
            expected="faces of src or dst",
            found="none",
            remedy=f"First: understudy extract dst --workspace {workspace.root}",
        )
    return found


def _model(
    options: ApplyOptions, workspace: Workspace, job: Job
) -> tuple["MaskModel", dict[str, Any]]:
    """The model, and what identifies it."""
    from understudy.errors import MaterialError
    from understudy.models.mask_net import as_mask_model
    from understudy.training.state.model_folder import load_model

    if options.generic:
        from understudy.masks.generic import generic_sha256, how_good, load_generic

        generic = load_generic()
        job.message(how_good())
        return generic, {"name": "generic", "sha256": generic_sha256()}
    path = workspace.model_dir / options.model
    if not (path / "config.json").exists():
        raise MaterialError(
            path,
            expected="a mask model",
            found="none",
            remedy="First: understudy mask train; or use the mask that ships: --generic",
        )
    loaded = load_model(path, job.message, averaged=options.averaged)
    facts = {
        "name": options.model,
        "iteration": loaded.iteration,
        "averaged": options.averaged,
        "sha256": loaded.sha256,
    }
    return as_mask_model(loaded.model), facts


def _tracks(workspace: Workspace, name: str) -> dict[str, Any]:
    """Which person each file shows, as extraction followed them; empty if that is not known."""
    manifest = workspace.read_manifest(f"tracks_{name}") if name in BOTH else None
    tracks = (manifest or {}).get("tracks", {})
    return dict(tracks) if isinstance(tracks, dict) else {}
