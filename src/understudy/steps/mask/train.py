"""Train a mask model on labelled faces."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic.fields import FieldInfo

from understudy.job import Job
from understudy.models.config import ModelConfig
from understudy.options import option, parse
from understudy.steps.perform import StepOptions
from understudy.steps.train_course import course_of, is_over
from understudy.training.plan.options import Precision, TrainOptions
from understudy.training.plan.presets import PRESETS
from understudy.training.plan.recipe_book import find_recipe
from understudy.types import FaceType, Report
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.facesets.faceset import Faceset
    from understudy.training.samples.labels import Material
    from understudy.training.state.model_folder import ModelFolder

FIXED = ("resolution", "face_type", "base_dims")


def _trains(name: str) -> Any:  # pydantic's field, the default of a field of any type
    """The option of this name as `train` has it."""
    field: FieldInfo = copy.copy(TrainOptions.model_fields[name])
    return field


class MaskTrainOptions(StepOptions):
    """Options of `mask train`: a preset, and whatever is to be different."""

    model: str = option("XSeg", "Name of the model.", group="Model", pattern=r"^[^/\\]+$")
    preset: Literal["auto", "xseg", "xseg-small"] = option(
        "auto",
        "What a new model is: xseg (256 pixels, as DeepFaceLab's), xseg-small (128 pixels, for a "
        "processor); auto: xseg where there is an accelerator.",
        group="Model",
    )
    recipe: str | None = option(
        None, "Train unattended in phases: masks, or a JSON file of one's own.", group="Model"
    )
    begin: Literal["new", "generic"] = option(
        "new", "What a new model begins from: nothing, or the mask that ships.", group="Model"
    )
    restart: bool = option(
        False, "Begin the model anew; the one there was goes to the trash.", group="Model"
    )
    face_type: FaceType | None = option(
        None, "How much of the head its faces cover; fixed once it is made.", group="Model"
    )
    resolution: int | None = option(
        None, "Side of the net in pixels; fixed once it is made.", group="Model", ge=64, le=512
    )
    base_dims: int | None = option(
        None, "Width of the net's first layer; fixed once it is made.", group="Model", ge=2, le=128
    )
    faces: tuple[Path, ...] = option(
        (), "Further facesets to learn from, folders or paks.", group="Samples"
    )
    sides: bool = option(True, "Learn from the workspace's own src and dst.", group="Samples")
    hard: bool = option(
        False,
        "Vary faces further (objects, other skins, noise), for a mask that is to work anywhere.",
        group="Samples",
    )
    random_warp: bool = _trains("random_warp")
    batch_size: int = option(4, "Faces per iteration.", ge=2, le=16)
    target_iter: int = _trains("target_iter")
    minutes: float = _trains("minutes")
    learning_rate: float = _trains("learning_rate")
    lr_dropout: bool = _trains("lr_dropout")
    lr_fall: float = _trains("lr_fall")
    clipgrad: bool = _trains("clipgrad")
    ema: float = _trains("ema")
    pretrain: bool = option(
        False, "Learn to see faces at large, from any faces, labelled or not.", group="Losses"
    )
    held_out: float = option(
        0.1, "Share of the labelled faces kept aside to measure progress.", group="Safety",
        ge=0, le=0.5,
    )  # fmt: skip
    guard: bool = _trains("guard")
    save_minutes: float = _trains("save_minutes")
    backup_minutes: float = _trains("backup_minutes")
    preview_minutes: float = _trains("preview_minutes")
    precision: Precision = _trains("precision")
    device: str = _trains("device")
    threads: int = _trains("threads")
    seed: int = _trains("seed")
    dfl_parity: bool = _trains("dfl_parity")


def train(options: MaskTrainOptions, job: Job) -> Report:
    """The mask model in `model/<name>`, trained on from where it was.

    Raises:
        MaterialError: there are too few labelled faces.
        StateError: the model on disk can't be loaded.
        OptionError: it is no mask model, or of another shape than asked for.
    """
    from understudy.models.devices import all_threads
    from understudy.training.loop.mask_loop import train_masks
    from understudy.training.samples.paging import FaceList
    from understudy.training.state.model_folder import open_model

    workspace = Workspace.open(options.workspace)
    path = workspace.model_dir / options.model
    recipe = find_recipe(options.recipe) if options.recipe is not None else None
    exists = (path / "config.json").exists() and not options.restart
    folder = open_model(path) if exists else None
    config = _config(options, folder.config if folder else None)
    newest = folder.newest(job.message) if folder is not None and folder.has_save else None
    base = recipe.options if recipe is not None else PRESETS[_preset(options)].options
    training, _, plan = course_of(
        options, base=base, newest=newest, recipe=recipe, recipe_name=options.recipe
    )
    facesets = dict(_facesets(workspace, options))
    material = _material(facesets, config, training, job)
    job.message(material.told)
    if newest is not None and is_over(training, newest):
        return Report(
            "mask train", skipped=newest.iteration, outputs=[path],
            details={"summary": f"trained to iteration {newest.iteration}"},
        )  # fmt: skip
    folder = folder or _new_model(workspace, options, config, training, job)
    all_threads(training.threads)
    start = newest.iteration if newest else 0
    shown = {
        name: FaceList(faces, refuse=job.fail)
        for name, faces in facesets.items()
        if name in ("src", "dst")
    }
    result = train_masks(
        folder, material, shown=shown, options=training, job=job, plan=plan, hard=options.hard
    )
    job.message(f"training ended: {result.reason}")
    report = Report("mask train", done=result.iteration - start, skipped=start, outputs=[path])
    iou = result.measures.get("mask IoU")
    report.details = {
        "summary": f"trained to iteration {result.iteration}"
        + (f", IoU {iou:.3f} on faces kept aside" if iou is not None else ""),
        "reason": result.reason,
        "iteration": result.iteration,
        "training_seconds": round(result.seconds, 1),
        "losses": result.losses,
        "measures": result.measures,
        "faces": material.told,
        "config": config.model_dump(mode="json"),
    }
    return report


def _preset(options: MaskTrainOptions) -> str:
    if options.preset != "auto":
        return options.preset
    from understudy.models.devices import choose_device

    return "xseg-small" if choose_device(options.device).type == "cpu" else "xseg"


def _config(options: MaskTrainOptions, existing: ModelConfig | None) -> ModelConfig:
    """Shape of the model: of the one on disk, or the preset's with what was asked for.

    Raises:
        OptionError: a value does not fit, or contradicts the model on disk, or that paints faces.
    """
    from understudy.errors import OptionError

    asked = {n: getattr(options, n) for n in FIXED if getattr(options, n) is not None}
    if existing is None and options.begin == "generic":
        from understudy.masks.generic import generic_config

        existing, name = generic_config(), "the mask that ships"
    elif existing is None:
        return parse(ModelConfig, PRESETS[_preset(options)].config.model_dump() | asked)
    else:
        name = "the model"
    if existing.kind != "XSeg":
        raise OptionError(
            "--model",
            expected="a mask model, or a new name",
            found=f"{options.model}, which is of kind {existing.kind}",
            remedy="Name another with --model.",
        )
    for key, value in asked.items():
        if getattr(existing, key) != value:
            raise OptionError(
                f"--{key.replace('_', '-')}",
                expected=f"{getattr(existing, key)}, as {name} was made",
                found=str(value),
                remedy="Leave it out, begin anew with --restart, or name another --model.",
            )
    return existing


def _facesets(workspace: Workspace, options: MaskTrainOptions) -> Iterator[tuple[str, "Faceset"]]:
    """Facesets by name; of the workspace's own those that are there."""
    from understudy.errors import MaterialError
    from understudy.facesets.faceset import Faceset

    for side in (workspace.src, workspace.dst) if options.sides else ():
        if side.aligned_dir.is_dir() and any(side.aligned_dir.iterdir()):
            yield side.name, Faceset.open(side.aligned_dir)
    for folder in options.faces:
        if not folder.exists():
            raise MaterialError(
                folder,
                expected="a faceset, a folder or a pak",
                found="nothing",
                remedy="Check --faces.",
            )
        yield str(folder), Faceset.open(folder)


