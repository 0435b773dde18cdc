"""One measurement as one JSON line.

Runs the work between two yardsticks and tells rate, processor time, both in the yardstick's units
where that says more, peak memory, settings and versions.
"""

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from understudy.bench import yardstick

LIBRARIES = ("understudy", "torch", "numpy", "opencv-python-headless", "av")


def measured(
    name: str,
    work: Callable[[], int],
    *,
    settings: Mapping[str, Any],
    item: str,
    compare: bool = True,
) -> dict[str, Any]:
    """JSON values of one run of `work`, which returns how many items it finished.

    It is compared with the yardstick where it is a processor that does the work.
    """
    before = yardstick.measure() if compare else None
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    row: dict[str, Any] = {
        "bench": name,
        "items": count,
        "item": item,
        "rate_per_second": round(count / wall, 3),
        "wall_seconds": round(wall, 3),
        "cpu_seconds": round(cpu, 3),
        "cpu_seconds_per_item": round(cpu / count, 5),
    }
    if before is not None:
        after = yardstick.measure()
        unit_seconds = (before["unit"] + after["unit"]) / 2000
        row |= {
            "cpu_units_per_item": round(cpu / count / unit_seconds, 3),
            "wall_units_per_item": round(wall / count / unit_seconds, 3),
            "yardstick_unit_ms": [before["unit"], after["unit"]],
        }
    return row | {
        "peak_memory_mb": peak_memory_mb(),
        "settings": dict(settings),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "machine": {"cores": os.cpu_count(), "processor": platform.processor() or "unknown"},
    }


def peak_memory_mb() -> float | None:
    """Most memory this process ever held; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)
