"""The goldens' rule for weights and their data, as their README states it."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from understudy.models import build, config_from_dfl
from understudy.models.dfl_weights import load_network
from understudy.models.face_model import FaceModel


def weight(name: str, shape: list[int], salt: str = "") -> np.ndarray:
    """The weight the rule gives the variable of this full name."""
    rng = np.random.default_rng(zlib.crc32((salt + name).encode()))
    draw = rng.standard_normal(shape).astype(np.float32)
    if len(shape) > 1:
        return draw * np.float32(np.sqrt(1 / np.prod(shape[:-1])))
    if name.endswith("eps:0"):
        return np.full(shape, 1e-6, np.float32)
    if name.endswith("weight:0"):
        return 1 + np.float32(0.1) * draw
    return np.float32(0.1) * draw


def weights_of(golden: Any) -> dict[str, np.ndarray]:
    """Every weight a golden file lists, under its full name and in its order."""
    salt = str(golden["salt"]) if "salt" in golden.files else ""
    return {name: weight(name, shape, salt) for name, shape in json.loads(str(golden["weights"]))}


def load_rule_weights(model: FaceModel, weights: dict[str, np.ndarray]) -> None:
    """Gives the model the weights of the rule."""
    for net, module in model.networks().items():
        own = {k.removeprefix(net + "/"): w for k, w in weights.items() if k.startswith(net + "/")}
        load_network(module, own)


def golden_model(golden: Any, kind: str, options: dict[str, Any]) -> FaceModel:
    """The model of a golden file, with the weights it was made with."""
    model = build(config_from_dfl(kind, options))
    load_rule_weights(model, weights_of(golden))
    return model


def faces(array: np.ndarray) -> torch.Tensor:
    """NHWC BGR uint8 as NCHW RGB float32; masks alike."""
    picture = array[..., ::-1] if array.shape[-1] == 3 else array
    scaled = np.ascontiguousarray(picture.transpose(0, 3, 1, 2)).astype(np.float32) / 255
    return torch.from_numpy(scaled)


def arrays(tensor: torch.Tensor) -> np.ndarray:
    """NCHW RGB as the NHWC BGR the goldens hold."""
    array = tensor.detach().numpy().transpose(0, 2, 3, 1)
    return array[..., ::-1] if array.shape[-1] == 3 else array


def open_golden(shared: Path, name: str) -> Any:
    """The golden file of this name."""
    return np.load(shared / "golden" / "models" / f"{name}.npz")
