"""How much arithmetic a training step takes, and how much a device can do.

A model's config in, floating-point operations out: those of convolutions and matrix products, as
others count them. Counted, not timed; the rate of a plain matrix product is measured.
"""

import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.face_model import as_face_model

_SIDE, _REPEATS = 8192, 10

# Dense bfloat16 with sums in float32, without sparsity, in TFLOP/s, as the makers state them.
_PEAKS = {
    "B200": 2250.0,
    "H200": 989.4,
    "H100 PCIe": 756.0,
    "H100": 989.4,
    "A100": 312.0,
    "A30": 165.0,
    "A40": 149.7,
    "A10": 125.0,
    "L40S": 362.0,
    "L40": 181.0,
    "L4": 121.0,
    "RTX 6000 Ada": 364.2,
    "RTX A6000": 154.8,
    "RTX 5090": 209.5,
    "RTX 4090": 165.2,
    "RTX 3090": 71.0,
    "RTX 3080": 59.5,
    "MI300X": 1307.4,
    "MI250X": 383.0,
}


def operations(config: ModelConfig, batch_size: int) -> float:
    """Floating-point operations of one training step, forward and backward, of both sides."""
    model = as_face_model(build(config)).to("meta")
    shape = (batch_size, 3, config.resolution, config.resolution)
    src, dst = (torch.empty(shape, device="meta") for _ in range(2))
    with FlopCounterMode(display=False) as counter:
        painted = model.reconstruct(src, dst)
        total = sum(part.sum() for side in painted for part in (side.face, side.mask))
        if isinstance(total, torch.Tensor):
            total.backward()  # type: ignore[no-untyped-call]
    return float(counter.get_total_flops())


def stated_peak(device: torch.device) -> float | None:
    """Dense bfloat16 TFLOP/s that the card's maker states; None if it is not known here."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in _PEAKS.items() if part in name), None)


def measured_peak(device: torch.device, *, dtype: torch.dtype, side: int = _SIDE) -> float:
    """TFLOP/s of a plain matrix product."""
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    _wait(device, left @ right)
    start = time.perf_counter()
    for _ in range(_REPEATS):
        product = left @ right
    _wait(device, product)
    return _REPEATS * 2 * side**3 / (time.perf_counter() - start) / 1e12


def _wait(device: torch.device, tensor: torch.Tensor) -> None:
    float(tensor[0, 0])  # brings one number over, which waits for all before it
