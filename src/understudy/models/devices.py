"""Where networks run."""

import os

import torch

from understudy.errors import OptionError


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the first GPU where there is one, else the processor.

    Raises:
        OptionError: there is no such device here.
    """
    available = ["cpu"]
    if torch.cuda.is_available():
        available += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if name == "auto":
        return torch.device("cuda" if len(available) > 1 else "cpu")
    if name not in available:
        raise OptionError(
            "--device",
            expected=f"auto or one of {', '.join(available)}",
            found=repr(name),
            remedy="Choose one that this machine has.",
        )
    return torch.device(name)


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
