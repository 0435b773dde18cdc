"""What a faceset holds, in numbers and in one picture."""

from pathlib import Path
from typing import Any  # JSON values

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.faceset.measured import measured_traits
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace


class StatsOptions(StepOptions):
    """Options of `faceset stats`."""

    faces: str = argument("Which faces: src, dst or a folder.", default="src")
    against: str = option(
        "dst", "Faceset to set them against: src, dst, a folder, or none for none."
    )
    out: Path | None = option(
        None,
        "File for the chart (png); numbers go beside it as json. If not given, in the workspace's "
        "reports.",
        group="Output",
    )


def stats(options: StatsOptions, job: Job) -> Report:
    """A chart of directions, sharpness, sizes and light, and the numbers as JSON.

    Raises:
        MaterialError: there are no faces.
        FileError: they are in a pak.
    """
    from understudy.facesets.survey import statistics
    from understudy.facesets.survey.coverage_chart import draw_chart
    from understudy.files import make_dir, write_json
    from understudy.media.images import write_image

    workspace = Workspace.open(options.workspace)
    folder = workspace.faceset_dir(options.faces)
    other = _other(options, workspace, folder)
    label = options.faces if options.faces in ("src", "dst") else folder.name
    out = options.out or workspace.reports_dir / f"faceset_stats_{label}.png"
    src = measured_traits(folder, job)
    dst = None if other is None else measured_traits(other, job)
    other_label = (
        options.against if options.against in ("src", "dst") else Path(options.against).name
    )
    grid = statistics.pose_grid(src)
    numbers: dict[str, Any] = {
        "faces": label,
        "yaw_edges_deg": statistics.YAW_EDGES_DEG.tolist(),
        "pitch_edges_deg": statistics.PITCH_EDGES_DEG.tolist(),
        label: statistics.summary_of(src) | {"poses": grid.tolist()},
    }
    summary = f"{counted(len(src), 'face')} of {label}"
    if dst is not None:
        against = statistics.pose_grid(dst)
        share = statistics.covered_share(grid, against)
        numbers |= {"against": other_label, "covered": round(share, 4)}
        numbers[f"{other_label} (against)" if other_label == label else other_label] = (
            statistics.summary_of(dst) | {"poses": against.tolist()}
        )
        summary += f", which cover {int(share * 1000) / 10:g} % of the {len(dst)} of {other_label}"
    make_dir(out.parent)
    write_image(out, draw_chart(src, dst, src_name=label, dst_name=other_label))
    write_json(out.with_suffix(".json"), numbers)
    job.preview("stats", out)
    return Report(
        "faceset stats",
        done=len(src),
        outputs=[out, out.with_suffix(".json")],
        details={"summary": summary, **numbers},
    )


def _other(options: StatsOptions, workspace: Workspace, folder: Path) -> Path | None:
    """The faceset to set against: none where it was not asked for and is not there."""
    from understudy.errors import MaterialError

    if options.against == "none":
        return None
    asked = "against" in options.model_fields_set
    try:
        other = workspace.faceset_dir(options.against)
    except MaterialError:
        if asked:
            raise
        return None
    if not asked and (other.resolve() == folder.resolve() or not any(other.iterdir())):
        return None
    return other
