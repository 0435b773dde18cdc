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
from understudy.steps.merge_networks import load_networks, load_predictor
from understudy.steps.perform import StepOptions
from understudy.types import Landmarks, Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.merging.motion import Motion
    from understudy.merging.predict import Networks, Predictor
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
    mask_model: str = option(
        "XSeg",
        "Mask model for the mask modes that name XSeg: one of this workspace, or generic, the one "
        "that ships.",
        group="Mask",
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
        *,
        networks: "Networks",
        motions: "dict[str, list[Motion]]",
    ) -> None:
        self._workspace = workspace
        self._predictor = predictor
        self._settings = settings
        self._faces = faces
        self._networks = networks
        self._motions = motions

    def key(self, frame: Path, made_by: str) -> str:
        """What the result of a frame follows from: the model, the settings, plate and faces."""
        plate = frame.stat()
        digest = hashlib.sha256(f"{made_by} {plate.st_size} {plate.st_mtime_ns}".encode())
        for landmarks in self._faces.get(frame.stem, ()):
            digest.update(np.asarray(landmarks, np.float64).tobytes())
        digest.update(repr(self._motions.get(frame.stem, ())).encode())
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
        merged, mask = merge_into(
            plate,
            faces,
            self._predictor,
            self._settings,
            motions=self._motions.get(frame.stem, ()),
            networks=self._networks,
            seed=_seed_of(frame),
        )
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
    predictor, model_facts = load_predictor(
        workspace, options.model, averaged=options.averaged, device=options.device, job=job
    )
    networks, network_facts = load_networks(
        workspace, options.mask_model, [settings], device=options.device, job=job
    )
    model_facts |= network_facts
    if options.place == "hair-line":
        settings = at_hair_line(settings, predictor, frames=frames, faces=faces, job=job)
    motions = motions_by_frame(frames, faces, settings) if settings.motion_blur else {}
    merger = Merger(workspace, predictor, settings, faces, networks=networks, motions=motions)
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
    plain = settings.model_copy(update={"mask_mode": "learned-prd", "super_resolution": 0.0})
    chosen = [
        having[i] for i in np.unique(np.linspace(0, len(having) - 1, PLACING_FACES, dtype=int))
    ]
    predictions = []
    for frame in chosen:
        job.check()
        plate = read_pixels(frame)
        predictions += [
            predict_face(plate, landmarks, predictor, plain).prediction
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


def _seed_of(frame: Path) -> int:
    """Random draws of a frame follow from its name, so that each repeats by itself."""
    return int.from_bytes(hashlib.sha256(frame.name.encode()).digest()[:4], "big")


def motions_by_frame(
    frames: Sequence[Path], faces: dict[str, list[Landmarks]], settings: MergeSettings
) -> "dict[str, list[Motion]]":
    """How each face of each frame moves, by the stem of the frame.

    A face goes on in the frames around as the nearest one there, if that is near enough to be it.
    In DFL's way only the first face counts, and none moves if any frame has several.
    """
    from understudy.merging.motion import motions_of, nearest_face

    each = [faces.get(frame.stem, []) for frame in frames]
    if settings.dfl_parity:
        if any(len(found) > 1 for found in each):
            return {}
        firsts = motions_of([found[0] if found else None for found in each], dfl_parity=True)
        pairs = zip(frames, each, firsts, strict=True)
        return {frame.stem: [motion] for frame, found, motion in pairs if found}
    motions = {}
    for place, frame in enumerate(frames):
        around = [each[max(place - 1, 0)], each[place], each[min(place + 1, len(each) - 1)]]
        rows = ([nearest_face(face, found) for found in around] for face in each[place])
        motions[frame.stem] = [motions_of(row)[1] for row in rows]
    return motions


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
