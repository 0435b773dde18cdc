"""A trained face model as one file that live players open: `.dfm`, which is ONNX.

A state in, a checked file out: ONNX's own checker and ONNX Runtime have read it, and it paints what
the networks paint. Nothing else is needed beside it. Source: reference "DFL formats", section 10.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from understudy.errors import FormatError, OptionError
from understudy.files import make_dir, replacing
from understudy.models.amp import AmpModel
from understudy.models.face_model import FaceModel, as_face_model
from understudy.models.mask_net import MaskModel
from understudy.models.model import Model
from understudy.models.onnx_graph import FACE, MORPH, OUTPUTS, merging_graph
from understudy.models.onnx_mask import MASK, mask_graph

TOLERANCE, TOLERANCE_HALF = 1e-5, 2e-3
TOLERANCE_MASK = 5e-4  # forty layers of norms, whose sums are taken in another order
BYTES_MAX = (1 << 31) - (1 << 20)
"""What one ONNX file may hold."""

_MORPH = 0.65
_FACES = 2


@runtime_checkable
class Trained(Protocol):
    """What is exported of a state: its model, as it is."""

    model: Model


def to_dfm(
    state: Trained, path: Path, quantize: bool = False, *, facts: Mapping[str, str] | None = None
) -> float:
    """Writes `state.model` as a `.dfm` at `path`; the largest difference to the networks.

    `quantize` keeps convolutions in float16: half the size; inputs and outputs stay float32.
    `facts` go into the file's metadata, which players ignore.

    Raises:
        OptionError: the model is too large for one ONNX file.
        FormatError: the file does not give what the networks give; nothing is left then.
        StorageError: the disk is full or can't be written.
    """
    import onnx

    model = as_face_model(state.model)
    size = sum(p.numel() for p in model.parameters()) * (2 if quantize else 4)
    if size > BYTES_MAX:
        raise OptionError(
            "model",
            expected=f"weights of at most {BYTES_MAX >> 20} MB: ONNX holds no more in one file",
            found=f"{size >> 20} MB",
            remedy="Export it quantized." if not quantize else "Use a model of smaller dims.",
        )
    proto = merging_graph(model, half=quantize, facts=facts)
    onnx.checker.check_model(proto, full_check=True)
    data = proto.SerializeToString(deterministic=True)
    make_dir(path.parent)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
        difference = compare(model, temporary)
        allowed = TOLERANCE_HALF if quantize else TOLERANCE
        if not difference <= allowed:
            raise FormatError(
                path,
                expected=f"outputs that equal the networks' to {allowed}",
                found=f"a difference of {difference:.2g}",
                remedy="Export without quantization." if quantize else "This is a fault of ours.",
            )
    return difference


def mask_to_onnx(model: MaskModel, path: Path, *, facts: Mapping[str, str] | None = None) -> float:
    """Writes a mask model as ONNX at `path`; the largest difference to the network.

    Raises:
        FormatError: the file does not paint what the network paints; nothing is left then.
        StorageError: the disk is full or can't be written.
    """
    import onnx

    proto = mask_graph(model, facts=facts)
    onnx.checker.check_model(proto, full_check=True)
    data = proto.SerializeToString(deterministic=True)
    make_dir(path.parent)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
        difference = compare_mask(model, temporary)
        if not difference <= TOLERANCE_MASK:
            raise FormatError(
                path,
                expected=f"a mask that equals the network's to {TOLERANCE_MASK}",
                found=f"a difference of {difference:.2g}",
                remedy="This is a fault of ours.",
            )
    return difference


@torch.no_grad()
def compare_mask(model: MaskModel, path: Path) -> float:
    """Largest difference between what the file paints in ONNX Runtime and what `model` paints."""
    side = model.config.resolution
    faces = np.random.default_rng(0).random((_FACES, side, side, 3), np.float32)
    rgb = torch.from_numpy(np.ascontiguousarray(faces[..., ::-1].transpose(0, 3, 1, 2)))
    (found,) = _session(path).run([MASK], {FACE: faces})
    wanted = model(rgb.to(next(model.parameters()).device)).mask
    return float(np.abs(found - wanted.permute(0, 2, 3, 1).cpu().numpy()).max())


def _session(path: Path) -> Any:  # onnxruntime has no types
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(
        path.read_bytes(), settings, providers=["CPUExecutionProvider"]
    )


@torch.no_grad()
def compare(model: FaceModel, path: Path) -> float:
    """Largest difference between what the file gives in ONNX Runtime and what `model` paints."""
    side = model.config.resolution
    faces = np.random.default_rng(0).random((_FACES, side, side, 3), np.float32)
    morph = {"morph": _MORPH} if isinstance(model, AmpModel) else {}
    device = next(model.parameters()).device
    rgb = torch.from_numpy(np.ascontiguousarray(faces[..., ::-1].transpose(0, 3, 1, 2)))
    merged = model.merge(rgb.to(device), **morph)
    session = _session(path)
    feeds = {FACE: faces}
    if morph:
        feeds[MORPH] = np.array([_MORPH], np.float32)
    found = session.run(list(OUTPUTS), feeds)
    wanted = (merged.dst_mask, merged.src_dst.flip(1), merged.src_dst_mask)
    return max(
        float(np.abs(one - other.permute(0, 2, 3, 1).cpu().numpy()).max())
        for one, other in zip(found, wanted, strict=True)
    )
