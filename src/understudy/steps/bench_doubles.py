"""The whole way on two people whose perfect swap is known, and how near the result comes to it.

A folder with `src_a.mp4`, `dst_b.mp4`, the truth `swap_a_on_b.mp4` and what the renderer knows of
each (`.npz`) in, one row of measures out. With exact landmarks the network alone is judged, with
detected ones all of it; masks are the hull of the landmarks, the renderer's own or painted by the
mask that ships. Time counts while training only.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from understudy.errors import MaterialError
from understudy.job import Job
from understudy.steps.perform import perform
from understudy.workspace import Side, Workspace

SRC, DST, TRUTH = "src_a", "dst_b", "swap_a_on_b"
_FACE_PX = 256

LandmarkSource = Literal["detected", "exact"]
MaskSource = Literal["hull", "exact", "generic"]


def measure_doubles(
    doubles: Path,
    root: Path,
    *,
    landmarks: LandmarkSource,
    training: dict[str, Any],
    job: Job,
    masks: MaskSource = "hull",
    merging: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Measures of a result made in a new workspace at `root`.

    `training` are options of `train`, `merging` those of `merge`.

    Raises:
        MaterialError: a clip or what is known of it is missing.
    """
    from understudy.bench.record import measured
    from understudy.bench.score import score
    from understudy.options import parse
    from understudy.steps.merge import MergeOptions
    from understudy.steps.train import TrainStepOptions

    _check(doubles)
    workspace = Workspace.create(root)
    for side, clip in ((workspace.src, SRC), (workspace.dst, DST)):
        _faces(workspace, side, doubles / clip, landmarks=landmarks, job=job)
        _paint(workspace, side, doubles / clip, masks=masks, job=job)
    options = parse(TrainStepOptions, {"workspace": root, "model": "bench", **training})
    report: dict[str, Any] = {}

    def work() -> int:
        report.update(perform("train", options, job).to_json()["details"])
        return int(report["iteration"])

    asked = {k: v for k, v in training.items() if not isinstance(v, Path)}
    settings = {"landmarks": landmarks, "masks": masks, "training": asked, "config": None}
    row = measured("doubles", work, settings=settings, item="iteration")
    row["settings"]["config"] = report["config"]
    merge = parse(MergeOptions, {"workspace": root, "model": "bench", **(merging or {})})
    perform("merge", merge, job)
    row["settings"]["merging"] = dict(merging or {})
    files = (doubles / f"{TRUTH}.mp4", doubles / f"{TRUTH}.npz", doubles / f"{DST}.mp4")
    return row | {"score": score(workspace.merged_dir, *files)}


def _check(doubles: Path) -> None:
    wanted = [f"{name}{suffix}" for name in (SRC, DST, TRUTH) for suffix in (".mp4", ".npz")]
    missing = [name for name in wanted if not (doubles / name).is_file()]
    if missing:
        raise MaterialError(
            doubles,
            expected=f"clips {', '.join(wanted)}",
            found=f"no {missing[0]}",
            remedy="Give the folder of the rendered doubles with --doubles.",
        )


def _faces(
    workspace: Workspace, side: Side, clip: Path, *, landmarks: LandmarkSource, job: Job
) -> None:
    """Frames and faces of one side, by the detector's landmarks or by the renderer's own."""
    from understudy.steps.extract import ExtractOptions
    from understudy.steps.frames import FramesOptions

    video = clip.with_suffix(".mp4")
    frames = FramesOptions(workspace=workspace.root, side=side.name, video=(video,))
    perform("frames", frames, job)
    if landmarks == "detected":
        extract = ExtractOptions(workspace=workspace.root, side=side.name, debug="off")
        perform("extract", extract, job)
    else:
        _cut_exact(side, clip.with_suffix(".npz"))


def _cut_exact(side: Side, known: Path) -> None:
    import numpy as np

    from understudy.faces.extract import FoundFace, cut_face
    from understudy.faces.settings import ExtractSettings
    from understudy.facesets.dfl import write_face
    from understudy.media.images import list_images, read_pixels

    # The renderer counts from the corner of the first pixel, pictures from its centre.
    points = np.load(known)["landmarks68"].astype(np.float64) - 0.5
    settings = ExtractSettings(image_size=_FACE_PX)
    for path, own in zip(list_images(side.frames_dir), points, strict=True):
        low, high = np.floor(own.min(0)), np.ceil(own.max(0))
        box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        face = FoundFace(box, own, 1.0)
        sample = cut_face(read_pixels(path), face, settings, name=path.name)
        write_face(side.aligned_dir / f"{path.stem}_0.jpg", sample, durable=False)


def _paint(workspace: Workspace, side: Side, clip: Path, *, masks: MaskSource, job: Job) -> None:
    from understudy.steps.mask.apply import ApplyOptions

    if masks == "generic":
        apply = ApplyOptions(workspace=workspace.root, faces=side.name, generic=True)
        perform("mask apply", apply, job)
    elif masks == "exact":
        _paint_exact(side, clip.with_suffix(".npz"))


def _paint_exact(side: Side, known: Path) -> None:
    import cv2
    import numpy as np

    from understudy.facesets.dfl import write_face
    from understudy.facesets.faceset import Faceset
    from understudy.media.images import list_images

    visible = dict(zip(list_images(side.frames_dir), np.load(known)["face_visible"], strict=True))
    of_frame = {path.name: mask for path, mask in visible.items()}
    for face in Faceset.open(side.aligned_dir):
        size, frame = len(face.image), face.source_name or ""
        mask = of_frame[frame].astype(np.float32) / 255
        laid = cv2.warpAffine(mask, np.asarray(face.frame_to_face), (size, size))
        painted = replace(face, mask=np.clip(laid, 0, 1))
        write_face(side.aligned_dir / str(face.name), painted, durable=False)
