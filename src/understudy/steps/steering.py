"""Steer the training that runs in a workspace, from another terminal.

Each function sends one command to the process that trains there and tells what it answers. The
workspace stays with that process: nothing here waits for it to be free.
"""

from typing import Any  # JSON values

from understudy import mailbox
from understudy.errors import OptionError
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class SteerOptions(StepOptions):
    """What every command to a running training takes."""

    wait: float = option(60.0, "How many seconds to wait for its answer.", ge=0)


class SetOptions(SteerOptions):
    """Options of `train set`."""

    settings: tuple[str, ...] = argument("Options and their values: KEY=VALUE.", min_length=1)


class PreviewOptions(SteerOptions):
    """Options of `train preview`."""

    src: tuple[str, ...] = option((), "Names of src faces to show from now on.")
    dst: tuple[str, ...] = option((), "Names of dst faces to show from now on.")


def set(options: SetOptions, job: Job) -> Report:
    """All of the settings, or none if one of them can't be changed.

    Raises:
        OptionError: nothing runs there, or a setting is refused.
    """
    values = dict(_setting(text) for text in options.settings)
    return _send(options, job, {"command": "set", "values": values})


def save(options: SteerOptions, job: Job) -> Report:
    """A save of the present iteration."""
    return _send(options, job, {"command": "save"})


def backup(options: SteerOptions, job: Job) -> Report:
    """A save of the present iteration, kept as the newest backup."""
    return _send(options, job, {"command": "backup"})


def preview(options: PreviewOptions, job: Job) -> Report:
    """Previews of the present iteration.

    Raises:
        OptionError: nothing runs there, or there is no such face.
    """
    chosen = {"src": [*options.src], "dst": [*options.dst]}
    named = {side: names for side, names in chosen.items() if names}
    return _send(options, job, {"command": "preview", **named})


def pause(options: SteerOptions, job: Job) -> Report:
    """A pause: no more iterations, though commands are still obeyed."""
    return _send(options, job, {"command": "pause"})


def resume(options: SteerOptions, job: Job) -> Report:
    """The end of a pause."""
    return _send(options, job, {"command": "resume"})


def stop(options: SteerOptions, job: Job) -> Report:
    """The end of training, after a last save."""
    return _send(options, job, {"command": "stop"})


def _send(options: SteerOptions, job: Job, said: dict[str, Any]) -> Report:
    told = mailbox.send(Workspace.open(options.workspace), said, wait=options.wait)
    return Report(job.step, done=1, details={"summary": told})


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise OptionError(
            "setting",
            expected="KEY=VALUE",
            found=repr(text),
            remedy="Such as: understudy train set batch_size=8",
        )
    return key.strip(), value.strip()
