"""Measure extraction, sorting, training and its samples, masks, merging or the whole way."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

from understudy.bench.cases import CASES
from understudy.errors import OptionError
from understudy.job import Job
from understudy.models.config import ModelConfig
from understudy.options import argument, option, parse
from understudy.processes import is_further_one
from understudy.steps.bench_doubles import LandmarkSource, MaskSource
from understudy.steps.demo import CLIPS
from understudy.steps.merge import Place
from understudy.steps.perform import LooseOptions, perform
from understudy.steps.sort import SortName
from understudy.steps.train import PresetName
from understudy.training.plan.options import ColorTransferName, TrainOptions
from understudy.types import Report

WARM_UP = 6  # frames
SHAPE = ("resolution", "archi", "ae_dims", "e_dims", "d_dims", "d_mask_dims")
MergeCase = Literal[
    "overlay",
    "hist-match",
    "seamless",
    "erode-blur",
    "idt",
    "mix-m",
    "sot-m",
    "motion-blur",
    "sharpen",
    "denoise",
    "color-degrade",
    "4k",
]
CaseName = Literal["df-ud-64", "df-ud-128", "liae-ud-128"]


class BenchOptions(LooseOptions):
    """Options of `bench`."""

    what: Literal["extract", "sort", "sample", "train", "scaling", "mask", "merge", "doubles"] = (
        argument("What to measure.")
    )
    frames: int = option(0, "Frames to extract or merge; 0 = 60 or 8.", ge=0)
    video: Path | None = option(None, "Clip to extract faces from; without it a 640x480 plate.")
    by: SortName = option("hist", "What to sort by.", group="Sorting")
    faces: int = option(1000, "Faces to sort.", group="Sorting", ge=1)
    faceset: Path | None = option(
        None, "Faces to make those to sort from; without it frames of a clip.", group="Sorting"
    )
    doubles: Path | None = option(
        None, "Folder of the rendered doubles: clips, truth and .npz.", group="Doubles"
    )
    landmarks: LandmarkSource = option(
        "detected", "Landmarks as found, or the renderer's own.", group="Doubles"
    )
    masks: MaskSource = option(
        "hull",
        "Masks to learn: the hull of the landmarks, the renderer's own, or painted by the mask "
        "that ships.",
        group="Doubles",
    )
    minutes: float = option(10.0, "Train this long.", group="Doubles", gt=0)
    preset: PresetName = option("demo", "Model and training.", group="Doubles")
    recipe: str | None = option(
        None, "Recipe to train by instead of a preset: its name or file.", group="Doubles"
    )
    place: Place = option("features", "Where the face sits on the plate's head.", group="Doubles")
    seed: int = option(0, "Fixes every random draw.", group="Doubles", ge=0)
    keep: Path | None = option(
        None,
        "New workspace to work in, kept afterwards; without it a temporary one.",
        group="Doubles",
    )
    iterations: int = option(10, "Training iterations, or batches of samples.", ge=1)
    repeats: int = option(
        1, "Measure this often and tell the best, on a machine with other work to do.", ge=1
    )
    case: CaseName | None = option(
        None, "Model and batch to train: one of those with a goal.", group="Model"
    )
    merge_case: MergeCase = option(
        "overlay", "What to merge with beside the default settings.", group="Merging"
    )
    reference: bool = option(
        False,
        "Train as a straight port does, too: float32, torch's own optimizer; and tell the ratio.",
        group="Model",
    )
    ct_mode: ColorTransferName = option("none", "Colour transfer of samples.")
    resolution: int = option(128, "Side of the model's face.", group="Model", ge=32, le=640)
    archi: str = option("df-ud", "Architecture of the model.", group="Model")
    ae_dims: int = option(128, "Width of the bottleneck.", group="Model", ge=8, le=1024)
    e_dims: int = option(64, "Width of the encoder.", group="Model", ge=2, le=256)
    d_dims: int = option(64, "Width of the decoder.", group="Model", ge=2, le=256)
    d_mask_dims: int = option(22, "Width of the mask decoder.", group="Model", ge=2, le=256)
    batch_size: int = option(
        0,
        "Faces of each side per iteration, of each device if there are several; 0 = the usual.",
        ge=0,
    )
    mask_preset: Literal["xseg", "xseg-small"] = option(
        "xseg", "Mask net to measure.", group="Model"
    )
    precision: Literal["auto", "fp32", "bf16"] = option("auto", "Arithmetic.", group="Machine")
    device: str = option("auto", "Where to train: auto, cpu, cuda.", group="Machine")
    devices: str = option("", 'Devices to scale over: "0,1" or "cpu,cpu".', group="Machine")
    threads: int = option(0, "Processor threads; 0 = all cores.", group="Machine", ge=0)


def bench(options: BenchOptions, job: Job) -> Report:
    """One JSON line: rate, processor seconds, memory, settings, versions, the yardstick's unit."""
    if is_further_one():
        return _help_to_scale(options, job)
    kinds = {
        "extract": _extract,
        "sort": _sort,
        "sample": _sample,
        "train": _train,
        "scaling": _scaling,
        "mask": _mask,
        "merge": _merge,
        "doubles": _doubles,
    }
    row = kinds[options.what](options, job)
    details = {"lines": [json.dumps(row)], "machine_readable": True, "summary": _told(row)}
    return Report("bench", done=int(row["items"]), details=details | {"row": row})


