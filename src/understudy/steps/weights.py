"""Fetch the face models, or list them."""

from typing import Literal

from understudy.job import Job
from understudy.options import argument
from understudy.steps.perform import LooseOptions
from understudy.types import Report


class WeightsOptions(LooseOptions):
    """Options of `weights`."""

    action: Literal["list", "get"] = argument("What to do: list or get.", default="list")
    name: str = argument("Which weights to get.", default="mediapipe")


def weights(options: WeightsOptions, job: Job) -> Report:
    """The weights there are and where they stand; `get` fetches those called `name`.

    Raises:
        OptionError: no such weights.
        WeightsError: they can't be fetched.
    """
    from understudy import weights as room

    if options.action == "get":
        before = room.status(options.name).state
        folder = room.get(options.name, tell=job.message)
        fetched = before != "ready"
        return Report(
            "weights",
            done=int(fetched),
            skipped=int(not fetched),
            outputs=[folder],
            details={"summary": f"weights {options.name} ready"},
        )
    states = [room.status(name) for name in room.WEIGHTS]
    lines = [
        f"  {s.name:<12} {s.state:<8} {s.size / 1e6:6.1f} MB  {s.licence}  {s.origin}  {s.folder}"
        for s in states
    ]
    summary = f"{sum(s.state == 'ready' for s in states)} of {len(states)} ready"
    return Report("weights", done=len(states), details={"lines": lines, "summary": summary})
