"""A part of a clip, exact to the frame, with the sound that belongs to it."""

import bisect
import contextlib
import itertools
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from understudy.errors import MaterialError, OptionError, UnderstudyError
from understudy.files import remove_leftovers, temporary_path
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import LooseOptions
from understudy.steps.video import X264_PRESETS, FilmFormat
from understudy.types import Report
from understudy.wording import counted

if TYPE_CHECKING:
    from understudy.media.encode import EncodedVideo
    from understudy.media.images import Pixels
    from understudy.media.video import VideoInfo

_FRAME = re.compile(r"(\d+)f")
_SLACK = Fraction(1, 2000)
_MOMENT = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)")


class CutOptions(LooseOptions):
    """Options of `cut`."""

    file: Path = argument("The clip.")
    start: str = option("0", "Where to begin: seconds, h:m:s.fraction, or a frame such as 120f.")
    end: str = option("", "Where to end, that frame left out; without it with the clip.")
    audio_track: int = option(
        -1, "Sound track to take along, counted from 0; -1 takes all, -2 none.", ge=-2
    )
    out: Path = option(Path(), "The part; without it NAME_cut beside the clip.")
    format: Literal["auto"] | FilmFormat = option("auto", "How it is stored; auto is h264.")
    crf: float | None = option(
        12.0, "Quality of h264, h265 and av1: lower is better and larger.", ge=0, le=63
    )
    bitrate: float = option(0.0, "Megabits per second, in place of a quality.", ge=0)
    encoder_preset: X264_PRESETS = option("medium", "Effort of the encoder.")
    overwrite: bool = option(False, "Replace a file that is there.")


def cut(options: CutOptions, job: Job) -> Report:
    """The part of the clip from `start` up to `end`, encoded anew so that it begins on its frame.

    Raises:
        OptionError: a place can't be read, the track is not there, or the result is.
        MaterialError: nothing lies between the two places.
    """
    from understudy.media.video import probe
    from understudy.steps.marks import sign_cut

    info = probe(options.file)
    out, tracks = _out(options), _tracks(options, info)
    times = _chosen(options, info)
    remove_leftovers(out.absolute().parent, stem=out.stem)
    partial = temporary_path(out)
    try:
        encoded = _encode(options, info, times, tracks, partial, job)
        part = f"{counted(encoded.frames, 'frame')} from {float(times[0]):.3f} s on"
        mark = sign_cut(partial, out, options.file, options.workspace, part=part)
    except UnderstudyError as error:
        if error.thing != str(partial):
            raise
        raise error.about(out) from error
    finally:
        with contextlib.suppress(OSError):  # a disk that takes no writing holds nothing to remove
            partial.unlink(missing_ok=True)
    for notice in encoded.notices:
        job.message(notice.replace(str(partial), str(out)))
    return Report(
        "cut",
        done=encoded.frames,
        outputs=[out],
        details={
            "summary": part,
            "unit": "frame",
            "first": str(times[0]),
            "frame_rate": str(encoded.rate),
            "sound": list(encoded.sound),
            "provenance": mark,
        },
    )


def _encode(
    options: CutOptions,
    info: "VideoInfo",
    times: list[Fraction],
    tracks: tuple[int, ...],
    out: Path,
    job: Job,
) -> "EncodedVideo":
    from understudy.media.encode import Sound, encode_video
    from understudy.media.timing import fit_timing

    timing = fit_timing(times, time_base=_tick(info), hints=(info.rate, info.average_rate))
    end = times[-1] + 1 / timing.rate

    def follow(done: int) -> None:
        job.check()
        job.progress(done, len(times), options.file.name)

    return encode_video(
        _pictures(options.file, times),
        out,
        timing=timing,
        format_name="h264" if options.format == "auto" else options.format,
        sound=Sound(options.file, times[0], end, tracks) if tracks else None,
        color=info.color,
        light=info.light,
        sample_aspect=info.sample_aspect,
        crf=options.crf,
        bit_rate=round(options.bitrate * 1e6) or None,
        preset=options.encoder_preset,
        timecode=_timecode(info, times[0] - info.start, timing.rate),
        on_frame=follow,
    )


def _chosen(options: CutOptions, info: "VideoInfo") -> list[Fraction]:
    """Moments of the frames to take, on the clip's clock."""
    from understudy.media.video import frame_moments

    moments = frame_moments(options.file)
    first = _index(options.start, moments, "--start")
    last = _index(options.end, moments, "--end") if options.end else len(moments)
    if not moments[first:last]:
        length = f"{len(moments)} frames, {float(moments[-1] - moments[0] + 1 / info.rate):.3f} s"
        raise MaterialError(
            options.file,
            expected=f"frames from {options.start} up to {options.end or 'the end'}",
            found=f"none there in a clip of {length}",
            remedy="Choose other places.",
        )
    return moments[first:last]


def _index(text: str, moments: list[Fraction], flag: str) -> int:
    """Number of the first frame that is not before a place; a tick's rounding is forgiven."""
    frame, moment = _FRAME.fullmatch(text), _MOMENT.fullmatch(text)
    if frame is not None:
        return int(frame[1])
    if moment is None:
        raise OptionError(
            flag,
            expected="seconds (12.5), a time (0:01:30.25) or a frame (120f)",
            found=repr(text),
            remedy="Write it in one of these ways.",
        )
    hours, minutes, seconds = (Fraction(part or 0) for part in moment.groups())
    wanted = moments[0] + 3600 * hours + 60 * minutes + seconds - _SLACK
    return bisect.bisect_left(moments, wanted)


def _pictures(path: Path, times: list[Fraction]) -> "Iterator[Pixels]":
    from understudy.media.video import decode_frames

    half = (times[1] - times[0]) / 2 if len(times) > 1 else Fraction(0)
    frames = decode_frames(path, near=times[0])
    wanted = (frame for frame in frames if frame.time > times[0] - half)
    for frame in itertools.islice(wanted, len(times)):
        yield frame.pixels


def _tick(info: "VideoInfo") -> Fraction:
    return Fraction(1, 1000) if "matroska" in info.container else Fraction(1, 10_000)


def _timecode(info: "VideoInfo", skipped: Fraction, rate: Fraction) -> str | None:
    from understudy.media.timing import later_timecode, timecode_fault

    if info.timecode is None or timecode_fault(info.timecode, rate):
        return None
    return later_timecode(info.timecode, round(skipped * rate), rate)


def _tracks(options: CutOptions, info: "VideoInfo") -> tuple[int, ...]:
    if options.audio_track < 0:
        return tuple(range(len(info.audio))) if options.audio_track == -1 else ()
    if options.audio_track >= len(info.audio):
        raise OptionError(
            "--audio-track",
            expected=f"a track of {options.file.name}, which has {len(info.audio)}",
            found=str(options.audio_track),
            remedy="Count from 0.",
        )
    return (options.audio_track,)


def _out(options: CutOptions) -> Path:
    from understudy.media.formats import CONTAINERS, video_format

    out, suffix = options.out, options.file.suffix.lower()
    if out == Path():
        out = options.file.with_name(
            f"{options.file.stem}_cut{suffix if suffix in CONTAINERS else '.mp4'}"
        )
    video_format("h264" if options.format == "auto" else options.format, out)
    if out.exists() and (not options.overwrite or out.samefile(options.file)):
        raise OptionError(
            out,
            expected="a free name, or --overwrite" if not options.overwrite else "another file",
            found="a file" if not options.overwrite else "the clip itself",
            remedy="Choose another --out.",
        )
    return out
