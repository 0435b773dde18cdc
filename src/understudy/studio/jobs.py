"""The queue: child processes that run the command line, one after the other.

A job outlives the studio: it is a session of its own, reads commands from a named pipe, holds a
lock as long as it lives and writes its events to a file. A studio that starts again finds all of
that in the workspace and goes on watching. Steps that need no workspace for themselves start at
once; the others wait for one another.
"""

import contextlib
import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any  # values of options

from understudy.errors import FormatError, OptionError, WorkspaceBusyError
from understudy.files import make_dir
from understudy.steps.perform import NEED_NO_LOCK
from understudy.studio.command_lines import words_of
from understudy.studio.job_record import EXIT_STATES, JobRecord, State
from understudy.studio.locks import Lock, is_locked

log = logging.getLogger("understudy.studio")


class Jobs:
    """All jobs of the opened workspaces. For one thread: that of the server."""

    def __init__(self) -> None:
        self._records: list[JobRecord] = []
        self._children: dict[Path, subprocess.Popen[bytes]] = {}
        self._locks: dict[Path, Lock] = {}
        self.revision = 0

    # ------------------------------------------------------------------ workspaces

    def open(self, workspace: Path) -> None:
        """Take over the jobs that lie in a workspace.

        Raises:
            WorkspaceBusyError: another studio has them.
        """
        if workspace in self._locks:
            return
        folder = make_dir(workspace / "studio" / "jobs")
        lock = Lock(workspace / "studio" / "studio.lock")
        if not lock.take():
            raise WorkspaceBusyError(
                workspace,
                expected="a workspace that no other studio has open",
                found="one that has it",
                remedy="Use that studio, or close it first.",
            )
        self._locks[workspace] = lock
        for each in sorted(folder.iterdir()):
            if (each / "job.json").exists():
                self._take_over(each)
        self._records.sort(key=lambda job: job.created)
        self.revision += 1

    def _take_over(self, folder: Path) -> None:
        try:
            record = JobRecord.read(folder)
        except FormatError as error:
            log.warning("a job is left out: %s", error)
            return
        record.listen()
        self._records.append(record)

    def close(self) -> None:
        """Let go of the workspaces; jobs that run go on."""
        for lock in self._locks.values():
            lock.release()
        self._locks.clear()
        for child in self._children.values():
            if child.poll() is None:
                child.returncode = 0  # else Python warns of a child that is left to itself
        self._children.clear()

    # ------------------------------------------------------------------ what a user does

    def all(self, workspace: Path | None = None) -> list[JobRecord]:
        """The jobs, of one workspace or all, oldest first."""
        return [r for r in self._records if workspace is None or r.workspace == workspace]

    def find(self, workspace: Path, key: str) -> JobRecord:
        """Job number `key` of a workspace.

        Raises:
            OptionError: there is none.
        """
        for record in self._records:
            if record.workspace == workspace and record.key == key:
                return record
        raise OptionError("job", expected="one in the list", found=repr(key), remedy="Reload.")

    def add(self, step: str, values: Mapping[str, Any], *, workspace: Path) -> JobRecord:
        """A job that waits for its turn.

        Raises:
            OptionError: a value is wrong; nothing was added.
        """
        words_of(step, values)
        folder = workspace / "studio" / "jobs"
        numbers = [int(p.name) for p in folder.iterdir() if p.name.isdecimal()]
        place = folder / f"{max(numbers, default=0) + 1:04d}"
        plain = {name: _plain(value) for name, value in values.items()}
        record = JobRecord.create(place, step, plain, workspace=workspace, now=time.time())
        self._records.append(record)
        self.revision += 1
        self.tick()
        return record

    def retry(self, record: JobRecord) -> JobRecord:
        """The same once more, at the end of the queue."""
        return self.add(record.step, record.values, workspace=record.workspace)

    def cancel(self, record: JobRecord) -> None:
        """Ask a job to end, keeping what is finished; asked twice it ends at once."""
        if record.state == "waiting":
            self._end(record, "cancelled")
        elif record.state == "running" and record.pid is not None and is_locked(record.alive_path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(record.pid, signal.SIGINT)

    def tell(self, record: JobRecord, said: Mapping[str, Any]) -> None:
        """Send a command to a running job.

        Raises:
            OptionError: it does not run, or does not read.
        """
        line = json.dumps(dict(said)) + "\n"
        try:
            handle = os.open(record.input_path, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(handle, line.encode())
            finally:
                os.close(handle)
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENOENT, errno.EAGAIN):
                raise
            raise OptionError(
                record.step, expected="a job that runs", found="none", remedy="Start it first."
            ) from error

    # ------------------------------------------------------------------ what happens by itself

    def tick(self) -> bool:
        """Hear what the jobs told, see which ended, start what comes next: whether anything was."""
        changed = False
        for record in self._records:
            if record.state == "running":
                changed |= record.listen()
                changed |= self._look_after(record)
        for record in self._next():
            self._start(record)
            changed = True
        self.revision += changed
        return changed

    def _next(self) -> list[JobRecord]:
        waiting = [r for r in self._records if r.state == "waiting"]
        at_once = [r for r in waiting if r.step in NEED_NO_LOCK]
        is_busy = any(r.state == "running" and r.step not in NEED_NO_LOCK for r in self._records)
        in_turn = [r for r in waiting if r.step not in NEED_NO_LOCK]
        return at_once + ([] if is_busy else in_turn[:1])

    def _start(self, record: JobRecord) -> None:
        words = words_of(record.step, record.values)
        command = [sys.executable, "-m", "understudy.cli.main", *words]
        record.input_path.unlink(missing_ok=True)
        os.mkfifo(record.input_path, 0o600)
        alive = Lock(record.alive_path)
        alive.take()
        # Opened for both ways it never comes to an end, whoever writes to it and goes.
        handle = os.open(record.input_path, os.O_RDWR)
        try:
            with record.log_path.open("ab") as out:
                child = subprocess.Popen(  # noqa: S603 - our own program, checked values
                    [*command, f"--events={record.events_path}"],
                    stdin=handle,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(alive.handle,),
                    cwd=record.workspace,
                )
        finally:
            os.close(handle)
            alive.release()
        self._children[record.folder] = child
        record.pid, record.state = child.pid, "running"
        record.save()

    def _look_after(self, record: JobRecord) -> bool:
        """Note how a job ended, if it did."""
        child = self._children.get(record.folder)
        if child is not None:
            code = child.poll()
            if code is None:
                return False
            del self._children[record.folder]
            record.listen()
            self._end(record, EXIT_STATES.get(code, "failed" if code > 0 else "lost"))
            return True
        if is_locked(record.alive_path):
            return False
        record.listen()
        self._end(record, _state_told(record))
        return True

    def _end(self, record: JobRecord, state: State) -> None:
        record.state, record.ended = state, time.time()
        record.input_path.unlink(missing_ok=True)
        record.save()
        self.revision += 1


def _state_told(record: JobRecord) -> State:
    """How a job ended that was no child of ours: as its last event says."""
    heard = record.heard
    if heard.end == "finished":
        return "partly" if (heard.report or {}).get("failed") else "done"
    if heard.end in ("failed", "cancelled"):
        return "failed" if heard.end == "failed" else "cancelled"
    return "lost"


def _plain(value: Any) -> Any:
    """A value as JSON keeps it."""
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
