"""Where networks run."""

import os

import torch

from understudy.errors import OptionError
from understudy.host_memory import free_host_memory

_ACCELERATORS = ("cuda", "xpu", "mps")  # what torch calls them; ROCm goes by "cuda"
_AMD_MATRICES = ("gfx908", "gfx90a", "gfx94", "gfx95", "gfx11", "gfx12")
_INTEL_MATRICES = "has_subgroup_matrix_multiply_accumulate"


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the first accelerator there is, else the processor.

    Raises:
        OptionError: there is no such device here.
    """
    available = available_devices()
    if name == "auto":
        return torch.device(available[min(1, len(available) - 1)])
    if name not in available:
        raise OptionError(
            "--device",
            expected=f"auto or one of {', '.join(available)}",
            found=repr(name),
            remedy="Choose one that this machine has.",
        )
    return torch.device(name)


def devices_of(names: str) -> list[str]:
    """Devices named in a row: "0,1" are the first accelerators, "cpu,cpu" the processor twice.

    Raises:
        OptionError: there is no such device here, or one that does one thing at a time twice.
    """
    available = available_devices()
    kind = available[1] if len(available) > 1 else "cuda"
    given = [name.strip() for name in names.split(",")]
    found = [f"{kind}:{name}" if name.isdecimal() else name for name in given]
    wrong = [name for name in found if name not in available]
    wrong += [name for name in found if name != "cpu" and found.count(name) > 1]
    if wrong:
        raise OptionError(
            "--devices",
            expected=f"some of {', '.join(available)}, each once but cpu",
            found=repr(names),
            remedy="Numbers are those of the accelerators: 0,1 are the first two.",
        )
    return found


def available_devices() -> list[str]:
    """Names of all devices here, the processor first; "cuda" is the one torch takes by itself."""
    found = ["cpu"]
    for kind in _ACCELERATORS:
        if kind == "mps":
            found += ["mps"] if torch.backends.mps.is_available() else []
            continue
        backend = getattr(torch, kind)
        if backend.is_available():
            found += [kind, *(f"{kind}:{i}" for i in range(backend.device_count()))]
    return found


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies matrices of bfloat16 faster than those of float32."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()
    if device.type == "xpu":
        return bool(torch.xpu.get_device_capability(device).get(_INTEL_MATRICES, False))
    if device.type != "cuda":
        return False
    if torch.version.hip is None:
        return torch.cuda.get_device_capability(device) >= (8, 0)
    name = torch.cuda.get_device_properties(device).gcnArchName
    return name.startswith(_AMD_MATRICES)


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in float64 at all."""
    if device.type == "xpu":
        return bool(torch.xpu.get_device_capability(device).get("has_fp64", False))
    return device.type != "mps"


def is_pinnable(device: torch.device) -> bool:
    """Whether pages of the host can be pinned for copies to a device, which then need no waiting.

    On mps a copy that isn't waited for may read memory that was freed.
    """
    return device.type in ("cuda", "xpu")


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device, of the host if it is the processor; None if unknown."""
    if device.type == "cpu":
        return free_host_memory()
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    try:
        return int(getattr(torch, device.type).mem_get_info(device)[0])
    except RuntimeError:  # some of Intel's drivers can't tell
        return None


def device_title(device: torch.device) -> str:
    """What a device is called by its maker; "processor" for the host."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_properties(device).name)
    if device.type == "xpu":
        return str(torch.xpu.get_device_properties(device).name)
    return "processor" if device.type == "cpu" else "Apple graphics"


def one_thread_each() -> None:
    """Let every worker thread compute on its own core: for many small networks run side by side."""
    torch.set_num_threads(1)


def all_threads(count: int = 0) -> None:
    """Let one network compute on all cores, or on `count` of them."""
    torch.set_num_threads(count or default_threads())


def default_threads() -> int:
    """Cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1
