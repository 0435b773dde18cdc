"""Put the model's faces into the frames of dst."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from understudy.errors import MaterialError
from understudy.files import make_dir, remove_leftovers, write_json
from understudy.job import Job
from understudy.merging.settings import MergeSettings
from understudy.options import option
from understudy.steps.journal import Journal
from understudy.steps.perform import StepOptions
from understudy.types import Landmarks, Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.merging.predict import Predictor
    from understudy.models.predictor import FacePredictor

SESSION = "merge.json"
SESSION_VERSION = 1
PLACING_FACES = 24
"""Faces, spread over the clip, that are looked at to place all of them."""

Place = Literal["features", "hair-line"]


class MergeOptions(StepOptions, MergeSettings):
    """Options of `merge`."""

    model: str = option("new", "Name of the model.", group="Model")
    device: str = option("auto", "Where to run the model: auto, cpu, cuda.", group="Machine")
    morph: float = option(
        1.0,
        "How far an AMP model goes from the dst face (0) to the src face (1).",
        group="Model",
        ge=0,
        le=1,
    )
    place: Place = option(
        "features",
        "Where faces go: features on features, or moved up or down so that the swap meets the "
        "plate's hair line, for models trained with painted masks.",
        group="Face",
    )
    averaged: bool = option(True, "Use the averaged weights where there are any.", group="Model")


class Merger:
    """Merges one frame after another, each as its own item of the step."""

    def __init__(
        self,
        workspace: Workspace,
        predictor: "FacePredictor",
        settings: MergeSettings,
        faces: dict[str, list[Landmarks]],
    ) -> None:
        self._workspace = workspace
        self._predictor = predictor
        self._settings = settings
        self._faces = faces

    def key(self, frame: Path, made_by: str) -> str:
        """What the result of a frame follows from: the model, the settings, plate and faces."""
        plate = frame.stat()
        digest = hashlib.sha256(f"{made_by} {plate.st_size} {plate.st_mtime_ns}".encode())
        for landmarks in self._faces.get(frame.stem, ()):
            digest.update(np.asarray(landmarks, np.float64).tobytes())
        return digest.hexdigest()[:16]

    def outputs(self, frame: Path) -> tuple[Path, Path]:
        """Where the finished frame and its mask go."""
        name = f"{frame.stem}.png"
        return self._workspace.merged_dir / name, self._workspace.merged_mask_dir / name

    def merge(self, frame: Path) -> int:
        """Number of faces replaced in one frame; writes the picture and the mask."""
        from understudy.media.images import read_pixels, write_image, write_mask
        from understudy.merging.merge import merge_into

        plate = read_pixels(frame)
        faces = self._faces.get(frame.stem, [])
        merged, mask = merge_into(plate, faces, self._predictor, self._settings)
        picture_path, mask_path = self.outputs(frame)
        write_mask(mask_path, mask)
        write_image(picture_path, merged)
        return len(faces)


def merge(options: MergeOptions, job: Job) -> Report:
    """Finished frames in `merged`, their masks in `merged_mask`.

    Raises:
        MaterialError: there are no frames or no faces of dst, or no trained model.
    """
    from understudy.media.images import list_unique_images

    workspace = Workspace.open(options.workspace)
    frames_dir = workspace.dst.frames_dir
    frames = list_unique_images(frames_dir).paths if frames_dir.is_dir() else ()
    if not frames:
        raise MaterialError(
            frames_dir,
            expected="frames",
            found="none",
            remedy=f"First: understudy frames dst --workspace {workspace.root}",
        )
    faces = faces_by_frame(workspace, frames, job)
    settings = MergeSettings(**{n: getattr(options, n) for n in MergeSettings.model_fields})
    predictor, model_facts = load_predictor(workspace, options, job)
    if options.place == "hair-line":
        settings = at_hair_line(settings, predictor, frames=frames, faces=faces, job=job)
    merger = Merger(workspace, predictor, settings, faces)
    made_by = _hash({"settings": settings.model_dump(mode="json"), "model": model_facts})
    for folder in (workspace.merged_dir, workspace.merged_mask_dir):
        remove_leftovers(make_dir(folder))
    session = {
        "version": SESSION_VERSION,
        "model": model_facts,
        "keyframes": [{"frame": frames[0].name, "settings": settings.model_dump(mode="json")}],
        "made_by": made_by,
        "frames": len(frames),
    }
    write_json(workspace.root / SESSION, session | {"complete": False})
    journal = Journal(workspace.manifests_dir / "merge.jsonl")
    if not journal.header:
        journal.begin({"version": SESSION_VERSION})
    keys = {frame: merger.key(frame, made_by) for frame in frames}
    todo = [frame for frame in frames if not _is_done(merger, journal, frame, keys[frame])]
    skipped, done, replaced = len(frames) - len(todo), 0, 0
    with journal:
        results = job.map(
            merger.merge, todo, total=len(frames), done_before=skipped, name=lambda p: p.name
        )
        for frame, count in results:
            journal.add(frame.name, key=keys[frame], faces=count)
            done, replaced = done + 1, replaced + count
    write_json(workspace.root / SESSION, session | {"complete": done == len(todo)})
    report = Report("merge", done=done, skipped=skipped)
    report.outputs = [workspace.merged_dir]
    report.details = {
        "summary": f"{counted(skipped + done, 'frame')} merged",
        "unit": "frame",
        "faces": replaced,
        "made_by": made_by,
        "model": model_facts,
    }
    return report


def at_hair_line(
    settings: MergeSettings,
    predictor: "Predictor",
    *,
    frames: Sequence[Path],
    faces: dict[str, list[Landmarks]],
    job: Job,
) -> MergeSettings:
    """`settings` with the shift that lets the swap meet the plate's hair line, beside their own."""
    from understudy.media.images import read_pixels
    from understudy.merging.placing import shift_to_hair_line
    from understudy.merging.predict import predict_face

    having = [frame for frame in frames if faces.get(frame.stem)]
    chosen = [
        having[i] for i in np.unique(np.linspace(0, len(having) - 1, PLACING_FACES, dtype=int))
    ]
    predictions = []
    for frame in chosen:
        job.check()
        plate = read_pixels(frame)
        predictions += [
            predict_face(plate, landmarks, predictor, settings)[1]
            for landmarks in faces[frame.stem]
        ]
    shift = shift_to_hair_line(predictions)
    if shift is None:
        job.message("the masks show no hair line to meet: faces are placed by their features")
        return settings
    job.message(
        f"faces are moved {abs(shift):.1f} % {'down' if shift > 0 else 'up'}, to the hair line"
    )
    return settings.model_copy(update={"face_down": settings.face_down + shift})


