"""Commands from one process to the step that runs in another, as files in the workspace.

The step listens while it holds the workspace; a sender drops a file, the step takes it, does what
it says between two pieces of its work, and lays the answer beside it. Files get their names when
they are whole, each has a name of its own, and they are taken in the order in which they came:
senders at the same time lose nothing. What was meant for a step that has ended reaches no later
one. Works wherever files can be renamed. Knows no step and no command.

    <workspace>/commands/open.json                 who listens: a mark of this run, its step
                         MARK.TIME.TAG.json        a command
                         MARK.TIME.TAG.answer      what became of it
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any  # JSON values

from understudy import files
from understudy.errors import FileError, FormatError, OptionError, StorageError, UnderstudyError
from understudy.job import Job
from understudy.workspace import Workspace

_LIMIT = 1 << 16
_LOOK_SECONDS, _ALIVE_SECONDS = 0.1, 1.0
_STALE_SECONDS = 3600.0


@contextlib.contextmanager
def listening(workspace: Workspace, job: Job) -> Iterator[None]:
    """Passes commands of other processes to `job` meanwhile; only for who holds the workspace."""
    folder = files.make_dir(workspace.commands_dir)
    _remove_stale(folder)
    mark = secrets.token_hex(4)
    files.write_json(workspace.listener_path, {"mark": mark, "step": job.step})
    ended = threading.Event()
    listener = threading.Thread(target=_listen, args=(folder, mark, job, ended), daemon=True)
    listener.start()
    try:
        yield
    finally:
        ended.set()
        listener.join()
        workspace.listener_path.unlink(missing_ok=True)
        _take(folder, mark, job)
        for command in job.commands():
            command.answer(_ended(workspace))


def send(workspace: Workspace, said: dict[str, Any], *, wait: float) -> str:
    """What the step that runs in the workspace answers to a command.

    It may be long in one piece of work; after `wait` seconds the answer says that it has the
    command and will come to it.

    Raises:
        OptionError: no step listens here, it ended before it came to this, or it refused.
        StorageError: the command can't be written.
    """
    mark = _mark(workspace)
    if mark is None or not workspace.is_held():
        raise _nobody(workspace)
    path = workspace.commands_dir / f"{mark}.{time.time_ns()}.{secrets.token_hex(4)}.json"
    files.write_json(path, said)
    until = time.monotonic() + wait
    looked = time.monotonic()
    while True:
        alive = True
        if time.monotonic() - looked > _ALIVE_SECONDS:
            looked = time.monotonic()
            alive = _mark(workspace) == mark and workspace.is_held()
        answer = _answer_to(path)
        if answer is not None:
            return answer
        if not alive:
            _take_back(path)
            raise _ended(workspace)
        if time.monotonic() > until:
            if not _take_back(path):
                return "the job has it, but is still at other work: it will come to it"
            raise OptionError(
                str(said.get("command")),
                expected=f"the job to take this within {wait:g} seconds",
                found="no sign of it",
                remedy="It may be stopped or overloaded; try again, with a longer --wait.",
            )
        time.sleep(_LOOK_SECONDS)


def _listen(folder: Path, mark: str, job: Job, ended: threading.Event) -> None:
    while not ended.wait(_LOOK_SECONDS):
        _take(folder, mark, job)


def _take(folder: Path, mark: str, job: Job) -> None:
    """Passes on the commands that lie there."""
    for path in sorted(folder.glob(f"{mark}.*.json")):
        try:
            said = files.read_json(path, limit=_LIMIT)
        except (FileError, FormatError) as error:
            if path.exists():  # else its sender took it back
                job.message(f"a command can't be read: {error}")
                path.unlink(missing_ok=True)
            continue
        path.unlink(missing_ok=True)
        answer = partial(_lay_answer, path, job)
        try:
            job.ask(said, answer)
        except OptionError as error:
            answer(error)


def _lay_answer(path: Path, job: Job, answer: str | UnderstudyError) -> None:
    if isinstance(answer, UnderstudyError):
        told: dict[str, Any] = {
            "thing": answer.thing,
            "expected": answer.expected,
            "found": answer.found,
            "remedy": answer.remedy,
        }
    else:
        told = {"told": answer}
    try:
        files.write_json(path.with_suffix(".answer"), told)
    except StorageError as error:  # what was asked is done all the same
        job.message(f"no answer to a command: {error}")


def _answer_to(path: Path) -> str | None:
    """What the step answered, once; None if it did not yet.

    Raises:
        OptionError: it refused.
    """
    file = path.with_suffix(".answer")
    if not file.exists():
        return None
    value = files.read_json(file, limit=_LIMIT)
    file.unlink()
    if "told" in value:
        return str(value["told"])
    thing = value.pop("thing")
    raise OptionError(thing, **value)


def _mark(workspace: Workspace) -> str | None:
    """Mark of the run that listens; None if none does."""
    if not workspace.listener_path.exists():
        return None
    try:
        return str(files.read_json(workspace.listener_path, limit=_LIMIT)["mark"])
    except (FileError, FormatError, KeyError, TypeError):  # just removed, or no work of ours
        return None


def _take_back(path: Path) -> bool:
    """Whether the command was still there."""
    try:
        path.unlink()
    except OSError:  # gone, or open in the job's hands where that keeps a file
        return False
    return True


def _remove_stale(folder: Path) -> None:
    """Removes what senders and runs that are long gone have left."""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()


def _nobody(workspace: Workspace) -> OptionError:
    return OptionError(
        workspace.root,
        expected="a running train, run or demo that takes commands",
        found="a job that takes none" if workspace.is_held() else "none",
        remedy="Give the --workspace it works in, or start it first.",
    )


def _ended(workspace: Workspace) -> OptionError:
    return OptionError(
        workspace.root,
        expected="training that goes on",
        found="that it ended before it came to this",
        remedy="Give it to the next run.",
    )