def _material(
    facesets: dict[str, "Faceset"], config: ModelConfig, training: TrainOptions, job: Job
) -> "Material":
    from understudy.training.samples.labels import any_faces, labelled_faces

    read = facesets.items()
    if training.pretrain:
        return any_faces(((name, list(faces)) for name, faces in read), config.face_type)
    material = labelled_faces(read, config.face_type, job.message)
    for faces in facesets.values():
        for failure in faces.skipped:
            job.fail(failure.item, failure.reason)
    return material


def _new_model(
    workspace: Workspace,
    options: MaskTrainOptions,
    config: ModelConfig,
    training: TrainOptions,
    job: Job,
) -> "ModelFolder":
    """The folder of a new model, of one that was there only if it is to begin anew."""
    from understudy.training.state import shelf_moves
    from understudy.training.state.model_folder import create_model

    path = workspace.model_dir / options.model
    if options.restart and path.exists():
        kept = shelf_moves.delete(workspace.model_dir, options.model)
        job.message(f"the model as it was lies in {kept}")
    folder = create_model(path, config)
    if options.begin == "generic":
        from understudy.masks.generic import load_generic
        from understudy.training.loop.mask_loop import begin_from

        begin_from(folder, load_generic(), training)
        job.message("it begins from the mask that ships")
    return folder
