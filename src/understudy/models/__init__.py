"""Models of faces and masks: networks and what fixes them. Torch loads when one is built."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from understudy.models.config import ModelConfig, from_dfl_options

if TYPE_CHECKING:
    from understudy.models.model import Model


def config_from_dfl(kind: str, options: Mapping[str, Any]) -> ModelConfig:
    """Config of the model that DFL's `options` describe; keys that fix no weights are ignored.

    `kind` is "SAEHD", "AMP", "Quick96" or "XSeg"; values may be numpy scalars.

    Raises:
        OptionError: an unknown kind, or a value out of range.
    """
    return from_dfl_options(kind, options)


def build(config: ModelConfig, *, seed: int = 0) -> "Model":
    """A new model of this config on the CPU, its weights drawn from `seed`.

    A `FaceModel`, or a `MaskModel` for the kind "XSeg".
    """
    from understudy.models import amp, mask_net, quick96, saehd  # noqa: F401  (for MODELS)
    from understudy.models.blocks import initialise
    from understudy.models.model import MODELS

    model = MODELS[config.kind](config)
    initialise(model, seed=seed)
    return model


def outline(config: ModelConfig) -> "Model":
    """A model of this config whose weights have shapes and no content: it takes no memory."""
    import torch

    from understudy.models import amp, mask_net, quick96, saehd  # noqa: F401  (for MODELS)
    from understudy.models.model import MODELS

    with torch.device("meta"):
        return MODELS[config.kind](config)
