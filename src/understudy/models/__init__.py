"""Face models: networks and what fixes them. Loads no torch until a model is built."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from understudy.models.config import ModelConfig, from_dfl_options

if TYPE_CHECKING:
    from understudy.models.face_model import FaceModel


def config_from_dfl(kind: str, options: Mapping[str, Any]) -> ModelConfig:
    """Config of the model that DFL's `options` describe; keys that fix no weights are ignored.

    `kind` is "SAEHD", "AMP", "Quick96" or "XSeg"; values may be numpy scalars.

    Raises:
        OptionError: an unknown kind, or a value out of range.
    """
    return from_dfl_options(kind, options)


def build(config: ModelConfig, *, seed: int = 0) -> "FaceModel":
    """A new model of this config on the CPU, its weights drawn from `seed`.

    Raises:
        OptionError: models of this kind can't be built yet.
    """
    from understudy.models import amp, quick96, saehd  # noqa: F401  (each enters its kind in MODELS)
    from understudy.models.blocks import initialise
    from understudy.models.face_model import MODELS

    model = MODELS[config.kind](config)
    initialise(model, seed=seed)
    return model
