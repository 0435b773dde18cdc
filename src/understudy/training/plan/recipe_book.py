"""Recipes: a model, options and the phases of a whole unattended training, as data or as a file.

A name or a JSON file in, a checked `Recipe` out. Values only, no torch. The phases are those of the
guide: warped, uniform yaw, lr dropout, regular (unwarped), style, GAN. A model that was pretrained
begins the first phase from there. Source: reference "pipeline", sections 13 to 15.
"""

from pathlib import Path
from typing import Any  # options of several plain types

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from understudy import files
from understudy.errors import OptionError
from understudy.models.config import ModelConfig
from understudy.options import parse
from understudy.registry import Registry
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.phases import Phase, Plan
from understudy.training.plan.presets import PRESETS, Preset
from understudy.types import FaceType

_WARPED = {"random_warp": True}
_YAW = {"random_warp": True, "uniform_yaw": True}
_DROPOUT = {"random_warp": True, "lr_dropout": True}
_REGULAR = {"random_warp": False, "lr_dropout": True}


class Recipe(BaseModel):
    """A model to make where there is none, options for all phases, and the phases.

    `small` is what takes its place on a machine without an accelerator; None = the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str = Field(min_length=1)
    config: ModelConfig
    options: TrainOptions
    phases: tuple[Phase, ...] = Field(min_length=1)
    measure_every: int = Field(default=250, ge=1)
    small: "Recipe | None" = None

    def for_device(self, kind: str) -> "Recipe":
        """The recipe as it suits such a device: "cpu", or an accelerator."""
        return self.small if kind == "cpu" and self.small is not None else self

    @property
    def preset(self) -> Preset:
        """Model and options to begin with."""
        return Preset(self.summary, self.config, self.options)

    def plan(self, name: str, settings: dict[str, Any]) -> Plan:
        """The recipe before its first phase; `settings` given by hand hold in all phases."""
        plan = Plan(recipe=name, phases=self.phases, measure_every=self.measure_every)
        return plan.with_settings(settings)


class _Written(BaseModel):
    """A recipe as a file holds it: a preset, and what is to be different."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str = "A recipe of one's own."
    preset: str = "saehd"
    config: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    phases: tuple[Phase, ...] = Field(min_length=1)
    measure_every: int = Field(default=250, ge=1)


RECIPES: Registry[Recipe] = Registry("recipe")


def _saehd(resolution: int, **dims: int) -> ModelConfig:
    return ModelConfig(
        kind="SAEHD",
        resolution=resolution,
        face_type=FaceType.WHOLE,
        archi="liae-ud",
        **dims,
    )


_UNATTENDED = TrainOptions(
    batch_size=8,
    random_src_flip=True,
    random_dst_flip=True,
    eyes_mouth_prio=True,
    save_minutes=25.0,
    backup_minutes=60.0,
    preview_minutes=5.0,
)

_SMALL = Recipe(
    summary="A small network at 64 pixels, both sides' poses tied together: warped, unwarped.",
    config=ModelConfig(
        kind="SAEHD",
        resolution=64,
        face_type=FaceType.WHOLE,
        archi="df-ud",
        ae_dims=64,
        e_dims=24,
        d_dims=24,
        d_mask_dims=8,
    ),
    options=_UNATTENDED.model_copy(
        update={
            "batch_size": 4,
            "learning_rate": 5e-4,
            "lr_warmup": 300,
            "clipgrad": True,
            "random_affine": 0.3,
            "cross_pairs": 0.5,
            "ema": 0.99,
        }
    ),
    phases=(
        Phase(name="warped", options=_WARPED, iterations=47_500, plateau=10_000),
        # Longer without warp, faces grow crisper and follow the plate less.
        Phase(name="regular", options={"random_warp": False, "lr_fall": 1.0}, iterations=2_500),
    ),
    measure_every=500,
)

