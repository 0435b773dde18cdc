"""A clip opened: its picture track, the frames it decodes to, and when each is shown.

A path in, PyAV's own containers and frames out, before any conversion. Opens local files of video
formats only: playlists and scripts that name further files are refused.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import overload

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.errors import FormatError, MaterialError, from_os_error
from understudy.media.images import MAX_PIXELS
from understudy.media.picture_size import picture_size

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegtsraw,mpegvideo,gif,apng,flv,asf,mxf,"
    "ogg,h264,hevc,vvc,av1,obu,ivf,m4v,dv,nut,vc1,mjpeg,yuv4mpegpipe,rm,gxf,wtv,nsv,dnxhd,dirac,"
    "wav,mp3,aac,flac,ac3,eac3,aiff,w64,caf"  # sound: known so that the error can say so
)

_HEAD_BYTES = 1 << 20
_SHORTFALL = Fraction(1, 4)
_TAGGED_END = re.compile(r"(\d+):(\d+):(\d+\.\d+)")  # of a track, as Matroska has it


Notice = Callable[[str], None]
"""Told, in one line, of damage that does not stop the work."""


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
        if _is_picture(path):
            raise FormatError(
                path,
                expected="a video (mp4, mov, mkv, webm, avi, mpg, gif ...)",
                found="a still picture",
                remedy="Pictures need no such step: put them into data_src or data_dst.",
            ) from error
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


def no_frames(path: Path) -> MaterialError:
    """The error for a video track without a picture in it."""
    return MaterialError(
        path,
        expected="a video with at least one frame",
        found="a video track without any that decodes",
        remedy="Check that it plays, or convert it first.",
    )


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


def _size(path: Path) -> int:
    return path.stat().st_size


def _is_picture(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return picture_size(head) is not None or head.startswith(
        (b"\x76\x2f\x31\x01", b"SDPX", b"XPDS")
    )
