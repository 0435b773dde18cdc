"""A further process of a step that runs in several; its first process starts it.

One JSON object on standard input: the step and its options. What goes wrong is told by the first
process; a fault of the program leaves its trace here.
"""

import json
import signal
import sys

from understudy.errors import UnderstudyError
from understudy.job import Job
from understudy.options import parse
from understudy.steps import STEPS


def main() -> int:
    """Exit code of the process."""
    said = json.load(sys.stdin)
    step = STEPS[said["step"]]
    job = Job(step.name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears it too, and says so
    signal.signal(signal.SIGTERM, lambda number, frame: job.cancel())
    try:
        step.function(parse(step.options, said["options"]), job)
    except UnderstudyError as error:
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