def _is_done(merger: Merger, journal: Journal, frame: Path, key: str) -> bool:
    row = journal.items.get(frame.name)
    return row is not None and row["key"] == key and all(p.exists() for p in merger.outputs(frame))


def _hash(value: Any) -> str:  # any JSON value
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def faces_by_frame(
    workspace: Workspace, frames: Sequence[Path], job: Job
) -> dict[str, list[Landmarks]]:
    """Landmarks of all faces of dst by the stem of their frame, in the order of the faceset.

    Faces that can't be read are recorded as failed.

    Raises:
        MaterialError: the faceset is missing or empty, or of other frames than these.
    """
    from understudy.facesets.faceset import Faceset

    faces: dict[str, list[Landmarks]] = defaultdict(list)
    faceset = Faceset.open(workspace.dst.aligned_dir)
    for sample in faceset:
        if sample.source_name is not None and sample.source_landmarks is not None:
            faces[Path(sample.source_name).stem].append(sample.source_landmarks)
    for failure in faceset.skipped:
        job.fail(failure.item, failure.reason)
    if faces.keys().isdisjoint(frame.stem for frame in frames):
        raise MaterialError(
            workspace.dst.aligned_dir,
            expected="faces out of the frames of dst",
            found="none whose frame is there",
            remedy=f"First: understudy extract dst --restart --workspace {workspace.root}",
        )
    return dict(faces)


def load_predictor(
    workspace: Workspace, options: MergeOptions, job: Job
) -> tuple["FacePredictor", dict[str, Any]]:
    """The trained model as a function, and what identifies it.

    Raises:
        MaterialError: there is no such model.
        StateError: it can't be loaded.
    """
    from understudy.models.devices import all_threads, choose_device
    from understudy.models.face_model import as_face_model
    from understudy.models.predictor import FacePredictor
    from understudy.training.state.model_folder import load_model

    path = workspace.model_dir / options.model
    if not path.is_dir():
        raise MaterialError(
            path,
            expected="a trained model",
            found="none",
            remedy=f"First: understudy train --workspace {workspace.root}",
        )
    all_threads()
    loaded = load_model(path, job.message, averaged=options.averaged)
    facts = {
        "name": options.model,
        "iteration": loaded.iteration,
        "averaged": options.averaged,
        "sha256": loaded.sha256,
    }
    if loaded.model.config.kind == "AMP":
        facts["morph"] = options.morph
    device = choose_device(options.device)
    predictor = FacePredictor(as_face_model(loaded.model), device=device, morph=options.morph)
    return predictor, facts
