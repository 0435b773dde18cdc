"""The long run of damaged and hostile files: python tests/fuzz_run.py --inputs 200000.

Prints one line of JSON: inputs, how many were read, crashes with how to make them again, peak
memory and the slowest input. Exits with 1 if anything crashed.
"""

import argparse
import collections
import faulthandler
import json
import resource
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from random import Random

from fuzz_inputs import load_seeds, make_input
from fuzz_readers import Feeder

SHARED = Path(__file__).resolve().parents[2] / "shared"
STUCK_SECONDS = 60
MEMORY_BYTES = 3 << 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this time")
    given = parser.parse_args()
    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    seeds, counts = load_seeds(SHARED), collections.Counter[str]()
    crashes: list[str] = []
    slowest, begin, before = (0.0, 0, ""), time.monotonic(), _peak()
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
        feeder = Feeder(Path(folder), seeds.faces[0])
        for number in range(given.inputs):
            if time.monotonic() - begin > given.seconds:
                break
            faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
            made = make_input(Random(f"{given.seed} {number}"), seeds)
            start = time.process_time()
            try:
                outcome = feeder.feed(made, number)
            except Exception:  # noqa: BLE001 - a fault of a reader, which is what is looked for
                outcome = "crashed"
                crashes.append(f"input {number} for {made.reader}: {traceback.format_exc()}")
            slowest = max(slowest, (time.process_time() - start, number, made.reader))
            counts[f"{made.reader} {outcome}"] += 1
            if number % 5000 == 0:
                feeder.check_folder()
                sys.stderr.write(f"{number} after {time.monotonic() - begin:.0f} s\n")
        feeder.check_folder()
    row = {
        "inputs": sum(counts.values()),
        "outcomes": dict(sorted(counts.items())),
        "crashes": len(crashes),
        "seconds": round(time.monotonic() - begin, 1),
        "peak_memory_mb": round(_peak(), 1),
        "peak_memory_before_mb": round(before, 1),
        "slowest_ms": round(slowest[0] * 1000, 1),
        "slowest": f"input {slowest[1]} for {slowest[2]}",
    }
    for crash in crashes[:10]:
        sys.stderr.write(crash + "\n")
    sys.stdout.write(json.dumps(row) + "\n")
    return 1 if crashes else 0


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - memory, not a name


if __name__ == "__main__":
    sys.exit(main())
