"""Faces out of frames: found, followed, aligned, saved with their landmarks."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from understudy.errors import MaterialError
from understudy.faces.settings import ExtractSettings
from understudy.files import make_dir, remove_leftovers
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.extract_frames import Redo, chosen_frames, frames_to_redo
from understudy.steps.extract_records import (
    Records,
    clear_way,
    faces_of,
    report_foreign,
    set_aside,
    take_up,
)
from understudy.steps.frames import frames_identity, read_frame_manifests
from understudy.steps.journal import Journal
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Side, SideName, Workspace

if TYPE_CHECKING:
    from understudy.faces.plausibility import Fault
    from understudy.steps.extract_masks import FaceMasks
    from understudy.steps.extract_work import Extractor, Keep, Models

# More threads than this wait for one another: Python itself runs in one at a time.
MOST_WORKERS = 16
WORKERS_PER_GPU = 4
_NAMED = 4  # of a list of faces or frames to look at
USUAL_RATE = 25.0  # frames a second, where the clip is not known


class ExtractOptions(StepOptions, ExtractSettings):
    """Options of `extract`."""

    side: SideName = argument("Which clip's frames: src or dst.")
    first: str = option("", "First frame to work on, by name or number.", group="Frames")
    last: str = option("", "Last frame to work on, by name or number.", group="Frames")
    every: int = option(1, "Take every Nth frame only.", group="Frames", ge=1)
    redo: Redo = option(
        "none",
        "Do finished frames again: all in the range, those whose debug picture was deleted, "
        "or those without a face.",
        group="Frames",
    )
    debug: Literal["auto", "on", "off"] = option(
        "auto", "Write frames with the landmarks drawn on them; auto = for dst only."
    )
    mask: Literal["none", "generic"] = option(
        "none", "Paint masks onto the faces in the same pass, by the mask that ships."
    )
    like: tuple[Path, ...] = option(
        (), "Pictures of one person: only faces like these are taken.", group="Person"
    )
    embedder: str = option("texture", "What tells people apart for --like.", group="Person")
    detector: str = option("blazeface", "What finds faces.", group="Detection")
    landmarker: str = option("mesh", "What finds landmarks in them.", group="Detection")
    device: str = option(
        "auto", "Where to run the networks: auto, cpu, cuda, cuda:0,cuda:1.", group="Machine"
    )
    restart: bool = option(False, "Begin anew; the faces of this side go to aligned_trash.")

    @property
    def draws(self) -> bool:
        """Whether debug pictures are written."""
        return self.debug == "on" or (self.debug == "auto" and self.side == "dst")


def extract(options: ExtractOptions, job: Job) -> Report:
    """The faceset of one side in `aligned`, one file per face.

    Raises:
        MaterialError: there are no frames, or no face in any of them.
        OptionError: faces made with other options are there and `restart` is off.
        FileError: a picture for `like` is missing.
    """
    from understudy.facesets.moves.edit import recover

    workspace = Workspace.open(options.workspace)
    side = workspace.side(options.side)
    paths = _frames(workspace, side, job)
    chosen = chosen_frames(paths, first=options.first, last=options.last, every=options.every)
    # Whatever may be refused (a detector's name, weights, a device) comes before faces are moved.
    extractor = _extractor(options, side, job) if options.restart else None
    remove_leftovers(side.aligned_dir)
    recover(side.aligned_dir)  # or faces that a killed step was moving seem to be gone
    records = Records.open(workspace, side.name, anew=options.restart)
    if not take_up(options, side, records, frames_identity(workspace, side.name), job=job):
        return report_foreign(side, chosen)
    again = frames_to_redo(options.redo, chosen, records.done, side)
    set_aside(side, records, again)
    todo = {path.name for _, path in chosen if path.name not in records.done.items}
    if options.redo in ("deleted", "faceless"):
        todo &= {path.name for path in again}
    if todo:
        extractor = extractor or _extractor(options, side, job)
        clear_way(side, todo, job)
        clips = read_frame_manifests(workspace, side.name)
        rate = float(clips[0].timing.rate) if clips else USUAL_RATE
        _work(options, extractor, records, chosen=chosen, todo=todo, rate=rate, job=job)
    done = sum(name in records.done.items for name in todo)
    found = len(faces_of(side))
    if not found:
        raise MaterialError(
            side.frames_dir,
            expected="a face in at least one frame",
            found=f"none in {counted(len(chosen), 'frame')}",
            remedy="Check the clip; smaller faces are found with a lower --min-face-px.",
        )
    report = _report(side, done=done, skipped=len(chosen) - len(todo), found=found)
    _tell(report, records, workspace, side)
    return report


def _frames(workspace: Workspace, side: Side, job: Job) -> tuple[Path, ...]:
    from understudy.media.images import list_unique_images

    listed = list_unique_images(side.frames_dir) if side.frames_dir.is_dir() else None
    if listed is None or not listed.paths:
        raise MaterialError(
            side.frames_dir,
            expected="frames",
            found="none",
            remedy=f"First: understudy frames {side.name} --workspace {workspace.root}",
        )
    for path in listed.shadowed:
        job.message(f"{path.name}: left out, another picture has its name")
    return listed.paths


def recorded_options(root: Path, side: SideName) -> dict[str, Any]:
    """Options the faces of a side were made with; empty if there is no record of any."""
    header = Journal(Workspace(root).manifests_dir / f"extract_{side}.jsonl").header
    names = ("detector", "landmarker", "like", "embedder")
    return {**header.get("settings", {}), **{n: header[n] for n in names if n in header}}


def _work(
    options: ExtractOptions,
    extractor: "Extractor",
    records: Records,
    *,
    chosen: tuple[tuple[int, Path], ...],
    todo: set[str],
    rate: float,
    job: Job,
) -> None:
    from understudy.steps.extract_work import make_smoother, placed_frames

    workers = _num_workers(options, job)
    painted = extractor.masks.record if extractor.masks else nullcontext()
    with records.found as found, records.done as done, painted:
        placed = placed_frames(
            extractor,
            chosen,
            todo=todo,
            found=found,
            smoother=make_smoother(options, rate=rate, every=options.every),
            job=job,
            workers=workers,
        )
        results = job.map(
            extractor.write,
            placed,
            total=len(chosen),
            done_before=len(chosen) - len(todo),
            name=lambda frame: frame.path.name,
            workers=workers,
        )
        for frame, files in results:
            if extractor.masks:
                extractor.masks.note(files)
            done.add(frame.path.name, files=files, tracks=list(frame.tracks))


def _num_workers(options: ExtractOptions, job: Job) -> int:
    from understudy.models.devices import default_threads

    if options.device.startswith("cuda"):
        return WORKERS_PER_GPU * len(options.device.split(","))
    return max(min(job.workers, default_threads(), MOST_WORKERS), 1)


def _extractor(options: ExtractOptions, side: Side, job: Job) -> "Extractor":
    """Networks on their devices, each loaded once, and the work that is done with them."""
    import cv2

    from understudy import weights
    from understudy.models.devices import choose_device, one_thread_each
    from understudy.steps.extract_work import Extractor, load_models
    from understudy.training.step.allocator import keep_freed_memory

    weights.get("mediapipe", tell=job.message)
    devices = [str(choose_device(name.strip())) for name in options.device.split(",")]
    models = [load_models(options.detector, options.landmarker, d) for d in devices]
    one_thread_each()
    cv2.setNumThreads(1)
    keep_freed_memory()  # or every layer's output is memory the system has to clear first
    keep = _person(options, models[0]) if options.like else None
    make_dir(side.aligned_dir)
    if options.draws:
        make_dir(side.debug_dir)
    masks = _masks(options, side, devices[0]) if options.mask == "generic" else None
    return Extractor(side, options, models=models, debug=options.draws, keep=keep, masks=masks)


def _masks(options: ExtractOptions, side: Side, device: str) -> "FaceMasks":
    """What paints masks onto faces as they are cut, and records that it did."""
    from understudy.models.devices import choose_device
    from understudy.steps.extract_masks import FaceMasks

    manifests_dir = Workspace.open(options.workspace).manifests_dir
    return FaceMasks(side.aligned_dir, manifests_dir, device=choose_device(device))


def _person(options: ExtractOptions, models: "Models") -> "Keep":
    from understudy.faces.identity.registry import EMBEDDERS
    from understudy.steps.extract_work import only_person

    return only_person(EMBEDDERS[options.embedder]("cpu"), options.like, options, models=models)


def _tell(report: Report, records: Records, workspace: Workspace, side: Side) -> None:
    """Frames the user may want to look at, in the report and for the page of manual work."""
    from understudy.steps.extract_work import doubtful, faults

    rows = records.done.items
    empty = sorted(name for name, row in rows.items() if not row["files"])
    wrong = faults(records.found)
    unsure = doubtful(records.done, records.found)
    report.details |= {
        "frames_without_face": len(empty),
        "frames_with_several": sum(len(row["files"]) > 1 for row in rows.values()),
        "misplaced": {fault: len(names) for fault, names in wrong.items()},
        "misplaced_frames": wrong,
        "doubtful_faces": unsure,
    }
    report.details["lines"] = _to_look_at(side, empty=empty, wrong=wrong, unsure=unsure)
    tracks = {
        file: track
        for row in rows.values()
        for file, track in zip(row["files"], row.get("tracks", ()), strict=False)
    }
    look = {"without_face": empty, "misplaced": wrong, "doubtful": unsure}
    workspace.write_manifest(f"look_{side.name}", look)
    workspace.write_manifest(f"tracks_{side.name}", {"tracks": tracks})


def _to_look_at(
    side: Side, *, empty: list[str], wrong: "dict[Fault, list[str]]", unsure: list[str]
) -> list[str]:
    """Lines for the user, with the names of the first few."""
    from understudy.faces.plausibility import FAULTS

    lines = []
    if empty:
        lines.append(f"{counted(len(empty), 'frame')} without a face: {_first(empty)}")
    for fault, names in wrong.items():
        what = counted(len(names), "fit")
        lines.append(f"{what} left out, since {FAULTS[fault]}: {_first(names)}")
    if unsure:
        what = f"{counted(len(unsure), 'face')} in {side.aligned_dir}"
        lines.append(f"{what} may be none, delete what is wrong: {_first(unsure)}")
    return [f"  {side.name}: {line}" for line in lines]


def _first(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _report(side: Side, *, done: int, skipped: int, found: int) -> Report:
    summary = f"{counted(found, 'face')} of {side.name}"
    return Report(
        "extract",
        done=done,
        skipped=skipped,
        outputs=[side.aligned_dir],
        details={"summary": summary, "unit": "frame", "faces": found},
    )
