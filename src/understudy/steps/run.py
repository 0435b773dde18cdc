"""Two clips in, one finished film out: all steps in their order, each going on where it was."""

import shlex
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from understudy.errors import (
    FileError,
    MaterialError,
    OptionError,
    StorageError,
    UnderstudyError,
)
from understudy.files import make_dir
from understudy.job import Job
from understudy.options import Options, option
from understudy.steps.extract import ExtractOptions, recorded_options
from understudy.steps.extract_records import check_pictures
from understudy.steps.frames import FramesOptions
from understudy.steps.merge import MergeOptions
from understudy.steps.perform import StepOptions, perform
from understudy.steps.train import PresetName, TrainStepOptions
from understudy.steps.video import VideoOptions, check_out
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import SideName, Workspace

SMALLEST_FACE_PX = 12  # that can be looked for


class RunOptions(StepOptions):
    """Options of `run`."""

    src: tuple[Path, ...] = option(..., "Clip or clips of the face to put on.", min_length=1)
    dst: Path = option(..., "Clip the face is put into.")
    out: Path = option(..., "The finished video (.mp4, .mov, .mkv, .avi).")
    workspace: Path = option(
        Path(), "Folder of the job; without it one beside the result, named after it."
    )
    preset: PresetName = option("quick96", "Model and training to begin with.")
    target_iter: int = option(
        0, "Train up to this iteration; 0 = as before, or the preset's.", ge=0
    )
    minutes: float = option(
        0.0, "Train this long, counted over all runs; 0 = as before, or the preset's.", ge=0
    )
    max_faces: int = option(0, "Faces per frame at most, largest first; 0 = all.", ge=0)
    masks: Literal["hull", "generic"] = option(
        "hull",
        "What counts as face: the hull of the landmarks, or what the mask that ships paints, "
        "without hair and hands. Faces that are there already keep what they have.",
    )
    src_like: tuple[Path, ...] = option(
        (), "Pictures of the person to put on, where src shows others, too.", group="Person"
    )
    dst_like: tuple[Path, ...] = option(
        (), "Pictures of the person to replace, where dst shows others, too.", group="Person"
    )
    overwrite: bool = option(False, "Replace a result that this workspace did not make.")
    frame_format: Literal["png", "jpg"] = option(
        "png", "How frames are kept: png loses nothing, jpg is smaller.", group="Workspace"
    )
    device: str = option("auto", "Where to train: auto, cpu, cuda, cuda:1.", group="Machine")
    seed: int = option(0, "Fixes every random draw.", group="Machine", ge=0)

    @model_validator(mode="before")
    @classmethod
    def _beside_the_result(cls, values: Any) -> Any:  # raw values of any type
        if isinstance(values, dict) and "out" in values and "workspace" not in values:
            out = Path(values["out"])
            return values | {"workspace": out.with_name(f"{out.stem}_workspace")}
        return values


def run(options: RunOptions, job: Job) -> Report:
    """The finished video at `out`.

    Raises:
        UnderstudyError: an input is missing or unusable; told before any work where possible.
    """
    _check(options)
    with Workspace.create(options.workspace).lock():
        return _perform_all(options, job)


def _perform_all(options: RunOptions, job: Job) -> Report:
    report = Report("run")
    parts: dict[str, Any] = {}
    to_look_at: list[str] = []
    for name, part in _parts(options):
        try:
            result = perform(name, part, job)
        except (OptionError, MaterialError) as error:
            raise _with_own_remedy(error, name, part, options) from error
        report.failed.extend(result.failed)
        side = getattr(part, "side", None)
        parts[f"{name}_{side}" if side else name] = result.to_json()
        to_look_at += result.details.get("lines", ())
        if result.details.get("made_elsewhere"):
            to_look_at.append(f"  {result.details['summary']}")
        if name == "train":
            to_look_at += _how_to_go_on(result)
        if name == "video":  # what counts are the frames of the film
            report.done, report.skipped = result.done, result.skipped
            report.outputs = result.outputs
            report.details = {"summary": result.details["summary"], "unit": "frame"}
    lines = [*_table(parts), *to_look_at]
    report.details |= {"parts": parts, "lines": lines}
    return report


def _how_to_go_on(training: Report) -> list[str]:
    """A line that tells what training ended by its time left undone."""
    from understudy.training.loop.pace import TIME_IS_UP

    if training.details.get("reason") != TIME_IS_UP:
        return []
    reached = counted(training.details["iteration"], "iteration")
    return [
        f"  trained {reached} in the time given; with few, the plate's face shows through.",
        "  To train on from there: the same command with more --minutes",
    ]


