"""Contact sheets of a faceset."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.faceset.left_out import tell_left_out
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

    from understudy.facesets.survey.sheet import Cell
    from understudy.types import FaceSample


class SheetOptions(StepOptions):
    """Options of `faceset sheet`."""

    faces: str = argument("Which faces: src, dst or a folder.")
    cell_px: int = option(128, "Side of one face on the sheet in pixels.", ge=32, le=1024)
    columns: int = option(12, "Faces side by side.", ge=1, le=100)
    rows: int = option(10, "Rows on one page; what does not fit goes on more pages.", ge=1, le=200)
    num_faces: int = option(
        0, "Show only so many, evenly spread over the faceset; 0 shows all.", ge=0, le=1_000_000
    )
    labels: Literal["name", "number", "pose", "size", "none"] = option(
        "name",
        "Below each face: its file's name, its number in the faceset, which way it looks in "
        "degrees, its size in the frame in pixels, or nothing.",
    )
    landmarks: bool = option(False, "Draw landmarks and hull onto the faces.")
    out: Path | None = option(
        None, "File for the sheet (png, jpg); if not given, in the workspace's reports.",
        group="Output",
    )  # fmt: skip


def sheet(options: SheetOptions, job: Job) -> Report:
    """Pages of small pictures of the faces, in their order.

    Raises:
        MaterialError: there are no faces.
    """
    from understudy.facesets.faceset import Faceset
    from understudy.facesets.survey.sheet import draw_sheet, spread
    from understudy.files import make_dir
    from understudy.media.images import write_image

    workspace = Workspace.open(options.workspace)
    folder = workspace.faceset_dir(options.faces)
    faceset = Faceset.open(folder)
    label = options.faces if options.faces in ("src", "dst") else folder.name
    out = options.out or workspace.reports_dir / f"faceset_sheet_{label}.png"
    make_dir(out.parent)
    names = faceset.names
    chosen = spread(len(names), options.num_faces)
    page_size = options.columns * options.rows
    pages = [chosen[i : i + page_size] for i in range(0, len(chosen), page_size)]
    outputs, shown = [], 0
    for number, places in enumerate(pages, 1):
        cells = [
            cell
            for _, cell in job.map(
                lambda place: _cell(faceset[place], names[place], place, options),
                places,
                total=len(chosen),
                done_before=(number - 1) * page_size,
                name=lambda place: names[place],
            )
        ]
        subtitle = f"{counted(len(names), 'face')}" if len(chosen) == len(names) else (
            f"{len(chosen)} of {len(names)} faces"
        )  # fmt: skip
        subtitle += f"  \u00b7  page {number} of {len(pages)}" if len(pages) > 1 else ""
        page = draw_sheet(cells, columns=options.columns, cell_px=options.cell_px, title=label,
                          subtitle=subtitle)  # fmt: skip
        path = out if len(pages) == 1 else out.with_name(f"{out.stem}_{number:03d}{out.suffix}")
        write_image(path, page)
        job.preview(f"sheet {number}", path)
        outputs.append(path)
        shown += len(cells)
    left_out = tell_left_out(faceset, job)
    return Report(
        "faceset sheet",
        done=shown,
        outputs=outputs,
        details={
            "summary": f"{counted(shown, 'face')} on {counted(len(pages), 'page')}",
            "left_out": left_out,
        },
    )


def _cell(face: "FaceSample", name: str, place: int, options: SheetOptions) -> "Cell":
    from understudy.facesets.survey.sheet import Cell, thumbnail

    picture = face.image
    side = options.cell_px
    small = thumbnail(picture, side)
    if options.landmarks:
        small = _with_landmarks(small, face, picture.shape[:2])
    caption, note = "", ""
    if options.labels == "name":
        caption = name.rpartition(".")[0]
    elif options.labels == "number":
        caption = str(place + 1)
    elif options.labels == "size":
        caption = _size(face)
    elif options.labels == "pose":
        caption, note = _pose(face, picture.shape[0])
    return Cell(small, caption, note)


def _with_landmarks(
    small: "np.ndarray", face: "FaceSample", shape_hw: tuple[int, int]
) -> "np.ndarray":
    from understudy.faces.drawing import draw_landmarks

    height, width = shape_hw
    side = small.shape[0]
    factor = side / max(shape_hw)
    moved = face.landmarks * factor + [(side - width * factor) / 2, (side - height * factor) / 2]
    return draw_landmarks(small, moved, darken_hull=False)


def _pose(face: "FaceSample", size: int) -> tuple[str, str]:
    from understudy.faces.pose import direction_words, head_pose

    pitch, yaw, _ = head_pose(face.landmarks, size)
    return direction_words(pitch, yaw)


def _size(face: "FaceSample") -> str:
    box = face.source_box
    if box is None:
        return "?"
    return f"{abs(box[2] - box[0])} \u00d7 {abs(box[3] - box[1])}"
