"""The faces that are worth a label, before any is drawn and after each round."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.faceset.measured import measured_traits
from understudy.steps.mask.copies import copy_faces
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

    from understudy.facesets.faceset import Faceset
    from understudy.facesets.survey.statistics import Traits


class SuggestOptions(StepOptions):
    """Options of `mask suggest`."""

    faces: str = argument("Which faces: src, dst or a folder.")
    num: int = argument("How many faces to suggest.", default=20, ge=1, le=10_000)
    sheet: Path | None = option(
        None, "File for a contact sheet of them (png, jpg), in the order suggested.", group="Output"
    )
    copy_to: Path | None = option(
        None,
        "Folder for copies of them, to label there; mask import brings the labels back.",
        group="Output",
    )
    replace: bool = option(
        False,
        "Put newer versions in the place of copies made before; those go to the trash beside the "
        "copies.",
        group="Output",
    )


@dataclass(frozen=True, slots=True)
class _Face:
    labelled: bool
    uncertainty: float


def suggest(options: SuggestOptions, job: Job) -> Report:
    """Faces by pose, light, colour and how doubtful their applied mask is; the same every time.

    Raises:
        MaterialError: there are no faces, or all have labels.
        FileError: the faces are in a pak.
        OptionError: copies would go among the faces.
    """
    import numpy as np

    from understudy.facesets.faceset import Faceset
    from understudy.masks import suggest as ranking

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    if options.copy_to is not None:
        _check_elsewhere(options.copy_to, folder)
    traits = measured_traits(folder, job)
    faceset = Faceset.open(folder)
    places = {name: index for index, name in enumerate(faceset.names)}
    looked = _look(faceset, [places[name] for name in traits.names if name in places], job)
    rows = [row for row, name in enumerate(traits.names) if places.get(name, -1) in looked]
    faces = [looked[places[traits.names[row]]] for row in rows]
    if all(face.labelled for face in faces):
        raise _all_labelled(folder, len(faces))
    chosen = ranking.suggest(
        _features(traits)[rows] / np.array(ranking.SCALES),
        np.array([face.labelled for face in faces]),
        np.array([face.uncertainty for face in faces]),
        options.num,
    )
    names = [traits.names[rows[one]] for one in chosen]
    lines = [_line(traits, rows[one], faces[one].uncertainty) for one in chosen]
    outputs = _show(options, faceset, [places[name] for name in names], job)
    labels = sum(face.labelled for face in faces)
    summary = f"{counted(len(names), 'face')} to label next; of {len(faces)}, {labels} have labels"
    details = {"summary": summary, "suggested": names, "labelled": labels, "lines": lines}
    return Report("mask suggest", done=len(names), outputs=outputs, details=details)


def _check_elsewhere(out_dir: Path, folder: Path) -> None:
    from understudy.errors import OptionError

    if out_dir.resolve() == folder.resolve():
        raise OptionError(
            "--copy-to",
            expected="another folder than the faceset's",
            found=str(out_dir),
            remedy="Choose a folder of its own.",
        )


def _look(faceset: "Faceset", places: list[int], job: Job) -> dict[int, _Face]:
    """Whether each face has labels, and how doubtful its applied mask is (NaN without one)."""
    from understudy.masks.polygons import is_labelled
    from understudy.masks.suggest import mask_uncertainty

    def look(index: int) -> _Face:
        face = faceset[index]
        doubt = float("nan") if face.mask is None else mask_uncertainty(face.mask)
        return _Face(is_labelled(face.polygons), doubt)

    names = faceset.names
    return dict(
        job.map(
            look, places, total=len(places), name=lambda i: names[i], message="looking at masks"
        )
    )


def _features(traits: "Traits") -> "np.ndarray":
    import numpy as np

    columns = (traits.yaw_deg, traits.pitch_deg, traits.brightness, *traits.chroma.T)
    return np.stack(columns, 1)


def _line(traits: "Traits", row: int, uncertainty: float) -> str:
    from math import isnan

    mask = "no mask yet" if isnan(uncertainty) else f"mask doubt {uncertainty:.2f}"
    pose = f"yaw {traits.yaw_deg[row]:+.0f}, pitch {traits.pitch_deg[row]:+.0f}"
    return f"{traits.names[row]}  {pose}, brightness {traits.brightness[row]:.0f}, {mask}"


def _show(options: SuggestOptions, faceset: "Faceset", chosen: list[int], job: Job) -> list[Path]:
    """Files that show the faces: a contact sheet, copies, or neither."""
    from understudy.facesets.survey.sheet import Cell, draw_sheet, thumbnail
    from understudy.files import make_dir
    from understudy.media.images import write_image

    outputs = []
    if options.sheet is not None:
        cells = [
            Cell(thumbnail(faceset[i].image, 192), faceset.names[i].rpartition(".")[0])
            for i in chosen
        ]
        page = draw_sheet(cells, columns=6, cell_px=192, title="label next")
        make_dir(options.sheet.parent)
        write_image(options.sheet, page)
        job.preview("suggested", options.sheet)
        outputs.append(options.sheet)
    if options.copy_to is not None:
        copy_faces(faceset, chosen, make_dir(options.copy_to), job, replace=options.replace)
        outputs.append(options.copy_to)
    return outputs


def _all_labelled(folder: Path, count: int) -> Exception:
    from understudy.errors import MaterialError

    return MaterialError(
        folder,
        expected="faces without labels",
        found=f"{count}, all of them labelled",
        remedy="There is nothing left to label here.",
    )