def _with_own_remedy(
    error: OptionError | MaterialError, name: str, part: Options, options: RunOptions
) -> UnderstudyError:
    """The error of a part, with a remedy for who called `run`, which lacks some of its options."""
    words = ["understudy", name, getattr(part, "side", ""), "--restart", *_flags(part)]
    anew, remedy = " ".join(words), error.remedy
    if "--restart" in remedy:
        other = options.workspace.with_name(f"{options.workspace.name}_2")
        remedy = f"Choose another --workspace, such as {other}, and another --out; "
        remedy += f"or make this part anew: {anew}"
    elif "--min-face-px" in remedy:
        remedy = f"Check the clip; for smaller faces: {anew} --min-face-px {SMALLEST_FACE_PX}"
    told = {"expected": error.expected, "found": error.found, "remedy": remedy}
    return type(error)(error.thing, **told)


def _flags(part: Options) -> list[str]:
    """The options of a part that are not the usual ones, as one writes them in a shell."""
    words = []
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if name == "side" or value == field.default:
            continue
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{flag}", *(shlex.quote(str(one)) for one in values)]
    return words


def _parts(options: RunOptions) -> list[tuple[str, Options]]:
    where: dict[str, Any] = {"workspace": options.workspace}
    sides: tuple[tuple[SideName, tuple[Path, ...]], ...]
    sides = (("src", options.src), ("dst", (options.dst,)))
    parts: list[tuple[str, Options]] = []
    for side, clips in sides:
        values: dict[str, Any] = {**where, "side": side}
        parts.append(("frames", FramesOptions(**values, video=clips, format=options.frame_format)))
        parts.append(("extract", ExtractOptions(**values, **_extraction(options, side))))
    given = {
        name: getattr(options, name)
        for name in ("preset", "target_iter", "minutes", "device", "seed")
        if name in options.model_fields_set and getattr(options, name)
    }
    parts.append(("train", TrainStepOptions(**where, **given)))
    parts.append(("merge", MergeOptions(**where, device=options.device)))
    parts.append(("video", VideoOptions(**where, out=options.out, overwrite=options.overwrite)))
    return parts


def _extraction(options: RunOptions, side: SideName) -> dict[str, Any]:
    """How faces are extracted: as faces extracted by hand before, but for what is asked for now."""
    # one person is learned from, whoever else walks through the picture
    usual = {"max_faces": 1 if side == "src" else options.max_faces, "device": options.device}
    usual["mask"] = "generic" if options.masks == "generic" else "none"
    like = "src_like" if side == "src" else "dst_like"
    given = {"like": getattr(options, like)} if like in options.model_fields_set else {}
    if side == "dst" and "max_faces" in options.model_fields_set:
        given["max_faces"] = options.max_faces
    return usual | recorded_options(options.workspace, side) | given


def _check(options: RunOptions) -> None:
    """Whatever would stop the last step is told before the first."""
    from understudy.media.formats import CONTAINERS
    from understudy.media.video import probe
    from understudy.models.devices import choose_device
    from understudy.provenance.consent import marking_enabled
    from understudy.provenance.keys import install_identity

    for device in options.device.split(","):
        choose_device(device.strip())
    for clip in (*options.src, options.dst):
        probe(clip)
    check_pictures((*options.src_like, *options.dst_like))
    if options.out.suffix.lower() not in CONTAINERS:
        raise FileError(
            options.out,
            expected=f"a name ending in {', '.join(CONTAINERS)}",
            found=repr(options.out.suffix) if options.out.suffix else "no ending",
            remedy="Choose one; pictures come from: understudy video --format png --out FOLDER",
        )
    if options.out.is_dir():
        raise FileError(
            options.out, expected="a file name", found="a folder", remedy="Name a file."
        )
    clips = (*options.src, options.dst)
    check_out(options.out, Workspace(options.workspace), clips=clips, overwrite=options.overwrite)
    if marking_enabled(options.workspace):
        install_identity()
    folder = make_dir(options.out.absolute().parent)
    probe_file = folder / f".{options.out.stem[:40]}.write-test"
    try:
        probe_file.touch()
        probe_file.unlink()
    except OSError as error:
        raise StorageError(
            folder,
            expected="a folder that can be written",
            found=error.strerror or str(error),
            remedy="Choose another place for --out.",
        ) from error


def _table(parts: dict[str, Any]) -> list[str]:
    rows = []
    for name, part in parts.items():
        seconds = part["seconds"]
        pace = f"{part['done'] / seconds:8.1f}/s" if part["done"] and seconds else "         -"
        rows.append(
            f"  {name.replace('_', ' '):<12}{part['done']:>7} {part['details']['unit'] + 's':<10}"
            f"{part['skipped']:>7} kept {pace} {seconds:8.1f} s"
        )
    return rows
