"""Clips on disk: what they hold, and their frames one by one.

A video file in; a `VideoInfo`, or every frame once in the order it is shown, as RGB arrays with its
moment. Rotation is applied, colours follow the file's tags. Knows nothing of frames on disk.
"""

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.format import Flags
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.media.clip import (
    Clock,
    Notice,
    moment,
    no_frames,
    open_clip,
    raw_frames,
    video_stream,
)
from understudy.media.conversion import (
    bit_depth,
    color_tags,
    orientation,
    to_rgb,
    upright_size,
)
from understudy.media.images import Pixels
from understudy.media.light import MasteringLight, mastering_light
from understudy.types import ColorTags

_LEAD = Fraction(1)
_TIMECODE = re.compile(r"\d\d:\d\d:\d\d[:;.]\d\d\d?")


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """One sound track as the file states it."""

    index: int
    codec: str
    sample_rate: int
    channels: int
    layout: str
    language: str | None
    start: Fraction


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a clip holds. Width and height are those of the decoded, upright picture.

    `rate` is the file's own word, `frame_count` None and `is_variable` None where it does not say;
    only decoding tells for certain. `rotation_deg` is the counter-clockwise turn that makes the
    stored picture upright; it is applied by `decode_frames`. `start` is the first frame's moment on
    the clip's clock, `shown_from` the same as players count: from the beginning of the file, where
    its clock began long before (MPEG streams).
    """

    path: Path
    container: str
    duration: Fraction | None
    codec: str
    width: int
    height: int
    pixel_format: str
    bit_depth: int
    rate: Fraction
    average_rate: Fraction | None
    is_variable: bool | None
    frame_count: int | None
    color: ColorTags
    rotation_deg: int
    sample_aspect: Fraction
    start: Fraction
    audio: tuple[AudioTrack, ...]
    timecode: str | None = None
    shown_from: Fraction = Fraction(0)
    light: MasteringLight | None = None


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One frame: its place in the clip, its moment on the clip's clock, RGB of 8 or 16 bits."""

    index: int
    time: Fraction
    pixels: Pixels


def probe(path: Path) -> VideoInfo:
    """What the clip at `path` holds; decodes its first frame.

    Raises:
        FileError: it is missing or can't be read.
        FormatError: it is no video.
        MaterialError: it has no video track, or one without a frame.
    """
    with open_clip(path) as container:
        stream = video_stream(container, path)
        first = next(raw_frames(container, stream, path), None)
        if first is None:
            raise no_frames(path)
        height, width = upright_size(first)
        rate = stream.guessed_rate or stream.average_rate
        return VideoInfo(
            path=path,
            container=container.format.name,
            duration=_duration(container, stream),
            codec=stream.codec_context.name,
            width=width,
            height=height,
            pixel_format=first.format.name,
            bit_depth=bit_depth(first),
            rate=rate if rate else Fraction(25),
            average_rate=stream.average_rate,
            is_variable=_variable(stream),
            frame_count=stream.frames or None,
            color=color_tags(first, stream),
            rotation_deg=round(first.rotation) % 360,
            sample_aspect=_upright_aspect(stream, first),
            start=moment(first, stream),
            audio=tuple(audio_tracks(container)),
            timecode=_timecode(container, stream),
            shown_from=_shown_from(container, moment(first, stream)),
            light=mastering_light(first),
        )


def decode_frames(
    path: Path, *, on_damage: Notice | None = None, near: Fraction | None = None
) -> Iterator[DecodedFrame]:
    """Every frame of the clip once, in the order shown: 8-bit RGB, or 16-bit from deeper sources.

    With `near`, a moment on the clip's clock, decoding begins somewhere before that; `index` counts
    from there. Frames that can't be decoded are passed over and told to `on_damage`; all others are
    delivered.

    Raises:
        FileError: the clip is missing or can't be read.
        FormatError: it is no video.
        MaterialError: it has no video track, or one without a frame.
    """
    with open_clip(path) as container:
        stream = video_stream(container, path)
        notice = on_damage or (lambda notice: None)
        clock = Clock(stream)
        index = -1
        if near is not None and near > _LEAD:
            container.seek(math.floor((near - _LEAD) / clock.base), stream=stream, backward=True)
        for index, frame in enumerate(raw_frames(container, stream, path, on_damage=notice)):
            yield DecodedFrame(index, clock.read(frame), to_rgb(frame, threads=0))
        if index < 0:
            raise no_frames(path)


def frame_moments(path: Path) -> list[Fraction]:
    """Moments of all frames on the clip's clock, in the order shown, read without decoding them.

    Raises:
        FileError, FormatError, MaterialError: as `decode_frames`.
    """
    with open_clip(path) as container:
        stream = video_stream(container, path)
        base = stream.time_base or Fraction(1, 1000)
        stamps = [
            packet.pts if packet.pts is not None else packet.dts
            for packet in container.demux(stream)
            if packet.size and not packet.is_discard
        ]
        moments = sorted(stamp * base for stamp in stamps if stamp is not None)
    if not moments:
        raise no_frames(path)
    return moments


def audio_tracks(container: InputContainer) -> list[AudioTrack]:
    """The clip's sound tracks in file order; those of unknown codecs are left out."""
    return [
        AudioTrack(
            index=stream.index,
            codec=stream.codec_context.name,
            sample_rate=stream.codec_context.sample_rate,
            channels=stream.codec_context.layout.nb_channels,
            layout=stream.codec_context.layout.name,
            language=stream.language if stream.language != "und" else None,
            start=(stream.start_time or 0) * (stream.time_base or Fraction(1)),
        )
        for stream in container.streams.audio
        if stream.codec_context is not None
    ]


def _timecode(container: InputContainer, stream: VideoStream) -> str | None:
    """Timecode of the first frame, where the file has one (";" before drop-frame counts)."""
    places = [stream.metadata, *(each.metadata for each in container.streams), container.metadata]
    for tags in places:
        for key in ("timecode", "TIMECODE"):
            if _TIMECODE.fullmatch(tags.get(key, "")):
                return tags[key]
    return None


def _shown_from(container: InputContainer, start: Fraction) -> Fraction:
    if Flags(container.format.flags) & Flags.ts_discont:
        return start - Fraction(container.start_time or 0, av.time_base)
    return start


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration is not None and stream.time_base is not None:
        return stream.duration * stream.time_base
    return None if container.duration is None else Fraction(container.duration, av.time_base)


def _variable(stream: VideoStream) -> bool | None:
    """Whether the file's index lists frames of different length; None where it lists none."""
    entries = stream.index_entries
    if stream.frames < 3 or len(entries) != stream.frames:
        return None
    stamps = [entry.timestamp for entry in entries]
    steps = {after - before for before, after in itertools.pairwise(stamps)}
    return max(steps) - min(steps) > 1


def _upright_aspect(stream: VideoStream, frame: VideoFrame) -> Fraction:
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return 1 / aspect if orientation(frame).transpose else aspect
