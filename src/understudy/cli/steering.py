"""What the user says to a running job: signals, and commands as JSON lines on standard input."""

import json
import os
import signal
import stat
import sys
import threading
from types import FrameType

from understudy.errors import UnderstudyError
from understudy.job import Job


def obey_signals(job: Job) -> None:
    """First Ctrl+C (or a request to terminate) ends the job cleanly, the second at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        job.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)


def obey_standard_input(job: Job) -> None:
    """Read commands as long as standard input is a pipe; a terminal or a file is left alone."""
    try:
        kind = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):  # closed, or replaced by something without a file
        return
    if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
        threading.Thread(target=_listen, args=(job,), daemon=True).start()


def _listen(job: Job) -> None:
    for raw in sys.stdin.buffer:
        line = raw.decode(errors="replace")
        if not line.strip():
            continue
        try:
            said = json.loads(line)
            job.command(str(said["command"] if isinstance(said, dict) else said))
        except (ValueError, KeyError):
            job.message(
                f'ignored on standard input: {line.strip()[:80]!r} is no {{"command": ...}}'
            )
        except UnderstudyError as error:
            job.message(str(error))
