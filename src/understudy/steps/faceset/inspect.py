"""Show what a face, a pak, saved metadata or a folder of faces holds."""

import json as json_text
import warnings
from pathlib import Path

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import LooseOptions
from understudy.types import Report

# pydantic warns of `json`, an old method of its own that nobody calls here.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)

    class InspectOptions(LooseOptions):
        """Options of `faceset inspect`."""

        file: Path = argument("Face file, faceset.pak, meta.dat or folder of faces.")
        json: bool = option(False, "All of it, as one line of JSON.")  # type: ignore[assignment]


def inspect(options: InspectOptions, job: Job) -> Report:
    """What the file holds, in lines for a person or whole as JSON."""
    from understudy.facesets.survey.inspect import inspect as look
    from understudy.facesets.survey.inspect import tell

    def progress(done: int, total: int) -> None:
        job.check()
        job.progress(done, total, "reading")

    facts = look(options.file, progress=progress)
    lines = [json_text.dumps(facts)] if options.json else tell(facts)
    details = {"lines": lines, "machine_readable": options.json}
    return Report("faceset inspect", done=1, details=details | {"summary": str(options.file)})
