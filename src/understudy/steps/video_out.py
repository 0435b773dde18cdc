"""What `video` puts on disk: films, their mattes, sequences of pictures; each with its mark.

Merged frames in, finished files out. Nothing appears under its name before it is whole and signed.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.errors import OptionError, UnderstudyError
from understudy.files import make_dir, remove_files, remove_leftovers, temporary_path
from understudy.job import Job
from understudy.steps.frames import clip_paths
from understudy.steps.marks import aigc_metadata, label_of, sign_film, sign_in_place
from understudy.steps.video import VideoOptions
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.media.encode import EncodedVideo
    from understudy.media.frames import FrameManifest
    from understudy.media.label import Label, Stamp
    from understudy.media.stills import Still

_LOSSLESS_BY_ENDING = {".mp4": "lossless", ".mov": "lossless", ".mkv": "ffv1", ".avi": "ffv1"}


@dataclass(frozen=True, slots=True)
class Target:
    """One film or folder of pictures: of the frames, or of their mattes."""

    path: Path
    format: str
    of_matte: bool = False
    with_alpha: bool = False
    is_sequence: bool = False


def targets_of(options: VideoOptions) -> list[Target]:
    """What is to be made, in that order.

    Raises:
        OptionError: the format can't be stored under that name.
    """
    from understudy.media.formats import video_format
    from understudy.media.stills import STILL_FORMATS

    out, name = options.out, str(options.format)
    if name == "auto":
        name = "h264" if out.suffix else "png"
    is_sequence = name in STILL_FORMATS
    if not is_sequence:
        video_format(name, out)
    elif out.suffix:
        raise OptionError(
            out,
            expected=f"a folder for pictures of format {name}",
            found=f"a name with the ending {out.suffix}",
            remedy="Leave the ending out, or choose a video format.",
        )
    with_alpha = options.matte == "alpha"
    targets = [Target(out, name, with_alpha=with_alpha, is_sequence=is_sequence)]
    if options.matte == "video":
        beside = out.with_name(f"{out.stem}_mask{out.suffix}")
        # a matte that is squeezed no longer fits its picture
        stored = name
        if name in ("h264", "h265", "av1"):
            stored = _LOSSLESS_BY_ENDING[out.suffix.lower()]
        targets.append(Target(beside, stored, of_matte=True, is_sequence=is_sequence))
    return targets


class Pictures:
    """Merged frames, with or without their mattes as alpha, or the mattes alone."""

    def __init__(
        self,
        workspace: Workspace,
        target: Target,
        frames: Sequence[Path],
        *,
        burned: "Label | None" = None,
        rate: Fraction = Fraction(25),
    ) -> None:
        self._mattes, self._target = workspace.merged_mask_dir, target
        self._label = None if target.of_matte else burned
        shown = len(frames) if burned is None or not burned.seconds else burned.seconds * rate
        self._labelled = frozenset(frames[: math.ceil(shown)])
        self._stamp: Stamp | None = None

    def read(self, frame: Path) -> "Still":
        """The picture of one merged frame, with its label if it has one."""
        from understudy.media.label import Stamp

        picture = self._unlabelled(frame)
        if self._label is None or frame not in self._labelled:
            return picture
        if self._stamp is None:
            self._stamp = Stamp(self._label, (picture.shape[0], picture.shape[1]))
        return self._stamp.draw(picture)

    def _unlabelled(self, frame: Path) -> "Still":
        from understudy.media.images import read_pixels, to_pixels
        from understudy.media.plates import read_plate
        from understudy.media.stored_frames import to_depth

        matte_path = self._mattes / f"{frame.stem}.png"
        if self._target.of_matte:
            return read_pixels(matte_path)
        plate = read_plate(frame)
        pixels = plate.colors
        if pixels.dtype == np.float32 and not self._target.is_sequence:
            pixels = to_pixels(pixels, bit_depth=16)  # what a film can hold of them
        if self._target.with_alpha:
            matte = read_pixels(matte_path)[..., :1]
            if pixels.dtype == np.float32:
                return np.dstack([pixels, matte / np.float32(np.iinfo(matte.dtype).max)])
            return np.dstack([pixels, to_depth(matte, 8 if pixels.dtype == np.uint8 else 16)])
        if plate.alpha is not None and self._target.format == "exr":
            return np.dstack([pixels, plate.alpha])  # the plate's own goes out as it came in
        return pixels


def deliver_films(
    options: VideoOptions,
    workspace: Workspace,
    targets: Sequence[Target],
    parts: "list[FrameManifest]",
    frames: list[Path],
    job: Job,
) -> dict[str, Any]:
    """Facts of the films written; the first is the one asked for."""
    films = [_film(options, workspace, target, parts, frames, job) for target in targets]
    facts = dict(films[0])
    if len(films) > 1:
        facts["matte"] = films[1]
    paths = [str(target.path) for target in targets]
    return facts | {"outputs": paths, "proofs": paths, "where": "in the film"}


def _film(
    options: VideoOptions,
    workspace: Workspace,
    target: Target,
    parts: "list[FrameManifest]",
    frames: list[Path],
    job: Job,
) -> dict[str, Any]:
    """Encode and sign under a temporary name, so that no film is ever without its mark."""
    from understudy.media.encode import Sound, encode_video

    timing = parts[0].timing if len(parts) == 1 else _rate(options, parts)
    rate = timing if isinstance(timing, Fraction) else timing.rate
    label = label_of(workspace, seconds=float(len(frames) / rate))
    pictures = Pictures(workspace, target, frames, burned=label.burned, rate=rate)
    sound = _sound(options, workspace, parts, job)
    partial = temporary_path(target.path)
    try:
        encoded = encode_video(
            map(pictures.read, frames),
            partial,
            timing=timing,
            format_name=target.format,
            sound=None if sound is None or target.of_matte else Sound(sound),
            start=parts[0].shown_from if len(parts) == 1 else Fraction(0),
            plate=None if target.of_matte else _plate(workspace),
            color=parts[0].color if parts else None,
            light=parts[0].light if parts else None,
            sample_aspect=parts[0].sample_aspect if parts else Fraction(1),
            crf=options.crf,
            bit_rate=round(options.bitrate * 1e6) or None,
            preset=options.encoder_preset,
            bit_depth=None if target.of_matte else options.bit_depth or None,
            timecode=_timecode(options, parts, job),
            metadata=aigc_metadata(workspace, target.path),
            subtitle=None if target.of_matte else label.subtitle,
            on_frame=_following(job, len(frames), target.path),
        )
        mark = sign_film(partial, target.path, workspace, job)
    except UnderstudyError as error:
        if error.thing != str(partial):
            raise
        raise error.about(target.path) from error
    finally:
        with contextlib.suppress(OSError):  # a disk that takes no writing holds nothing to remove
            partial.unlink(missing_ok=True)
    notices = [notice.replace(str(partial), str(target.path)) for notice in encoded.notices]
    for notice in notices:
        job.message(notice)
    return _facts(encoded, target.format) | {
        "notices": notices,
        "label": None if target.of_matte else label.sentence(),
        "provenance": mark,
    }


def _facts(encoded: "EncodedVideo", format_name: str) -> dict[str, Any]:
    return {
        "frames": encoded.frames,
        "size": f"{encoded.width}x{encoded.height}",
        "format": format_name,
        "stored_as": encoded.pixel_format,
        "with_plate_samples": encoded.plate_frames,
        "frame_rate": str(encoded.rate),
        "sound": list(encoded.sound),
    }


def _following(job: Job, total: int, path: Path) -> Callable[[int], None]:
    def on_frame(done: int) -> None:
        job.check()
        job.progress(done, total, path.name)

    return on_frame


def _plate(workspace: Workspace) -> Path | None:
    """The clip of dst, if there is one and no more."""
    clips = clip_paths(workspace, "dst")
    return clips[0] if len(clips) == 1 and clips[0].exists() else None


def _sound(
    options: VideoOptions, workspace: Workspace, parts: "list[FrameManifest]", job: Job
) -> Path | None:
    """The clip whose sound goes along."""
    if len({part.timing.rate for part in parts}) > 1:
        job.message(
            f"the clips of dst differ in their rate; all are shown at {parts[0].timing.rate}"
        )
    if not options.sound:
        return None
    plate = clip_paths(workspace, "dst")
    sound = plate[0] if len(plate) == 1 and plate[0].exists() else None
    if plate and sound is None and any(part.audio_tracks for part in parts):
        why = "no longer there" if len(plate) == 1 else "joined from several clips"
        job.message(f"{plate[0]}: {why}, the video stays silent")
    return sound


def _timecode(options: VideoOptions, parts: "list[FrameManifest]", job: Job) -> str | None:
    """The one asked for, or the plate's if its rate allows that."""
    from understudy.media.timing import timecode_fault

    if options.timecode or len(parts) != 1 or parts[0].timecode is None:
        return options.timecode or None
    fault = timecode_fault(parts[0].timecode, parts[0].timing.rate)
    if fault:
        job.message(f"the plate's timecode is left out: {fault}")
    return None if fault else parts[0].timecode


