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
    """First Ctrl+C ends the job cleanly, the second at once.

    So do a request to terminate and a terminal that is closed, unless the job was started to
    outlive it (nohup).
    """

    def ask(number: int, frame: FrameType | None) -> None:
        job.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
    closed = getattr(signal, "SIGHUP", None) or getattr(signal, "SIGBREAK", None)  # Windows
    if closed is not None and signal.getsignal(closed) is not signal.SIG_IGN:
        signal.signal(closed, ask)


def obey_standard_input(job: Job) -> None:
    """Read commands as long as standard input is a pipe; a terminal or a file is left alone."""
    try:
        handle = sys.stdin.fileno()
        kind = os.fstat(handle).st_mode
    except (OSError, ValueError, AttributeError):  # closed, or replaced by something without a file
        return
    if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
        threading.Thread(target=_listen, args=(job, handle), daemon=True).start()


def _listen(job: Job, handle: int) -> None:
    # Read past sys.stdin: Python aborts at its end if a thread still waits in that.
    begun = b""
    while chunk := os.read(handle, 1 << 16):
        *lines, begun = (begun + chunk).split(b"\n")
        for line in lines:
            _obey(job, line.decode(errors="replace").strip())
    _obey(job, begun.decode(errors="replace").strip())


def _obey(job: Job, line: str) -> None:
    if not line:
        return
    try:
        job.ask(json.loads(line))
    except ValueError:
        job.message(f'ignored on standard input: {line[:80]!r} is no {{"command": ...}}')
    except UnderstudyError as error:
        job.message(str(error))
