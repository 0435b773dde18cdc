"""One frame of dst merged in all ways side by side, as one picture."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from understudy.errors import MaterialError, OptionError, WeightsError
from understudy.job import Job
from understudy.merging.settings import MergeSettings
from understudy.options import option, parse
from understudy.steps.extract_frames import frame_place
from understudy.steps.merge import faces_by_frame, frames_of
from understudy.steps.merge_networks import load_networks, load_predictor
from understudy.steps.merge_plan import plan_merge, read_session
from understudy.steps.merge_work import work_along
from understudy.steps.perform import StepOptions
from understudy.types import Landmarks, Report
from understudy.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

    from understudy.merging.predict import Networks

TILE_PX = 320
_LABEL_PX = 24
_AROUND = 0.9
_FONT, _LINE = 0.5, 1

Shown = Literal["modes", "color-transfers", "mask-modes"]


class PreviewOptions(StepOptions, MergeSettings):
    """Options of `preview`."""

    frame: str = option("", "Frame to show, by name or number; without it the middle one.")
    show: Shown = option("modes", "What to vary: merge modes, colour transfers or mask modes.")
    out: Path | None = option(
        None, "The picture; without it preview_FRAME.png in the workspace, replaced each time."
    )
    overwrite: bool = option(False, "Replace a picture named by --out.")
    model: str = option("new", "Name of the model.", group="Model")
    mask_model: str = option(
        "XSeg",
        "Mask model for the mask modes that name XSeg: one of this workspace, or generic, the one "
        "that ships. Without it those modes are left out.",
        group="Mask",
    )
    averaged: bool = option(True, "Use the averaged weights where there are any.", group="Model")
    device: str = option("auto", "Where to run the model: auto, cpu, cuda.", group="Machine")


def preview(options: PreviewOptions, job: Job) -> Report:
    """A picture of the plate and of each way to merge it, all else as merging would have it.

    Raises:
        MaterialError: the frame shows no face, or there is no trained model.
        OptionError: there is no such frame, or the picture is there already.
    """
    from understudy.media.images import read_pixels, write_image
    from understudy.merging.merge import merge_into

    workspace = Workspace.open(options.workspace)
    frames = frames_of(workspace)
    place = frame_place(frames, options.frame, "--frame") if options.frame else len(frames) // 2
    frame = frames[place]
    out = options.out or workspace.root / f"preview_{frame.stem}.png"
    if options.out is not None and out.exists() and not options.overwrite:
        raise OptionError(
            "--out",
            expected="a file that is not there yet",
            found=str(out),
            remedy="Choose another name, or allow it by --overwrite.",
        )
    faces = faces_by_frame(workspace, frames, job)
    if not faces.get(frame.stem):
        raise MaterialError(
            frame,
            expected="a frame with a face",
            found="none in it",
            remedy="Choose another by --frame.",
        )
    base = _settings(options, workspace, frames, place, job)
    chosen = {name: base.model_copy(update=values) for name, values in _variants(options.show)}
    predictor, _ = load_predictor(
        workspace, options.model, averaged=options.averaged, device=options.device, job=job
    )
    networks, chosen = _networks(options, workspace, chosen, job)
    work = work_along(frames, faces, [base] * len(frames))[place]
    plate = read_pixels(frame)
    tiles = [_tile(plate, "plate", plate.shape, work.faces)]
    for name, settings in chosen.items():
        job.check()
        merged, _ = merge_into(
            plate,
            work.faces,
            predictor,
            settings,
            motions=work.motions,
            networks=networks,
            seed=work.seed,
        )
        tiles.append(_tile(merged, name, plate.shape, work.faces))
        job.progress(len(tiles) - 1, len(chosen), name)
    write_image(out, _sheet(tiles))
    details = {"summary": f"{len(chosen)} {options.show} of {frame.name}", "unit": "picture"}
    return Report("preview", done=1, outputs=[out], details=details)


def _settings(
    options: PreviewOptions, workspace: Workspace, frames: Sequence[Path], place: int, job: Job
) -> MergeSettings:
    """What the session has for the frame, with the settings given."""
    given = {
        name: getattr(options, name)
        for name in MergeSettings.model_fields
        if name in options.model_fields_set
    }
    session = read_session(workspace)
    if not session.get("keyed"):
        last = session.get("keyframes") or [{"settings": {}}]
        return parse(MergeSettings, last[0]["settings"] | given)
    at = frames[place].name if given else ""
    return plan_merge(workspace, frames, given, at=at, job=job).settings[place]


def _networks(
    options: PreviewOptions, workspace: Workspace, chosen: dict[str, MergeSettings], job: Job
) -> "tuple[Networks, dict[str, MergeSettings]]":
    """What the chosen settings need, and those of them for which it is there."""

    def load(settings: Sequence[MergeSettings]) -> "Networks":
        device = options.device
        return load_networks(workspace, options.mask_model, settings, device=device, job=job)[0]

    try:
        return load(list(chosen.values())), chosen
    except (MaterialError, WeightsError) as error:
        if options.show != "mask-modes":
            raise
        job.message(f"mask modes with XSeg are left out: {error}")
        left = {name: one for name, one in chosen.items() if "XSeg" not in name}
        return load(list(left.values())), left


def _variants(show: Shown) -> list[tuple[str, Mapping[str, Any]]]:
    """Names and what they change in the settings."""
    from understudy.imaging.color import COLOR_TRANSFERS
    from understudy.merging.masking import MASK_MODES
    from understudy.merging.overlay import OVERLAYS

    field, names = {
        "modes": ("mode", list(OVERLAYS)),
        "color-transfers": ("color_transfer", list(COLOR_TRANSFERS)),
        "mask-modes": ("mask_mode", list(MASK_MODES)),
    }[show]
    return [(name, {field: name}) for name in names]


def _tile(
    picture: "np.ndarray", name: str, plate_shape: tuple[int, ...], faces: Sequence[Landmarks]
) -> "np.ndarray":
    """The faces' part of `picture`, 8 bit and square, under its name."""
    import cv2
    import numpy as np

    if picture.shape == plate_shape:
        points = np.concatenate(faces)
        middle, reach = points.mean(0), _AROUND * float(np.ptp(points, axis=0).max())
        left, top = np.maximum(middle - reach, 0).astype(int)
        right, bottom = np.ceil(middle + reach).astype(int)
        picture = picture[top:bottom, left:right]
    white = np.iinfo(picture.dtype).max if picture.dtype.kind == "u" else 1
    levels = np.clip(picture * (255 / white), 0, 255).astype(np.uint8)
    scale = TILE_PX / max(levels.shape[:2])
    size = tuple(max(round(side * scale), 1) for side in levels.shape[1::-1])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    tile = np.zeros((TILE_PX + _LABEL_PX, TILE_PX, 3), np.uint8)
    tile[_LABEL_PX : _LABEL_PX + size[1], : size[0]] = cv2.resize(
        levels, size, interpolation=method
    )
    origin = (6, _LABEL_PX - 7)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(tile, name, origin, font, _FONT, (235, 235, 235), _LINE, cv2.LINE_AA)
    return tile


def _sheet(tiles: "Sequence[np.ndarray]") -> "np.ndarray":
    """Tiles in rows of about as many as there are rows."""
    import numpy as np

    columns = math.ceil(math.sqrt(len(tiles)))
    filled = [*tiles, *[np.zeros_like(tiles[0])] * (-len(tiles) % columns)]
    rows = [np.hstack(filled[i : i + columns]) for i in range(0, len(filled), columns)]
    return np.vstack(rows)