def _rate(options: VideoOptions, parts: "list[FrameManifest]") -> Fraction:
    if parts:
        return parts[0].timing.rate
    return Fraction(options.fps).limit_denominator(1001) if options.fps else Fraction(25)


def deliver_pictures(
    options: VideoOptions,
    workspace: Workspace,
    targets: Sequence[Target],
    parts: "list[FrameManifest]",
    frames: list[Path],
    job: Job,
) -> dict[str, Any]:
    """Facts of the sequences written; the first is the one asked for."""
    rate = _rate(options, parts)
    written = [_sequence(options, workspace, target, frames, rate, job) for target in targets]
    facts = dict(written[0])
    if len(written) > 1:
        facts["matte"] = written[1]
    return facts | {
        "frame_rate": str(rate),
        "outputs": [str(target.path) for target in targets],
        "proofs": [one["list"] for one in written],
        "where": "as pictures",
    }


def _sequence(
    options: VideoOptions,
    workspace: Workspace,
    target: Target,
    frames: list[Path],
    rate: Fraction,
    job: Job,
) -> dict[str, Any]:
    """The pictures, then the list of their hashes: without it the folder counts as unfinished."""
    from understudy.media.plates import read_plate
    from understudy.media.stills import STILL_FORMATS, still_depth, write_still
    from understudy.provenance.container import sidecar_path
    from understudy.provenance.frame_list import list_path, listed_names, write_frame_list

    folder = make_dir(target.path)
    remove_leftovers(folder)
    old = listed_names(folder)
    remove_files([list_path(folder), sidecar_path(list_path(folder))])
    label = label_of(workspace, seconds=float(len(frames) / rate))
    pictures = Pictures(workspace, target, frames, burned=label.any, rate=rate)
    suffix = STILL_FORMATS[target.format].suffix
    first = pictures.read(frames[0])
    asked = options.bit_depth or None
    if asked is None and target.format == "exr" and first.dtype == np.float32:
        asked = read_plate(frames[0]).bits
    depth = still_depth(target.format, asked, is_deep=first.dtype != np.uint8)

    def write(frame: Path) -> Path:
        path = folder / f"{frame.stem}{suffix}"
        write_still(path, pictures.read(frame), bit_depth=depth)
        return path

    made = job.map(write, frames, total=len(frames), name=lambda path: path.name)
    paths = [path for _, path in made]
    names = {path.name for path in paths}
    remove_files(folder / name for name in old if name not in names)
    facts: dict[str, Any] = {
        "frames": len(paths),
        "size": f"{first.shape[1]}x{first.shape[0]}",
        "format": target.format,
        "bit_depth": depth,
        "list": str(write_frame_list(folder, paths)),
        "provenance": "",
    }
    facts["provenance"] = sign_in_place(list_path(folder), workspace, job)
    return facts
