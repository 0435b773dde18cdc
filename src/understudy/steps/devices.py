"""What this machine can compute on."""

from typing import Any

from understudy.job import Job
from understudy.steps.perform import LooseOptions
from understudy.types import Report
from understudy.wording import counted


class DevicesOptions(LooseOptions):
    """Options of `devices`."""


def devices(options: DevicesOptions, job: Job) -> Report:
    """The devices by the names that `--device` takes, their free memory, and which "auto" is."""
    from understudy.models.devices import (
        available_devices,
        choose_device,
        default_threads,
        device_title,
        free_memory,
    )

    names = [name for name in available_devices() if name == "cpu" or ":" in name or name == "mps"]
    auto = choose_device("auto")
    found: list[dict[str, Any]] = []
    for name in names:
        device = choose_device(name)
        found.append(
            {
                "name": name,
                "title": device_title(device),
                "free_bytes": free_memory(device),
                "is_auto": device.type == auto.type and device.index in (None, 0),
            }
        )
    lines = [
        f"  {each['name']:<8} {each['title']}"
        + (f", {each['free_bytes'] / 1e9:.1f} GB free" if each["free_bytes"] else "")
        + ("  (auto)" if each["is_auto"] else "")
        for each in found
    ]
    return Report(
        "devices",
        done=len(found),
        details={
            "lines": lines,
            "summary": counted(len(found), "device"),
            "devices": found,
            "threads": default_threads(),
        },
    )