RECIPES.register("standard")(
    Recipe(
        summary="All phases of the guide at 192 pixels, each until it brings nothing more.",
        config=_saehd(192, ae_dims=256, e_dims=64, d_dims=64, d_mask_dims=22),
        options=_UNATTENDED.model_copy(update={"clipgrad": True, "ct_mode": "rct"}),
        phases=(
            Phase(name="warped", options=_WARPED, iterations=120_000, plateau=20_000),
            Phase(name="uniform yaw", options=_YAW, iterations=30_000, plateau=10_000),
            Phase(name="lr dropout", options=_DROPOUT, iterations=60_000, plateau=15_000),
            Phase(name="regular", options=_REGULAR, iterations=60_000, plateau=15_000),
            Phase(
                name="style",
                options=_REGULAR | {"face_style_power": 0.01},
                iterations=10_000,
            ),
            Phase(name="GAN", options=_REGULAR | {"gan_power": 0.1}, iterations=30_000),
        ),
        measure_every=1000,
        small=_SMALL,
    )
)
RECIPES.register("fast")(
    Recipe(
        summary="A small model at 128 pixels: warped, unwarped, done.",
        config=_saehd(128, ae_dims=128, e_dims=64, d_dims=48, d_mask_dims=16),
        options=_UNATTENDED.model_copy(
            update={"learning_rate": 1e-4, "clipgrad": True, "ct_mode": "rct"}
        ),
        phases=(
            Phase(name="warped", options=_WARPED, iterations=30_000, plateau=5_000),
            Phase(name="lr dropout", options=_DROPOUT, iterations=10_000, plateau=4_000),
            Phase(name="regular", options=_REGULAR, iterations=15_000, plateau=4_000),
        ),
        measure_every=500,
    )
)
RECIPES.register("hd")(
    Recipe(
        summary="All phases at 320 pixels, for close shots and a large card.",
        config=_saehd(320, ae_dims=384, e_dims=80, d_dims=80, d_mask_dims=26),
        options=_UNATTENDED.model_copy(update={"clipgrad": True, "ct_mode": "rct"}),
        phases=(
            Phase(name="warped", options=_WARPED, iterations=300_000, plateau=40_000),
            Phase(name="uniform yaw", options=_YAW, iterations=60_000, plateau=20_000),
            Phase(name="lr dropout", options=_DROPOUT, iterations=120_000, plateau=30_000),
            Phase(name="regular", options=_REGULAR, iterations=120_000, plateau=30_000),
            Phase(name="GAN", options=_REGULAR | {"gan_power": 0.1}, iterations=60_000),
        ),
        measure_every=2000,
    )
)
RECIPES.register("dfl")(
    Recipe(
        summary="The predecessor's SAEHD with its defaults: warped, dropout, unwarped, GAN.",
        config=PRESETS["saehd"].config,
        options=TrainOptions(batch_size=4, save_minutes=25.0, backup_minutes=60.0),
        phases=(
            Phase(name="warped", options=_WARPED, iterations=140_000),
            Phase(name="lr dropout", options=_DROPOUT, iterations=20_000),
            Phase(name="regular", options=_REGULAR, iterations=30_000),
            Phase(name="GAN", options=_REGULAR | {"gan_power": 0.1}, iterations=10_000),
        ),
    )
)

RECIPES.register("masks")(
    Recipe(
        summary="A mask net until faces kept aside are painted no better, then in small steps.",
        config=PRESETS["xseg"].config,
        options=PRESETS["xseg"].options.model_copy(
            update={"target_iter": 0, "save_minutes": 25.0, "backup_minutes": 60.0}
        ),
        phases=(
            Phase(name="learning", iterations=60_000, plateau=10_000, gain=0.001),
            Phase(
                name="fine",
                options={"learning_rate": 2e-5, "random_warp": False},
                iterations=15_000,
                plateau=5_000,
                gain=0.0005,
            ),
        ),
        measure_every=500,
    )
)


def find_recipe(name: str) -> Recipe:
    """The recipe called `name`, or the one in the JSON file of that path.

    Raises:
        OptionError: there is no such recipe, or what the file says is wrong; it names the place.
        FileError: the file can't be read.
        FormatError: it is no JSON.
    """
    if not name.endswith(".json"):
        return RECIPES[name]
    path = Path(name)
    try:
        written = _Written.model_validate(files.read_json(path, limit=1 << 20))
    except ValidationError as error:
        raise _complaint(path, error) from error
    base = PRESETS[written.preset]
    return Recipe(
        summary=written.summary,
        config=parse(ModelConfig, base.config.model_dump() | written.config),
        options=parse(
            TrainOptions, base.options.model_dump() | {"target_iter": 0} | written.options
        ),
        phases=written.phases,
        measure_every=written.measure_every,
    )


def _complaint(path: Path, error: ValidationError) -> OptionError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "recipe"
    expected = first["msg"][0].lower() + first["msg"][1:]
    return OptionError(
        f"{path}: {where}",
        expected=expected.removeprefix("value error, ").removeprefix("input should be "),
        found=repr(first["input"])[:120],
        remedy="See docs/training.md for what a recipe holds.",
    )
