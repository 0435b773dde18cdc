"""The mask that ships: a net of this project's own that works on any face to begin with.

The package's weight file in, a mask model out. What it was trained on, how well it paints and where
it fails: docs/generic-mask.md. Weights are float16 on disk; the file says what it is in its header.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any  # JSON values

import torch
from safetensors import SafetensorError, safe_open

from understudy.errors import FormatError, WeightsError
from understudy.files import sha256_file
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.mask_net import MaskModel, as_mask_model

WEIGHTS = Path(__file__).with_name("generic_mask.safetensors")
BYTES_MAX = 12_000_000
CONFIG, FACTS = "config", "facts"
"""Keys of the header: what fixes the net, and how it was trained, both JSON."""


def generic_config(path: Path | None = None) -> ModelConfig:
    """Config of the mask that ships.

    Raises:
        WeightsError: its weights are not there.
        FormatError: they are damaged.
    """
    path = path or WEIGHTS
    return _config(_header(path), path)


def generic_facts(path: Path | None = None) -> dict[str, Any]:
    """How the mask that ships was trained and how well it paints, as its makers measured it.

    Raises:
        WeightsError: its weights are not there.
        FormatError: they are damaged.
    """
    facts: dict[str, Any] = json.loads(_header(path or WEIGHTS).get(FACTS, "{}"))
    return facts


def how_good(path: Path | None = None) -> str:
    """A sentence on how well the mask that ships paints faces it never saw, and its licence.

    Raises:
        WeightsError: its weights are not there.
        FormatError: they are damaged.
    """
    facts = generic_facts(path)
    held_out = facts.get("held_out", {})
    told = [f"{one['iou']:.2f} on {what}" for what, one in held_out.items()]
    measured = f", IoU {' and '.join(told)}" if told else ""
    return f"the mask that ships{measured}; Apache-2.0, see docs/generic-mask.md"


def load_generic(path: Path | None = None) -> MaskModel:
    """The mask that ships, on the processor.

    Raises:
        WeightsError: its weights are not there.
        FormatError: they are damaged or do not fit.
    """
    path = path or WEIGHTS
    config = generic_config(path)
    model = as_mask_model(build(config))
    own = model.state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise _damaged(path, str(error)) from error
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if shapes != {name: tuple(tensor.shape) for name, tensor in own.items()}:
        raise _damaged(path, "tensors of another net")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise _damaged(path, "numbers that are none")
    model.load_state_dict(tensors)
    return model


def generic_sha256() -> str:
    """Hash of the weights that ship.

    Raises:
        WeightsError: they are not there.
    """
    _header(WEIGHTS)
    return sha256_file(WEIGHTS)


@cache
def _header(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise WeightsError(
            path,
            expected="the weights of the mask that ships with Understudy",
            found="no file",
            remedy="Install the package again, or train a mask of your own: understudy mask train",
        )
    if path.stat().st_size > BYTES_MAX:
        raise _damaged(path, f"{path.stat().st_size} bytes")
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _damaged(path, str(error)) from error


def _config(header: dict[str, str], path: Path) -> ModelConfig:
    try:
        return ModelConfig.model_validate_json(header[CONFIG])
    except (KeyError, ValueError) as error:
        raise _damaged(path, "no config of a mask net") from error


def _damaged(path: Path, found: str) -> FormatError:
    return FormatError(
        path,
        expected="whole weights of the mask that ships",
        found=found[:120],
        remedy="Install the package again.",
    )