def _told(row: dict[str, Any]) -> str:
    """A row in a few words."""
    if "score" in row:
        return f"likeness {row['score']['likeness']}, crispness {row['score']['crispness']}"
    told = f"{row['rate_per_second']} {row['item']}s/s"
    if "cpu_units_per_item" in row:
        told += f", {row['cpu_units_per_item']} units each"
    if "apply" in row:
        told += f"; {row['apply']['rate_per_second']} faces/s masked"
    if "ratio_to_reference" in row:
        told += f"; {row['ratio_to_reference']} times as fast as a straight port"
    if "efficiency" in row:
        told += f"; {row['samples_per_second']} samples/s in {row['processes']} processes"
    return told


def _shape(options: BenchOptions) -> tuple[ModelConfig, TrainOptions]:
    """Model and training to measure: of the case, with what was given besides."""
    case = CASES[options.case or "df-ud-128"]
    given = {name: getattr(options, name) for name in SHAPE if name in options.model_fields_set}
    run = {name: getattr(options, name) for name in ("precision", "device", "threads")}
    run["batch_size"] = options.batch_size or case.batch_size
    return parse(ModelConfig, case.config.model_dump() | given), parse(TrainOptions, run)


def _train(options: BenchOptions, job: Job) -> dict[str, Any]:
    from understudy.bench.train import bench_reference, bench_train
    from understudy.models.devices import all_threads

    all_threads(options.threads)
    config, training = _shape(options)
    times = {"iterations": options.iterations, "repeats": options.repeats}
    row = bench_train(config, training, **times)
    if options.reference:
        plain = bench_reference(config, training, **times)
        key = "cpu_seconds" if row["settings"]["device"] == "cpu" else "wall_seconds"
        row |= {"reference": plain, "ratio_to_reference": round(plain[key] / row[key], 2)}
    return row


def _sample(options: BenchOptions, job: Job) -> dict[str, Any]:
    from understudy.bench.sample import bench_sample
    from understudy.models.devices import all_threads

    all_threads(options.threads)
    values = {
        "batch_size": options.batch_size or 8,
        "ct_mode": options.ct_mode,
        "device": options.device,
    }
    return bench_sample(
        CLIPS / "src.mp4",
        parse(TrainOptions, values),
        resolution=options.resolution,
        batches=options.iterations,
        repeats=options.repeats,
    )


def _scaling(options: BenchOptions, job: Job) -> dict[str, Any]:
    from understudy.steps.bench_scaling import measure_scaling

    config, training = _shape(options)
    return measure_scaling(
        config, training, options, options.devices, iterations=options.iterations, job=job
    )


