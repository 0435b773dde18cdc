"""Faces out of frames: found, aligned, saved with their landmarks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import FileError, FormatError, MaterialError, OptionError
from understudy.faces.settings import ExtractSettings
from understudy.files import make_dir, remove_files, remove_leftovers
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.frames import frames_identity
from understudy.steps.journal import Journal
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Side, SideName, Workspace

if TYPE_CHECKING:
    from understudy.media.images import Pixels

# Frames that go through the networks together: fewer cost more each, more wait for one another.
BATCH = 6
Worker = Callable[[tuple[Path, ...]], dict[str, list[str]]]
FACE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".pak")


class ExtractOptions(StepOptions, ExtractSettings):
    """Options of `extract`."""

    side: SideName = argument("Which clip's frames: src or dst.")
    detector: str = option("blazeface", "What finds faces.", group="Detection")
    landmarker: str = option("mesh", "What finds landmarks in them.", group="Detection")
    device: str = option("auto", "Where to run the networks: auto, cpu, cuda.", group="Machine")
    restart: bool = option(False, "Delete the faces of this side and begin anew.")


def extract(options: ExtractOptions, job: Job) -> Report:
    """The faceset of one side in `aligned`, one JPEG per face.

    Raises:
        MaterialError: there are no frames, or no face in any of them.
        OptionError: faces made with other options are there and `restart` is off.
    """
    from understudy.media.images import list_unique_images

    workspace = Workspace.open(options.workspace)
    side = workspace.side(options.side)
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
    # Whatever may be refused (a detector's name, weights, a device) comes before faces are deleted.
    worker = _extractor(options, side, job) if options.restart else None
    remove_leftovers(side.aligned_dir)
    journal = Journal(workspace.manifests_dir / f"extract_{side.name}.jsonl", anew=options.restart)
    kept = _take_up(options, side, journal, frames_identity(workspace, side.name))
    if kept is not None:
        return _report(side, done=0, skipped=len(listed.paths), found=kept)
    todo = [path for path in listed.paths if path.name not in journal.items]
    skipped = len(listed.paths) - len(todo)
    if todo:
        with journal:
            worker = worker or _extractor(options, side, job)
            _work(worker, journal, todo, total=len(listed.paths), job=job)
    done = sum(path.name in journal.items for path in todo)
    found = len(_faces(side))
    if not found:
        raise MaterialError(
            side.frames_dir,
            expected="a face in at least one frame",
            found=f"none in {len(listed.paths)} frames",
            remedy="Check the clip; smaller faces are found with a lower --min-face-px.",
        )
    report = _report(side, done=done, skipped=skipped, found=found)
    empty = sum(not row["files"] for row in journal.items.values())
    several = sum(len(row["files"]) > 1 for row in journal.items.values())
    report.details |= {"frames_without_face": empty, "frames_with_several": several}
    report.details["summary"] += f" ({empty} without a face)" if empty else ""
    return report


def _take_up(
    options: ExtractOptions, side: Side, journal: Journal, frames: list[list[Any]] | None
) -> int | None:
    """Number of faces if the faceset is the user's own and stays as it is; else None."""
    made_with = {
        "settings": options.model_dump(mode="json", include=set(ExtractSettings.model_fields)),
        "detector": options.detector,
        "landmarker": options.landmarker,
        "frames": frames,
    }
    faces = _faces(side)
    if options.restart:
        remove_files(faces)
        journal.begin(made_with)
    elif not journal.header:
        if faces:
            return len(faces)
        journal.begin(made_with)
    elif not faces and any(row["files"] for row in journal.items.values()):
        journal.begin(made_with)  # the user took all of them away
    elif {"frames": frames, **journal.header} != made_with:  # early records name no frames
        raise OptionError(
            side.aligned_dir,
            expected="the frames and options these faces were made with",
            found=_difference(journal.header, made_with),
            remedy="Add --restart to delete these faces, or repeat the old options.",
        )
    return None


def recorded_options(root: Path, side: SideName) -> dict[str, Any]:
    """Options the faces of a side were made with; empty if there is no record of any."""
    header = Journal(Workspace(root).manifests_dir / f"extract_{side}.jsonl").header
    named = {name: header[name] for name in ("detector", "landmarker") if name in header}
    return {**header.get("settings", {}), **named}


def _faces(side: Side) -> list[Path]:
    if not side.aligned_dir.is_dir():
        return []
    found = [*side.aligned_dir.glob("*"), *side.aligned_dir.glob("*/*")]  # persons have folders
    return [p for p in found if p.suffix.lower() in FACE_SUFFIXES and p.is_file()]


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    old = {**before.get("settings", {}), **{k: v for k, v in before.items() if k != "settings"}}
    new = {**now["settings"], **{k: v for k, v in now.items() if k != "settings"}}
    changed = [k for k in new if old.get(k) != new[k]]
    return ", ".join(f"{k} {old.get(k)} before, {new[k]} now" for k in changed)


def _work(worker: Worker, journal: Journal, todo: list[Path], *, total: int, job: Job) -> None:
    batches = [tuple(todo[i : i + BATCH]) for i in range(0, len(todo), BATCH)]
    results = job.map(
        worker,
        batches,
        total=total,
        done_before=total - len(todo),
        name=lambda batch: ", ".join(path.name for path in batch),
        count=len,
    )
    for _, finished in results:
        for frame, files in finished.items():
            journal.add(frame, files=files)


def _extractor(options: ExtractOptions, side: Side, job: Job) -> Worker:
    """The work on a few frames: names of the faces written, by frame."""
    import cv2

    from understudy import weights
    from understudy.faces.detectors.registry import DETECTORS
    from understudy.faces.extract import extract_batch
    from understudy.faces.landmarkers.registry import LANDMARKERS
    from understudy.facesets.dfl import write_face
    from understudy.models.devices import choose_device, one_thread_each
    from understudy.training.allocator import keep_freed_memory

    weights.get("mediapipe", tell=job.message)
    device = str(choose_device(options.device))
    detector = DETECTORS[options.detector](device)
    landmarker = LANDMARKERS[options.landmarker](device)
    one_thread_each()
    cv2.setNumThreads(1)
    keep_freed_memory()  # or every layer's output is memory the system has to clear first
    make_dir(side.aligned_dir)

    def faces_of(batch: tuple[Path, ...]) -> dict[str, list[str]]:
        frames = _readable(batch, job)
        found = extract_batch(list(frames.values()), detector, landmarker, options)
        written: dict[str, list[str]] = {}
        for frame, samples in zip(frames, found, strict=True):
            written[frame.name] = []
            for index, sample in enumerate(samples):
                name = f"{frame.stem}_{index}{'.png' if options.lossless else '.jpg'}"
                named = replace(sample, source_name=frame.name)
                path = side.aligned_dir / name
                write_face(path, named, quality=options.jpeg_quality, durable=False)
                written[frame.name].append(name)
        return written

    return faces_of


def _readable(paths: tuple[Path, ...], job: Job) -> dict[Path, "Pixels"]:
    """Pixels of the frames that can be read; the others are recorded as failed."""
    from understudy.media.images import read_pixels

    frames = {}
    for path in paths:
        try:
            frames[path] = read_pixels(path)
        except (FileError, FormatError) as error:
            job.fail(path.name, str(error))
    return frames


def _report(side: Side, *, done: int, skipped: int, found: int) -> Report:
    summary = f"{found} faces of {side.name}"
    return Report(
        "extract",
        done=done,
        skipped=skipped,
        outputs=[side.aligned_dir],
        details={"summary": summary, "faces": found},
    )
