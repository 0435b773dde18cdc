"""The whole way on two bundled clips of digital doubles, and a before/after strip."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.job import Job
from understudy.options import option
from understudy.steps.perform import StepOptions, perform
from understudy.steps.run import RunOptions
from understudy.steps.strip import named_row, tile_of
from understudy.types import Report
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.media.images import Pixels

CLIPS = Path(__file__).with_name("demo_clips")
SHOWN = 5
TILE = 256


class DemoOptions(StepOptions):
    """Options of `demo`."""

    workspace: Path = option(Path("understudy_demo"), "Folder for everything the demo makes.")
    minutes: float = option(0.0, "Train this long; 0 = the preset's.", ge=0)


def demo(options: DemoOptions, job: Job) -> Report:
    """The swapped clip and a strip that shows src, plate and result side by side."""
    out = options.workspace / "result.mp4"
    strip = options.workspace / "before_after.png"
    given: dict[str, Any] = {"minutes": options.minutes} if options.minutes else {}
    src, dst = CLIPS / "src.mp4", CLIPS / "dst.mp4"
    run_options = RunOptions(
        src=(src,), dst=dst, out=out, workspace=options.workspace, preset="demo", **given
    )
    _say_who_they_are(Workspace.create(options.workspace).root)
    report = perform("run", run_options, job)
    write_strip(strip, src, dst, out)
    mark_strip(strip, out, options.workspace)
    lines = [*report.details["lines"], f"  the film:      {out}", f"  before, after: {strip}"]
    return Report(
        "demo",
        done=report.done,
        skipped=report.skipped,
        failed=report.failed,
        outputs=[out, strip],
        details={
            "lines": lines,
            "summary": f"a face was replaced, {report.details['summary']}",
            "unit": "frame",
            "parts": report.details["parts"],
        },
    )


def _say_who_they_are(workspace: Path) -> None:
    from understudy.provenance.consent import Basis, Consent, now, read_consent, write_consent

    if read_consent(workspace) is None:
        record = Consent(
            subject="double-a", basis=Basis.SYNTHETIC, scope="The demo.", recorded=now()
        )
        write_consent(workspace, record)


def mark_strip(strip: Path, film: Path, workspace: Path) -> None:
    """Marks the strip as made of the film, unless the workspace says otherwise."""
    from understudy.provenance.consent import marking_enabled, read_consent, status_sentence
    from understudy.provenance.mark import MarkDetails, sign

    if marking_enabled(workspace):
        details = MarkDetails(consent=status_sentence(read_consent(workspace)))
        sign(strip, details=details, plate=film)


def write_strip(path: Path, src: Path, plate: Path, result: Path) -> None:
    """A picture with one row of the src clip, one of the plate and one of the result."""
    from understudy.media.images import write_image

    rows = [
        named_row("the face to put on", _evenly(src)),
        named_row("before", _evenly(plate)),
        named_row("after", _evenly(result)),
    ]
    write_image(path, np.concatenate(rows))


def _evenly(clip: Path) -> "list[Pixels]":
    """A few frames spread over the clip, as tiles."""
    from understudy.media.video import decode_frames, probe

    count = probe(clip).frame_count or sum(1 for _ in decode_frames(clip))
    wanted = {int((i + 0.5) * count / SHOWN) for i in range(SHOWN)}
    frames = (frame for frame in decode_frames(clip) if frame.index in wanted)
    return [tile_of(frame.pixels, TILE) for frame in frames]
