"""Pictures into a video file, with another clip's sound.

RGB arrays in order in, a finished file out, or nothing: it appears under its name when it is whole
and on disk. Each picture becomes one frame, at one exact rate or at the moments given. Knows
nothing of where pictures come from.
"""

import bisect
import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from understudy.errors import FormatError, MaterialError, OptionError, StorageError
from understudy.files import replacing
from understudy.media.audio import AudioCarrier
from understudy.media.color_tags import MATRICES, PRIMARIES, RANGES, TRANSFERS, completed
from understudy.media.conversion import YuvConverter
from understudy.media.images import Pixels, to_pixels
from understudy.media.timing import Timing
from understudy.media.video import (
    is_picture_track,
    moment,
    open_clip,
    raw_frames,
    video_stream,
)
from understudy.types import ColorTags, Image

if TYPE_CHECKING:
    PicturePacket = Packet[VideoStream]
else:  # generic only to the type checker
    PicturePacket = Packet

Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]

Chroma = Literal["4:2:0", "4:4:4"]

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}


@dataclass(frozen=True, slots=True)
class EncodedVideo:
    """What was written. The stored size is that of the pictures, made even."""

    path: Path
    frames: int
    height: int
    width: int
    rate: Fraction
    sound: tuple[str, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Settings:
    timing: Timing | None
    rate: Fraction
    color: ColorTags
    sample_aspect: Fraction
    crf: int | float
    preset: Preset
    bit_depth: Literal[8, 10]
    chroma: Chroma


def encode_video(
    frames: Iterable[Pixels | Image],
    out: Path,
    *,
    timing: Timing | Fraction,
    audio_from: Path | None = None,
    audio_start: Fraction | None = None,
    color: ColorTags | None = None,
    sample_aspect: Fraction = Fraction(1),
    crf: int | float = 16,
    preset: Preset = "medium",
    bit_depth: Literal[8, 10] = 8,
    chroma: Chroma = "4:2:0",
    on_frame: Callable[[int], None] | None = None,
) -> EncodedVideo:
    """Write the pictures as H.264 into `out` (.mp4, .mov or .mkv), each exactly once.

    `timing` is a constant rate or a clip's Timing. All sound tracks of `audio_from` come along;
    `audio_start` is the moment on its clock that meets the first picture, None its own first frame.
    `color` are the plate's tags; what they leave open is filled as players would, and the range
    written is always the limited one. `crf` 16 is visually lossless. 4:2:0 of 8 bits plays
    everywhere and makes odd sizes even by repeating the last row or column; 4:4:4 keeps them, for
    tools that read it. `on_frame(done)` follows each picture; what it raises ends the work and
    leaves nothing behind.

    Raises:
        OptionError: the ending of `out` is unknown.
        MaterialError: there are no pictures, they differ in size, or outnumber the moments given.
        FileError, FormatError: `audio_from` can't be read or is no clip.
        StorageError: the disk is full or the folder can't be written.
    """
    _check_ending(out)
    settings = _Settings(
        timing=timing if isinstance(timing, Timing) else None,
        rate=timing.rate if isinstance(timing, Timing) else timing,
        color=color or ColorTags(),
        sample_aspect=sample_aspect,
        crf=crf,
        preset=preset,
        bit_depth=bit_depth,
        chroma=chroma,
    )
    first, pictures = _first_of(frames, out)
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(replacing(out))
        with _output(temporary, out) as output:
            track = _PictureTrack(output, settings, first.shape[:2], out)
            sound = None
            if audio_from is not None:
                start = first_moment(audio_from) if audio_start is None else audio_start
                source = stack.enter_context(open_clip(audio_from))
                sound = AudioCarrier(source, output, audio_from, start=start)
            _write_all(pictures, track, sound, output, on_frame)
        _verify(temporary, out, frames=track.count)
    return track.outcome(sound)


def first_moment(path: Path) -> Fraction:
    """Moment of a clip's first frame on its own clock; zero for sound without a picture.

    Raises:
        FileError, FormatError: it can't be read or is no clip.
    """
    with open_clip(path) as container:
        if not any(is_picture_track(stream) for stream in container.streams.video):
            return Fraction(0)
        stream = video_stream(container, path)
        frame = next(raw_frames(container, stream, path), None)
        return Fraction(0) if frame is None else moment(frame, stream)


@contextlib.contextmanager
def _output(path: Path, out: Path) -> Iterator[OutputContainer]:
    container = CONTAINERS[out.suffix.lower()]
    options = {} if container == "matroska" else {"movflags": "+faststart"}
    try:
        output = av.open(f"file:{path}", mode="w", format=container, container_options=options)
        with output:
            yield output
    except av.FFmpegError as error:
        if isinstance(error, OSError):  # told by whoever opened the temporary file
            raise
        raise FormatError(
            out,
            expected="pictures and sound that the container and encoder take",
            found=error.strerror or "a refusal",
            remedy="Write .mkv, which takes nearly everything, or leave the sound out.",
        ) from error


def _check_ending(out: Path) -> None:
    if out.suffix.lower() not in CONTAINERS:
        raise OptionError(
            out,
            expected="a name ending in " + ", ".join(CONTAINERS),
            found=repr(out.suffix),
            remedy="Change the ending.",
        )


def _first_of(
    frames: Iterable[Pixels | Image], out: Path
) -> tuple[Pixels | Image, Iterable[Pixels | Image]]:
    """The first picture, for its size, and all of them."""
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise MaterialError(
            out,
            expected="at least one picture",
            found="none",
            remedy="Make the frames first.",
        )
    return first, itertools.chain((first,), pictures)


def _write_all(
    pictures: Iterable[Pixels | Image],
    track: "_PictureTrack",
    sound: AudioCarrier | None,
    output: OutputContainer,
    on_frame: Callable[[int], None] | None,
) -> None:
    for picture in pictures:
        for packet in track.encode(picture):
            if sound is not None:
                sound.advance(track.moment(packet))
            output.mux(packet)
        if on_frame is not None:
            on_frame(track.count)
    output.mux(track.finish())
    if sound is not None:
        sound.advance(None)


class _PictureTrack:
    """The picture track of an output: pictures in, packets out."""

    def __init__(
        self, output: OutputContainer, settings: _Settings, shape_hw: tuple[int, ...], out: Path
    ) -> None:
        self.count = 0
        self.notices: list[str] = []
        self._out, self._shape, self._settings = out, shape_hw, settings
        color = completed(settings.color, height=shape_hw[0])
        self.yuv = YuvConverter(
            (shape_hw[0], shape_hw[1]), color, bit_depth=settings.bit_depth, chroma=settings.chroma
        )
        timing = settings.timing
        self._ticks = None if timing is None else timing.ticks
        # One tick is one frame, unless frames come at moments of their own.
        base = 1 / settings.rate if timing is None or timing.ticks is None else timing.time_base
        self._base = base
        self._stream = output.add_stream(
            "libx264",
            rate=settings.rate,
            options={"crf": f"{settings.crf:g}", "preset": settings.preset},
        )
        self._stream.time_base = base
        self._configure(color)
        if (self.yuv.height, self.yuv.width) != shape_hw:
            self.notices.append(
                f"{out}: {shape_hw[1]}x{shape_hw[0]} is odd, which 4:2:0 video can't hold; stored "
                f"as {self.yuv.width}x{self.yuv.height} with the last row or column repeated"
            )

    def _configure(self, color: ColorTags) -> None:
        context = self._stream.codec_context
        context.width, context.height = self.yuv.width, self.yuv.height
        context.pix_fmt = self.yuv.pixel_format
        context.time_base = self._base
        context.sample_aspect_ratio = self._settings.sample_aspect
        context.color_primaries = PRIMARIES[color.primaries or "bt709"]
        context.color_trc = TRANSFERS[color.transfer or "bt709"]
        context.colorspace = MATRICES[color.matrix or "bt709"]
        context.color_range = RANGES["tv"]

    def encode(self, picture: Pixels | Image) -> list[PicturePacket]:
        if picture.shape[:2] != self._shape:
            raise MaterialError(
                self._out,
                expected=f"pictures of {self._shape[1]}x{self._shape[0]}, as the first one is",
                found=f"{picture.shape[1]}x{picture.shape[0]} at picture {self.count + 1}",
                remedy="Make all frames the same size.",
            )
        if picture.dtype == np.float32:
            picture = to_pixels(picture, bit_depth=8 if self._settings.bit_depth == 8 else 16)
        frame = self.yuv.convert(picture)
        frame.time_base = self._base
        frame.pts = self._stamp(self.count)
        self.count += 1
        return self._timed(self._stream.encode(frame))

    def finish(self) -> list[PicturePacket]:
        return self._timed(self._stream.encode(None))

    def outcome(self, sound: AudioCarrier | None) -> EncodedVideo:
        return EncodedVideo(
            path=self._out,
            frames=self.count,
            height=self.yuv.height,
            width=self.yuv.width,
            rate=self._settings.rate,
            sound=() if sound is None else tuple(sound.summary),
            notices=(*self.notices, *(() if sound is None else sound.notices)),
        )

    def moment(self, packet: PicturePacket) -> Fraction:
        return (packet.dts or 0) * self._base

    def _stamp(self, index: int) -> int:
        if self._ticks is None:
            return index
        if index >= len(self._ticks):
            raise MaterialError(
                self._out,
                expected=f"{len(self._ticks)} pictures, one for each moment of the clip",
                found="more of them",
                remedy="Remove pictures that are not frames of this clip.",
            )
        return self._ticks[index]

    def _timed(self, packets: list[PicturePacket]) -> list[PicturePacket]:
        """Packets that know how long they are shown: the encoder does not say."""
        for packet in packets:
            packet.duration = self._length(packet.pts or 0)
        return packets

    def _length(self, stamp: int) -> int:
        if self._ticks is None:
            return 1
        at = bisect.bisect_right(self._ticks, stamp)
        if at >= len(self._ticks):
            at = len(self._ticks) - 1  # the last frame lasts as long as the one before
        return max(1, self._ticks[at] - self._ticks[at - 1] if at else 1)


def _verify(temporary: Path, out: Path, *, frames: int) -> None:
    """Refuse a file that does not hold all frames: a disk may fail without saying so."""
    with open_clip(temporary) as container:
        stream = video_stream(container, temporary)
        found = stream.frames or sum(packet.size > 0 for packet in container.demux(stream))
    if found != frames:
        raise StorageError(
            out,
            expected=f"a video of {frames} frames",
            found=f"{found} after writing",
            remedy="Check the disk and encode again.",
        )
