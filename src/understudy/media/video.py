"""Clips on disk: what they hold, and their frames one by one.

A video file in; a `VideoInfo`, or every frame once in the order it is shown, as RGB arrays with its
moment. Rotation is applied, colours follow the file's tags. Opens local files of video formats
only: playlists and scripts that name further files are refused. Knows nothing of frames on disk.
"""

import contextlib
import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import overload

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.errors import FormatError, MaterialError, from_os_error
from understudy.media.conversion import (
    bit_depth,
    color_tags,
    orientation,
    to_rgb,
    upright_size,
)
from understudy.media.images import MAX_PIXELS, Pixels
from understudy.types import ColorTags

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegtsraw,mpegvideo,gif,apng,flv,asf,mxf,"
    "ogg,h264,hevc,vvc,av1,obu,ivf,m4v,dv,nut,vc1,mjpeg,yuv4mpegpipe,rm,gxf,wtv,nsv,dnxhd,dirac,"
    "wav,mp3,aac,flac,ac3,eac3,aiff,w64,caf"  # sound: known so that the error can say so
)

_LEAD = Fraction(1)
_SHORTFALL = Fraction(1, 4)
_TIMECODE = re.compile(r"\d\d:\d\d:\d\d[:;.]\d\d\d?")
_TAGGED_END = re.compile(r"(\d+):(\d+):(\d+\.\d+)")  # of a track, as Matroska has it

Notice = Callable[[str], None]
"""Told, in one line, of damage that does not stop the work."""


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
    stored picture upright; it is applied by `decode_frames`.
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


@contextlib.contextmanager
def open_clip(path: Path) -> Iterator[InputContainer]:
    """Open the file for reading packets.

    Raises:
        FileError: it is missing or can't be read.
        FormatError: it is no video or sound.
        MaterialError: it ends after its header.
    """
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error
    try:
        container = av.open(
            f"file:{path}",
            mode="r",
            metadata_errors="replace",
            container_options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
        )
    except (av.FFmpegError, UnicodeEncodeError) as error:
        if isinstance(error, EOFError) and _size(path):  # a header, and nothing after it
            raise no_frames(path) from error
        raise FormatError(
            path,
            expected="a video (mp4, mov, mkv, webm, avi, mpg, gif ...)",
            found=f"{_size(path)} bytes that are none or are cut off",
            remedy="Check that it plays, or convert it first.",
        ) from error
    with container:
        yield container


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The clip's picture track, set to decode on all cores; cover art does not count.

    Raises:
        MaterialError: there is none.
        FormatError: its picture has no sane size, or its codec is unknown.
    """
    streams = [stream for stream in container.streams.video if is_picture_track(stream)]
    if not streams:
        raise MaterialError(
            path,
            expected="a video track",
            found="sound only" if container.streams.audio else "none",
            remedy="Choose a file with a picture.",
        )
    stream = streams[0]
    context = stream.codec_context
    if context is None or not 0 <= context.width * context.height <= MAX_PIXELS:
        found = "an unknown codec" if context is None else f"{context.width}x{context.height}"
        raise FormatError(
            path,
            expected=f"a video of a known codec and at most {MAX_PIXELS // 10**6} million pixels",
            found=found,
            remedy="Convert it first.",
        )
    context.options = {"max_pixels": str(MAX_PIXELS)}  # later frames may claim another size
    stream.thread_type = "AUTO"
    return stream


def is_picture_track(stream: VideoStream) -> bool:
    """Whether a video track moves; cover art of a sound file is one that does not."""
    return not stream.disposition & Disposition.attached_pic


def raw_frames(
    container: InputContainer,
    stream: VideoStream,
    path: Path,
    *,
    on_damage: Notice = lambda notice: None,
) -> Iterator[VideoFrame]:
    """Decoded frames in the order shown, before any conversion.

    Raises:
        FileError: reading fails midway.
    """
    damaged = 0
    last: VideoFrame | None = None
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            frames = packet.decode()
        except av.FFmpegError as error:
            if isinstance(error, OSError) and not isinstance(error, EOFError):
                raise from_os_error(error, path, doing="read") from error
            damaged += 1
            continue
        for last in frames:
            damaged += last.is_corrupt
            yield last
    if damaged:
        on_damage(f"{path}: {damaged} damaged pieces of video data; frames may be missing or torn")
    short = _shortfall(container, stream, last)
    if short > _SHORTFALL:
        on_damage(f"{path}: ends {float(short):.1f} s before its announced end: cut off or damaged")


class Clock:
    """Moments of a track's frames in seconds; a frame without one follows its forerunner.

    `base` is one tick of the track's clock, `rates` are the frame rates the file states.
    """

    def __init__(self, stream: VideoStream) -> None:
        self.base = stream.time_base or Fraction(1, 1000)
        self.rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        self._stream = stream
        rate = stream.guessed_rate or stream.average_rate
        self._step = 1 / rate if rate else Fraction(1, 25)
        self._last: Fraction | None = None

    def read(self, frame: VideoFrame) -> Fraction:
        """Moment of the next frame in the order shown."""
        time = moment(frame, self._stream, fallback=None)
        if self._last is not None and (time is None or time <= self._last):
            time = self._last + self._step
        self._last = Fraction(0) if time is None else time
        return self._last


@overload
def moment(frame: VideoFrame, stream: VideoStream) -> Fraction: ...
@overload
def moment(
    frame: VideoFrame, stream: VideoStream, *, fallback: Fraction | None
) -> Fraction | None: ...
def moment(
    frame: VideoFrame, stream: VideoStream, *, fallback: Fraction | None = Fraction(0)
) -> Fraction | None:
    """When the file says that the frame is shown, in seconds on the clip's clock."""
    ticks = frame.pts if frame.pts is not None else frame.dts
    base = frame.time_base or stream.time_base
    return fallback if ticks is None or base is None else ticks * base


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


def no_frames(path: Path) -> MaterialError:
    """The error for a video track without a picture in it."""
    return MaterialError(
        path,
        expected="a video with at least one frame",
        found="a video track without any that decodes",
        remedy="Check that it plays, or convert it first.",
    )


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration is not None and stream.time_base is not None:
        return stream.duration * stream.time_base
    return None if container.duration is None else Fraction(container.duration, av.time_base)


def _shortfall(container: InputContainer, stream: VideoStream, last: VideoFrame | None) -> Fraction:
    """Seconds that the file announces after its last frame."""
    base = stream.time_base
    if last is None or last.pts is None or base is None:
        return Fraction(0)
    reached = (last.pts + last.duration) * base
    if stream.duration is not None:
        return (stream.start_time or 0) * base + stream.duration * base - reached
    tagged = _TAGGED_END.fullmatch(stream.metadata.get("DURATION", ""))
    if tagged is not None:
        hours, minutes, seconds = (Fraction(part) for part in tagged.groups())
        return 3600 * hours + 60 * minutes + seconds - reached
    if container.duration is None or container.streams.audio:  # sound may outlast the picture
        return Fraction(0)
    return Fraction((container.start_time or 0) + container.duration, av.time_base) - reached


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


def _size(path: Path) -> int:
    return path.stat().st_size
