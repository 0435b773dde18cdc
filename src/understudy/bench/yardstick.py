"""A unit of machine speed: the time of fixed work in numpy, OpenCV and plain Python.

Speeds on different or busy machines are told as ratios to it, measured in the same run. Each field
is in milliseconds, median of the repeats:

    gemm    one 1024x1024x1024 float32 matrix product
    warp    one cubic affine warp of a 1920x1080 float32 picture
    filter  one 5x5 median and one 31x31 Gaussian blur of a 512x512 float32 picture
    copy    one 64 MiB memory copy
    python  a plain loop of 200,000 steps
    unit    geometric mean of gemm, warp and python

Run as a program it measures with one thread; `measure` starts it as one, since numpy's threads are
fixed when it is loaded.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def measure(*, cpu: bool = True, repeat: int = 7) -> dict[str, float]:
    """Milliseconds of each field on one thread; `cpu` counts processor time, not the wall's."""
    environment = os.environ | dict.fromkeys(THREADS, "1")
    command = [sys.executable, "-m", __name__, "cpu" if cpu else "wall", str(repeat)]
    output = subprocess.run(  # noqa: S603 - our own interpreter and module
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout
    fields: dict[str, float] = json.loads(output)
    return fields


def _work() -> dict[str, Callable[[], object]]:
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    rng = np.random.default_rng(12345)
    left = rng.random((1024, 1024), dtype=np.float32)
    right = rng.random((1024, 1024), dtype=np.float32)
    frame = rng.random((1080, 1920, 3), dtype=np.float32)
    small = rng.random((512, 512, 3), dtype=np.float32)
    block = np.zeros(64 * 1024 * 1024, np.uint8)
    affine = cv2.getRotationMatrix2D((960, 540), 13.0, 0.9)
    return {
        "gemm": lambda: left @ right,
        "warp": lambda: cv2.warpAffine(frame, affine, (1920, 1080), flags=cv2.INTER_CUBIC),
        "filter": lambda: (cv2.medianBlur(small, 5), cv2.GaussianBlur(small, (31, 31), 0)),
        "copy": block.copy,
        "python": _loop,
    }


def _loop() -> int:
    total = 0
    for i in range(200_000):
        total += i & 7
    return total


def _main() -> None:
    clock = time.process_time if sys.argv[1] == "cpu" else time.perf_counter
    result: dict[str, float] = {}
    for name, function in _work().items():
        function()
        times = []
        for _ in range(int(sys.argv[2])):
            start = clock()
            function()
            times.append((clock() - start) * 1000)
        result[name] = round(statistics.median(times), 3)
    logs = [math.log(result[k]) for k in ("gemm", "warp", "python")]
    result["unit"] = round(math.exp(sum(logs) / 3), 3)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    _main()
