"""Put the model's faces into the frames of dst."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from understudy.errors import MaterialError, OptionError
from understudy.files import make_dir, remove_leftovers, write_json
from understudy.job import Job
from understudy.merging.settings import MergeSettings
from understudy.options import option
from understudy.steps.extract_frames import chosen_frames, frame_place
from understudy.steps.journal import Journal
from understudy.steps.merge_networks import load_networks, load_predictor
from understudy.steps.merge_plan import SESSION, SESSION_VERSION, plan_merge
from understudy.steps.merge_work import FrameWork, Merger, keys_of, work_along
from understudy.steps.perform import StepOptions
from understudy.types import Landmarks, Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.merging.predict import Predictor

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
    first: str = option("", "First frame to merge, by name or number.", group="Frames")
    last: str = option("", "Last frame to merge, by name or number.", group="Frames")
    frame: str = option(
        "", "Merge only this frame, by name or number, into a file of its own.", group="Frames"
    )
    out: Path | None = option(
        None, "File for --frame; without it FRAME_merged.png in the workspace.", group="Frames"
    )
    overwrite: bool = option(False, "Replace the file of --frame.", group="Frames")
    at: str = option(
        "",
        "Keep the settings given as a keyframe at this frame. Between keyframes of a shot numbers "
        "go over evenly, and choices hold until the next; cuts are found by themselves.",
        group="Keyframes",
    )
    drop_key: bool = option(False, "Take the keyframe at that frame away.", group="Keyframes")
    replace_keys: bool = option(
        False,
        "Merge all frames with the settings given, and forget the keyframes.",
        group="Keyframes",
    )


def merge(options: MergeOptions, job: Job) -> Report:
    """Finished frames in `merged`, their masks in `merged_mask`; what is right is left as it is.

    Raises:
        MaterialError: there are no frames or no faces of dst, or no trained model.
        OptionError: the settings don't go with the keyframes of the session.
    """
    workspace = Workspace.open(options.workspace)
    frames = frames_of(workspace)
    faces = faces_by_frame(workspace, frames, job)
    chosen = {
        path for _, path in chosen_frames(frames, first=options.first, last=options.last, every=1)
    }
    given = {name: getattr(options, name) for name in _given(options)}
    keys = {name: getattr(options, name) for name in ("at", "drop_key", "replace_keys")}
    plan = plan_merge(workspace, frames, given, **keys, job=job)
    predictor, model_facts = load_predictor(
        workspace, options.model, averaged=options.averaged, device=options.device, job=job
    )
    networks, network_facts = load_networks(
        workspace, options.mask_model, plan.settings, device=options.device, job=job
    )
    model_facts |= network_facts
    settings, down = plan.settings, 0.0
    if options.place == "hair-line":
        placed = at_hair_line(settings[0], predictor, frames=frames, faces=faces, job=job)
        down = placed.face_down - settings[0].face_down
        settings = [one.model_copy(update={"face_down": one.face_down + down}) for one in settings]
    work = work_along(frames, faces, settings, cuts=plan.cuts or ())
    merger = Merger(workspace, work, predictor, networks, workers=job.workers)
    if options.frame:
        return _one_frame(merger, work[frame_place(frames, options.frame, "--frame")], options)
    for folder in (workspace.merged_dir, workspace.merged_mask_dir):
        remove_leftovers(make_dir(folder))
    session = {"version": SESSION_VERSION, "model": model_facts, "placed_down": down}
    session |= plan.to_json(frames)
    made_by = session["made_by"] = _hash(session)
    write_json(workspace.root / SESSION, session | {"complete": False})
    report = _merge_all(merger, work, chosen, made_by=model_facts, job=job)
    write_json(workspace.root / SESSION, session | {"complete": report.details["complete"]})
    report.outputs = [workspace.merged_dir]
    report.details |= {"made_by": made_by, "model": model_facts}
    return report


def _given(options: MergeOptions) -> list[str]:
    """Names of the settings that were said, not left at their default."""
    return [name for name in MergeSettings.model_fields if name in options.model_fields_set]


def _merge_all(
    merger: Merger,
    work: Sequence[FrameWork],
    chosen: Collection[Path],
    *,
    made_by: Mapping[str, Any],
    job: Job,
) -> Report:
    """Merges those of the chosen frames that are not as they would be made now."""
    workspace = merger.workspace
    journal = Journal(workspace.manifests_dir / "merge.jsonl")
    if not journal.header:
        journal.begin({"version": SESSION_VERSION})
    keys = keys_of(work, made_by)
    stale = [one for one in work if not merger.is_done(one, journal, keys[one.path])]
    todo = [one for one in stale if one.path in chosen]
    skipped, done, replaced = len(chosen) - len(todo), 0, 0
    with journal:
        results = job.map(
            merger.merge,
            todo,
            total=len(chosen),
            done_before=skipped,
            name=lambda one: one.path.name,
        )
        for one, count in results:
            journal.add(one.path.name, key=keys[one.path], faces=count)
            done, replaced = done + 1, replaced + count
    report = Report("merge", done=done, skipped=skipped)
    report.details = {
        "summary": f"{counted(skipped + done, 'frame')} merged",
        "unit": "frame",
        "faces": replaced,
        "complete": done == len(stale),
    }
    return report


def _one_frame(merger: Merger, work: FrameWork, options: MergeOptions) -> Report:
    """One frame to a file of its own; the session stays as it is."""
    from understudy.media.images import write_image

    out = options.out or options.workspace / f"{work.path.stem}_merged.png"
    if out.exists() and not options.overwrite:
        raise OptionError(
            "--out",
            expected="a file that is not there yet",
            found=str(out),
            remedy="Choose another name, or allow it by --overwrite.",
        )
    picture, _ = merger.render(work)
    write_image(out, picture)
    summary = f"{work.path.name} merged"
    return Report("merge", done=1, outputs=[out], details={"summary": summary, "unit": "frame"})


def frames_of(workspace: Workspace) -> Sequence[Path]:
    """The frames of dst.

    Raises:
        MaterialError: there are none.
    """
    from understudy.media.images import list_unique_images

    frames_dir = workspace.dst.frames_dir
    frames = list_unique_images(frames_dir).paths if frames_dir.is_dir() else ()
    if not frames:
        raise MaterialError(
            frames_dir,
            expected="frames",
            found="none",
            remedy=f"First: understudy frames dst --workspace {workspace.root}",
        )
    return frames


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
        job.message(
            "the masks show no hair line to meet, or one too far off: faces are placed by their "
            "features"
        )
        return settings
    job.message(
        f"faces are moved {abs(shift):.1f} % {'down' if shift > 0 else 'up'}, to the hair line"
    )
    return settings.model_copy(update={"face_down": settings.face_down + shift})


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
