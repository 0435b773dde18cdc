"""DFL's options to and from ours: the shape of the model and how it is trained.

Plain values in and out; no files, no torch. Keys without a counterpart are kept by whoever calls.
Source: reference "networks, losses, training", section 12; "DFL formats", section 7.3.
"""

from collections.abc import Callable, Mapping
from typing import Any  # DFL's options are of several plain types

import numpy as np

from understudy.errors import OptionError
from understudy.models.config import ModelConfig
from understudy.options import parse
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.presets import PRESETS
from understudy.types import FaceType

LEARNING_RATE = 5e-5

_FACE_TYPES = {
    FaceType.HALF: "h",
    FaceType.MIDFULL: "mf",
    FaceType.FULL: "f",
    FaceType.WHOLE: "wf",
    FaceType.HEAD: "head",
}
_COMMON: dict[str, Any] = {
    "models_opt_on_gpu": True,
    "autobackup_hour": 0,
    "write_preview_history": False,
    "target_iter": 0,
    "random_src_flip": False,
    "random_dst_flip": True,
    "batch_size": 8,
    "uniform_yaw": False,
    "blur_out_mask": False,
    "lr_dropout": "n",
    "random_warp": True,
    "ct_mode": "none",
    "clipgrad": False,
    "gan_power": 0.0,
    "gan_dims": 16,
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "Quick96": {},
    "XSeg": {"batch_size": 4, "pretrain": False},
    "AMP": _COMMON,
    "SAEHD": _COMMON
    | {
        "masked_training": True,
        "eyes_mouth_prio": False,
        "adabelief": True,
        "random_hsv_power": 0.0,
        "true_face_power": 0.0,
        "face_style_power": 0.0,
        "bg_style_power": 0.0,
        "pretrain": False,
    },
}
_SHAPE = {
    "Quick96": (),
    "XSeg": ("face_type",),
    "SAEHD": ("resolution", "face_type", "archi", "ae_dims", "e_dims", "d_dims", "d_mask_dims"),
    "AMP": (
        *("resolution", "face_type", "ae_dims", "inter_dims", "e_dims", "d_dims", "d_mask_dims"),
        "morph_factor",
    ),
}
# DFL's dialogs leave numpy's numbers where they limit a value; it reads both.
_NUMBERS: dict[str, Callable[[Any], Any]] = dict.fromkeys(
    ("resolution", "ae_dims", "inter_dims", "e_dims", "d_dims", "d_mask_dims", "gan_patch_size"),
    np.int64,
) | dict.fromkeys(
    (
        *("random_hsv_power", "true_face_power", "face_style_power", "bg_style_power"),
        *("gan_power", "morph_factor"),
    ),
    np.float64,
)


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` with Python's own numbers, and without what is no plain value."""
    values = {k: v.item() if isinstance(v, np.generic) else v for k, v in options.items()}
    return {k: v for k, v in values.items() if isinstance(v, (bool, int, float, str))}


def train_options(kind: str, options: Mapping[str, Any]) -> TrainOptions:
    """How DFL trains a model of this kind with these options.

    Raises:
        OptionError: a value is out of range.
    """
    if kind == "Quick96":  # it asks nothing and trains until it is stopped
        return PRESETS["quick96"].options.model_copy(update={"target_iter": 0})
    given = plain(options)
    values: dict[str, Any] = {"learning_rate": LEARNING_RATE}
    if kind == "XSeg":
        values = PRESETS["xseg"].options.model_dump() | {"target_iter": 0}
        given = {k: v for k, v in given.items() if k in _DEFAULTS[kind]}
    values |= {k: v for k, v in given.items() if k in TrainOptions.model_fields}
    usual = _DEFAULTS[kind].get("batch_size", 8)
    values["batch_size"] = max(1, int(given.get("batch_size", usual)))
    if "lr_dropout" in given:  # once a yes or no, now also "cpu"
        values["lr_dropout"] = given["lr_dropout"] in (True, "y", "cpu")
    values["backup_minutes"] = 60.0 * int(given.get("autobackup_hour", 0))
    return parse(TrainOptions, values)


def dfl_options(
    config: ModelConfig, options: TrainOptions, known: Mapping[str, Any]
) -> dict[str, Any]:
    """DFL's options for such a model; `known` are those it came with, in DFL's words.

    What was not changed since keeps the form in which it came.

    Raises:
        OptionError: DFL has no models of this face type.
    """
    kind = config.kind
    defaults = _DEFAULTS[kind]
    values = dict(known) if known else _shape(config) | defaults
    if kind == "Quick96":
        return values
    came = train_options(kind, known)
    for key in defaults:
        if known and _ours(came, key) == _ours(options, key):
            continue
        if key == "write_preview_history":
            continue
        values[key] = _theirs(options, key, config)
    if kind == "XSeg":
        return values
    patch = "gan_patch_size"  # depends on the resolution, so it has no default
    if not known or options.gan_patch_size != came.gan_patch_size:
        values[patch] = _theirs(options, patch, config)
    return {k: _NUMBERS[k](v) if k in _NUMBERS else v for k, v in values.items()}


def _shape(config: ModelConfig) -> dict[str, Any]:
    values = {key: getattr(config, key) for key in _SHAPE[config.kind]}
    if "face_type" in values:
        if config.face_type not in _FACE_TYPES:
            raise OptionError(
                "face type of the model",
                expected=f"one DFL knows: {', '.join(kind.value for kind in _FACE_TYPES)}",
                found=config.face_type.value,
                remedy="This model can't be handed to DFL.",
            )
        values["face_type"] = _FACE_TYPES[config.face_type]
    return values


def _ours(options: TrainOptions, key: str) -> Any:
    return getattr(options, "backup_minutes" if key == "autobackup_hour" else key, None)


def _theirs(options: TrainOptions, key: str, config: ModelConfig) -> Any:
    if key == "autobackup_hour":
        return round(options.backup_minutes / 60)
    if key == "lr_dropout":
        return "y" if options.lr_dropout else "n"
    if key == "gan_patch_size":
        return options.gan_patch_size or config.resolution // 8
    return getattr(options, key)