def _help_to_scale(options: BenchOptions, job: Job) -> Report:
    from understudy.steps.bench_scaling import help_to_scale

    help_to_scale(options.devices, threads=options.threads, job=job)
    return Report("bench")


def _mask(options: BenchOptions, job: Job) -> dict[str, Any]:
    from understudy.bench.masks import bench_masks
    from understudy.models.devices import all_threads
    from understudy.training.plan.presets import PRESETS

    all_threads(options.threads)
    base = PRESETS[options.mask_preset]
    given = {name: getattr(options, name) for name in ("precision", "device", "threads")}
    given["batch_size"] = options.batch_size or base.options.batch_size
    training = parse(TrainOptions, base.options.model_dump() | given)
    return bench_masks(base.config, training, iterations=options.iterations)


def _doubles(options: BenchOptions, job: Job) -> dict[str, Any]:
    from understudy.steps.bench_doubles import measure_doubles

    if options.doubles is None:
        raise OptionError(
            "--doubles",
            expected="the folder of the rendered doubles",
            found="none",
            remedy="Render them, then: understudy bench doubles --doubles FOLDER",
        )
    names = ("minutes", "recipe" if options.recipe else "preset", "seed", "device", "threads")
    training = {name: getattr(options, name) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        root = options.keep or Path(folder) / "doubles"
        return measure_doubles(
            options.doubles,
            root,
            landmarks=options.landmarks,
            masks=options.masks,
            training=training,
            merging={"place": options.place},
            job=job,
        )


def _merge(options: BenchOptions, job: Job) -> dict[str, Any]:
    from understudy.bench.merge import bench_merge

    return dict(
        bench_merge(
            CLIPS / "dst.mp4",
            options.merge_case,
            frames=options.frames or 8,
            resolution=options.resolution,
            repeats=options.repeats,
        )
    )


def _sort(options: BenchOptions, job: Job) -> dict[str, Any]:
    """The step itself, on faces nothing is known of yet."""
    from understudy.bench.sort import bench_sort, make_faceset, source_faces
    from understudy.steps.sort import SortOptions
    from understudy.workspace import Workspace

    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder))
        aligned = workspace.src.aligned_dir
        sources = source_faces(options.faceset, CLIPS / "dst.mp4", size=256)
        make_faceset(sources, aligned, count=options.faces, job=job)
        step = SortOptions(workspace=workspace.root, faces="src", by=options.by)

        def work() -> int:
            perform("sort", step, Job("bench"))
            return options.faces

        settings = {"by": options.by, "faceset": str(options.faceset or "clip")}
        return bench_sort("sort", work, aligned, count=options.faces, settings=settings)


def _extract(options: BenchOptions, job: Job) -> dict[str, Any]:
    """The step itself, on frames that lie on disk as they would in a workspace."""
    from understudy.bench.plates import plates
    from understudy.bench.record import measured
    from understudy.media.frames import extract_frames
    from understudy.media.images import write_image
    from understudy.steps.extract import ExtractOptions
    from understudy.workspace import Workspace

    quiet = Job("bench")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder))
        if options.video is not None:
            extract_frames(options.video, workspace.src.frames_dir)
        else:
            made = plates(
                CLIPS / "dst.mp4", count=options.frames or 60, shape_hw=(480, 640), face_share=0.7
            )
            for i, plate in enumerate(made, start=1):
                write_image(workspace.src.frames_dir / f"{i:05d}.png", plate)
        step = ExtractOptions(workspace=workspace.root, side="src", device=options.device)
        for path in sorted(workspace.src.frames_dir.glob("*.png"))[:WARM_UP]:
            shutil.copy(path, workspace.dst.frames_dir)
        perform("extract", step.model_copy(update={"side": "dst"}), quiet)  # libraries loaded
        report: dict[str, Any] = {}

        def work() -> int:
            done = perform("extract", step, quiet)
            report.update(done.to_json())
            return done.done

        settings = {"image_size": step.image_size, "clip": str(options.video or "plate 640x480")}
        row = measured("extract", work, settings=settings, item="frame")
        return row | {"faces": report["details"]["faces"]}
