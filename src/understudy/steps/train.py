"""Train a model on the two facesets."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from understudy.errors import OptionError
from understudy.job import Job
from understudy.mailbox import listening
from understudy.models.config import ModelConfig
from understudy.options import option, parse
from understudy.processes import is_further_one
from understudy.steps.perform import StepOptions
from understudy.steps.together import Meeting, called_together, first_of
from understudy.steps.train_course import Course, course_of, is_over
from understudy.steps.train_team import help_to_train, train_together
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.presets import PRESETS, Preset
from understudy.training.plan.recipe_book import find_recipe
from understudy.types import FaceType, Report
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.training.loop.result import TrainResult
    from understudy.training.state.model_folder import SaveFacts

PresetName = Literal["demo", "quick96", "saehd", "amp"]
FIXED = (
    *("resolution", "face_type", "archi", "ae_dims", "e_dims", "d_dims", "d_mask_dims"),
    *("inter_dims", "morph_factor"),
)


class TrainStepOptions(StepOptions, TrainOptions):
    """Options of `train`: a preset, and whatever is to be different."""

    model: str = option("new", "Name of the model.", group="Model", pattern=r"^[^/\\]+$")
    preset: PresetName | None = option(
        None, "Model and training to begin with: demo, quick96, saehd or amp.", group="Model"
    )
    recipe: str | None = option(
        None,
        "Train unattended in phases: standard, fast, hd, dfl, or a JSON file of one's own.",
        group="Model",
    )
    pretrain_faces: Path | None = option(
        None,
        "Faceset of many people, folder or pak, to learn from instead while --pretrain is on.",
        group="Losses",
    )
    devices: str = option(
        "",
        'Train on several devices at once, one process each, that share every batch: "0,1" are '
        'the first two accelerators, "cpu,cpu" two processes on the processor.',
        group="Machine",
    )
    resolution: int | None = option(
        None,
        "Side of the face in pixels; fixed once the model is made.",
        group="Model",
        ge=32,
        le=2048,
    )
    face_type: FaceType | None = option(None, "How much of the head it covers.", group="Model")
    archi: str | None = option(None, "Architecture: df or liae with letters.", group="Model")
    ae_dims: int | None = option(None, "Width of the bottleneck.", group="Model", ge=8, le=1024)
    e_dims: int | None = option(None, "Width of the encoder.", group="Model", ge=2, le=256)
    d_dims: int | None = option(None, "Width of the decoder.", group="Model", ge=2, le=256)
    d_mask_dims: int | None = option(
        None, "Width of the mask decoder.", group="Model", ge=2, le=256
    )
    inter_dims: int | None = option(
        None, "Width of the inter codes; AMP only.", group="Model", ge=8, le=2048
    )
    morph_factor: float | None = option(
        None, "Share of a src code that is its own; AMP only.", group="Model", ge=0.1, le=0.5
    )


def train(options: TrainStepOptions, job: Job) -> Report:
    """The model in `model/<name>`, trained on from where it was.

    Raises:
        MaterialError: a faceset is missing.
        StateError: the model on disk can't be loaded, or is of another shape than asked for.
    """
    if is_further_one():
        return _help(options, job)
    with called_together() as meeting:
        return _train(options, job, meeting)


def _train(options: TrainStepOptions, job: Job, meeting: Meeting | None) -> Report:
    from understudy.facesets.faceset import Faceset
    from understudy.models.devices import choose_device
    from understudy.training.monitor.curves import check_tensorboard, drawing
    from understudy.training.monitor.shown import check_chosen
    from understudy.training.samples.paging import FaceList
    from understudy.training.state.model_folder import create_model, open_model

    workspace = Workspace.open(options.workspace)
    path = workspace.model_dir / options.model
    exists = (path / "config.json").exists()
    folder = open_model(path) if exists else None
    newest = folder.newest(job.message) if folder is not None and folder.has_save else None
    existing = folder.config if folder is not None else None
    config, course = _settle(options, job, meeting, existing=existing, newest=newest)
    training, settings, plan = course
    choose_device(training.device)  # one that is not there is refused before faces are looked at
    if training.tensorboard:
        check_tensorboard()
    src, dst = (Faceset.open(where) for where in _face_dirs(workspace, options, training))
    check_chosen(settings.get("preview_src", ()), src.names, "--preview-src")
    check_chosen(settings.get("preview_dst", ()), dst.names, "--preview-dst")
    if folder is None and config.notice:
        job.message(config.notice)
    folder = folder or create_model(path, config)
    start = newest.iteration if newest else 0
    if newest is not None and is_over(training, newest):
        summary = f"trained to iteration {start}"
        details = {"summary": summary, "unit": "iteration"}
        return Report("train", skipped=start, outputs=[path], details=details)
    faces = [FaceList(faceset, refuse=job.fail) for faceset in (src, dst)]
    for failure in (*src.skipped, *dst.skipped):
        job.fail(failure.item, failure.reason)
    curves = drawing(path / "tensorboard", job, after=start, wanted=training.tensorboard)
    with listening(workspace, job), curves:
        result = train_together(
            meeting,
            options,
            options.devices,
            folder=folder,
            faces=(faces[0], faces[1]),
            training=training,
            plan=plan,
            job=job,
        )
    if result.reason:
        job.message(f"training ended: {result.reason}")
    details = _details(result, config)
    return Report(
        "train", done=result.iteration - start, skipped=start, outputs=[path], details=details
    )


def _settle(
    options: TrainStepOptions,
    job: Job,
    meeting: Meeting | None,
    *,
    existing: ModelConfig | None,
    newest: "SaveFacts | None",
) -> tuple[ModelConfig, Course]:
    """Shape of the model and the course of the run, of what is asked for and what is on disk."""
    recipe = None
    if options.recipe is not None:
        _, device = first_of(meeting, options.devices, options.device)
        recipe = find_recipe(options.recipe).for_device(device.type)
    given = recipe.preset if recipe is not None and options.preset is None else None
    base = given or PRESETS[options.preset or "quick96"]
    config = _config(options, base, existing)
    if config.kind == "XSeg":
        raise OptionError(
            "--recipe" if options.recipe else "--model",
            expected="a model that swaps faces",
            found=f"{options.recipe or options.model}, which is of masks",
            remedy="Train it with: understudy mask train",
        )
    if existing is not None and options.preset and config != _config(options, base, None):
        job.message(f"model {options.model} stays as it was made; --preset is for a new one")
    course = course_of(
        options, base=base.options, newest=newest, recipe=recipe, recipe_name=options.recipe
    )
    return config, course


def _details(result: "TrainResult", config: ModelConfig) -> dict[str, Any]:
    return {
        "summary": f"trained to iteration {result.iteration}",
        "unit": "iteration",
        "reason": result.reason,
        "iteration": result.iteration,
        "training_seconds": round(result.seconds, 1),
        "src_loss": result.losses["src"],
        "dst_loss": result.losses["dst"],
        "measures": result.measures,
        "config": config.model_dump(mode="json"),
    }


def _help(options: TrainStepOptions, job: Job) -> Report:
    """What a further process of the run does: all is told by the first one."""
    from understudy.facesets.faceset import Faceset
    from understudy.training.distributed.processes import Faces
    from understudy.training.samples.paging import FaceList

    workspace = Workspace.open(options.workspace)

    def open_faces(training: TrainOptions) -> tuple[Faces, Faces]:
        src, dst = (
            FaceList(Faceset.open(where), refuse=lambda item, reason: None)
            for where in _face_dirs(workspace, options, training)
        )
        return src, dst

    path = workspace.model_dir / options.model
    return help_to_train(options.devices, open_faces=open_faces, model_dir=path, job=job)


def _face_dirs(
    workspace: Workspace, options: TrainStepOptions, training: TrainOptions
) -> tuple[Path, Path]:
    """Where the faces of both sides lie; of pretraining, twice the same.

    Raises:
        OptionError: pretraining was asked for without faces to learn from.
    """
    if not training.pretrain:
        return workspace.src.aligned_dir, workspace.dst.aligned_dir
    if options.pretrain_faces is None:
        raise OptionError(
            "--pretrain-faces",
            expected="a faceset of many people to pretrain from",
            found="none",
            remedy="Give a folder or pak, or turn --no-pretrain.",
        )
    return options.pretrain_faces, options.pretrain_faces


def _config(options: TrainStepOptions, base: Preset, existing: ModelConfig | None) -> ModelConfig:
    """Shape of the model: of the one on disk, or the preset's with what was asked for.

    Raises:
        OptionError: a value does not fit, or contradicts the model on disk.
    """
    asked = {n: getattr(options, n) for n in FIXED if getattr(options, n) is not None}
    if existing is None:
        kind = {} if not asked or base.config.kind != "Quick96" else {"kind": "SAEHD"}
        return parse(ModelConfig, base.config.model_dump() | kind | asked)
    for name, value in asked.items():
        if getattr(existing, name) != value:
            raise OptionError(
                f"--{name.replace('_', '-')}",
                expected=f"{getattr(existing, name)}, which the model was made with",
                found=str(value),
                remedy="Leave it out, or give the new model another --model.",
            )
    return existing
