"""Pictures into a video file, with another clip's sound.

RGB arrays in order in, a finished file out, or nothing: it appears under its name when it is whole
and on disk. Each picture becomes one frame, at one exact rate or at the moments given. Knows
nothing of where pictures come from.
"""

import contextlib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer

from understudy.errors import FormatError, MaterialError, StorageError
from understudy.files import replacing
from understudy.media.audio import AudioCarrier
from understudy.media.clip import (
    is_picture_track,
    moment,
    open_clip,
    raw_frames,
    video_stream,
)
from understudy.media.formats import CONTAINERS, Chroma, Preset, video_format
from understudy.media.images import Pixels
from understudy.media.label import Label, SubtitleTrack
from understudy.media.light import MasteringLight
from understudy.media.picture_track import PictureTrack, TrackSettings
from understudy.media.plate_samples import PlateSamples
from understudy.media.stored_frames import Stored
from understudy.media.timing import Timing
from understudy.types import ColorTags, Image

Picture = Pixels | Image | Stored
"""RGB of 8 or 16 bits or an Image; or RGBA of 8 or 16 bits with a straight matte."""


@dataclass(frozen=True, slots=True)
class EncodedVideo:
    """What was written. The stored size is that of the pictures, made even where it must be.

    `plate_frames` counts those in which untouched pixels have the plate's own samples.
    """

    path: Path
    frames: int
    height: int
    width: int
    bit_depth: int
    pixel_format: str
    rate: Fraction
    sound: tuple[str, ...]
    plate_frames: int
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sound:
    """Sound tracks of a clip to take along.

    `start` is the moment on the clip's clock that meets the first picture, None its own first
    frame; `end` that of the last one's end, None the clip's own. `tracks` chooses by number,
    counted from 0; None takes all.
    """

    path: Path
    start: Fraction | None = None
    end: Fraction | None = None
    tracks: Collection[int] | None = None


def encode_video(
    frames: Iterable[Picture],
    out: Path,
    *,
    timing: Timing | Fraction,
    format_name: str = "h264",
    sound: Sound | None = None,
    start: Fraction = Fraction(0),
    plate: Path | None = None,
    color: ColorTags | None = None,
    light: MasteringLight | None = None,
    sample_aspect: Fraction = Fraction(1),
    crf: int | float | None = None,
    bit_rate: int | None = None,
    preset: Preset = "medium",
    bit_depth: int | None = None,
    chroma: Chroma = "4:2:0",
    timecode: str | None = None,
    metadata: Mapping[str, str] | None = None,
    subtitle: Label | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> EncodedVideo:
    """Write the pictures into `out`, each exactly once, in the format of that name.

    `timing` is a constant rate or a clip's Timing, `start` the moment of the first picture. Pixels
    that equal those of the clip `plate` keep its samples; `color`, `light` and `timecode` are its.
    `crf` None is what looks lossless; `bit_rate`, in bits per second, takes its place. `bit_depth`
    None keeps what the format can. `chroma` 4:4:4 keeps odd sizes, else made even. `on_frame(done)`
    follows each picture; what it raises ends the work and leaves nothing behind.

    Raises:
        OptionError: the ending of `out` is unknown, or the format can't be stored there.
        MaterialError: there are no pictures, they differ in size, or outnumber the moments given.
        FileError, FormatError: the clip of `sound` or `plate` can't be read or is no clip.
        StorageError: the disk is full or the folder can't be written.
    """
    settings = TrackSettings(
        format=video_format(format_name, out),
        timing=timing if isinstance(timing, Timing) else None,
        rate=timing.rate if isinstance(timing, Timing) else timing,
        color=color or ColorTags(),
        sample_aspect=sample_aspect,
        crf=crf,
        bit_rate=bit_rate,
        preset=preset,
        bit_depth=bit_depth,
        chroma=chroma,
        timecode=timecode,
        start=max(start, Fraction(0)),
        light=light,
    )
    film = _Film(settings, out, sound=sound, plate=plate, metadata=metadata, subtitle=subtitle)
    return film.write(frames, on_frame)


class _Film:
    """A film about to be written: its tracks are opened, filled and looked at again."""

    def __init__(
        self,
        settings: TrackSettings,
        out: Path,
        *,
        sound: Sound | None,
        plate: Path | None,
        metadata: Mapping[str, str] | None,
        subtitle: Label | None,
    ) -> None:
        self._settings, self._out, self._sound = settings, out, sound
        self._plate, self._metadata, self._subtitle = plate, metadata or {}, subtitle

    def write(
        self, frames: Iterable[Picture], on_frame: Callable[[int], None] | None
    ) -> EncodedVideo:
        first, pictures = _first_of(frames, self._out)
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(replacing(self._out))
            plate = None
            if self._plate is not None:
                plate = PlateSamples(stack.enter_context(open_clip(self._plate)), self._plate)
            with _output(temporary, self._out, self._metadata) as output:
                track = PictureTrack(output, self._settings, first, self._out, plate)
                carrier = self._carrier(output, stack)
                if self._subtitle is not None:
                    output.mux(SubtitleTrack(output, self._subtitle, self._out).packet())
                _write_all(pictures, track, carrier, output, on_frame)
            _verify(temporary, self._out, frames=track.count)
        return EncodedVideo(
            path=self._out,
            frames=track.count,
            height=track.maker.height,
            width=track.maker.width,
            bit_depth=track.maker.bit_depth,
            pixel_format=track.maker.pixel_format,
            rate=self._settings.rate,
            sound=() if carrier is None else tuple(carrier.summary),
            plate_frames=0 if plate is None else plate.frames,
            notices=(*track.notices, *(() if carrier is None else carrier.notices)),
        )

    def _carrier(self, output: OutputContainer, stack: contextlib.ExitStack) -> AudioCarrier | None:
        sound = self._sound
        if sound is None:
            return None
        start = first_moment(sound.path) if sound.start is None else sound.start
        if self._out.suffix.lower() != ".avi":  # which has no moments
            start -= self._settings.start
        return AudioCarrier(
            stack.enter_context(open_clip(sound.path)),
            output,
            sound.path,
            start=start,
            end=None if sound.end is None else sound.end - start,
            tracks=sound.tracks,
        )


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
def _output(path: Path, out: Path, metadata: Mapping[str, str]) -> Iterator[OutputContainer]:
    container = CONTAINERS[out.suffix.lower()]
    options = {}
    if container in ("mp4", "mov"):
        keys = "+use_metadata_tags" if metadata else ""  # keys of our own survive only so
        options = {"movflags": f"+faststart{keys}"}
    try:
        output = av.open(f"file:{path}", mode="w", format=container, container_options=options)
        output.metadata.update(metadata)
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


def _first_of(frames: Iterable[Picture], out: Path) -> tuple[Picture, Iterable[Picture]]:
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
    pictures: Iterable[Picture],
    track: PictureTrack,
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
