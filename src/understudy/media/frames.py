"""Frames of a clip as numbered pictures in a folder.

A video file in; `00001.png` ... and a manifest out, enough to build a video of the same timing from
pictures of the same names. Work already done by an earlier, killed run is kept. Knows nothing of
faces.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from av.video.frame import VideoFrame

from understudy.errors import FormatError
from understudy.files import make_dir, sha256_file
from understudy.media.clip import Clock, Notice, no_frames, open_clip, raw_frames, video_stream
from understudy.media.conversion import to_rgb, upright_size
from understudy.media.images import Pixels, read_pixels, write_image
from understudy.media.light import MasteringLight
from understudy.media.timing import Timing, fit_timing
from understudy.media.video import VideoInfo, probe
from understudy.types import ColorTags

FIRST_NUMBER = 1
MANIFEST_VERSION = 1

PictureFormat = Literal["png", "jpg"]


@dataclass(frozen=True, slots=True)
class FrameManifest:
    """What the pictures of a folder are frames of; all that a later encode has to know."""

    source: str
    source_sha256: str
    picture_format: PictureFormat
    digits: int
    height: int
    width: int
    bit_depth: int
    color: ColorTags
    rotation_deg: int
    sample_aspect: Fraction
    audio_tracks: int
    timing: Timing
    first_number: int = FIRST_NUMBER
    notices: tuple[str, ...] = ()
    timecode: str | None = None
    shown_from: Fraction = Fraction(0)
    light: MasteringLight | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """File names of the frames in the order shown."""
        numbers = range(self.first_number, self.first_number + self.timing.count)
        return tuple(frame_name(n, self.digits, self.picture_format) for n in numbers)

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        color = self.color
        return {
            "version": MANIFEST_VERSION,
            "source": self.source,
            "source_sha256": self.source_sha256,
            "picture_format": self.picture_format,
            "digits": self.digits,
            "height": self.height,
            "width": self.width,
            "bit_depth": self.bit_depth,
            "color": {
                "primaries": color.primaries,
                "transfer": color.transfer,
                "matrix": color.matrix,
                "range": color.range,
            },
            "rotation_deg": self.rotation_deg,
            "sample_aspect": str(self.sample_aspect),
            "audio_tracks": self.audio_tracks,
            "timing": self.timing.to_json(),
            "first_number": self.first_number,
            "notices": list(self.notices),
            "timecode": self.timecode,
            "shown_from": str(self.shown_from),
            "light": None if self.light is None else self.light.to_json(),
        }

    @classmethod
    def from_json(cls, value: Any, *, name: str | Path = "frame manifest") -> "FrameManifest":
        """Inverse of `to_json`; `name` is what an error calls it.

        Raises:
            FormatError: it is not that form, or of a newer version.
        """
        try:
            if value["version"] > MANIFEST_VERSION:
                raise FormatError(
                    name,
                    expected=f"version {MANIFEST_VERSION} at most",
                    found=f"version {value['version']}",
                    remedy="Update this program.",
                )
            fields: dict[str, Any] = {key: str(value[key]) for key in _TEXTS}
            fields |= {key: int(value[key]) for key in _NUMBERS}
            light = value.get("light")
            return cls(
                **fields,
                color=ColorTags(**value["color"]),
                sample_aspect=Fraction(value["sample_aspect"]),
                timing=Timing.from_json(value["timing"]),
                notices=tuple(value["notices"]),
                timecode=value.get("timecode"),  # older ones have none of these
                shown_from=Fraction(value.get("shown_from", 0)),
                light=None if light is None else MasteringLight.from_json(light),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise FormatError(
                name,
                expected="a frame manifest",
                found=f"something else ({error!r})",
                remedy="Extract the frames again.",
            ) from error


_TEXTS = ("source", "source_sha256", "picture_format")
_NUMBERS = (
    *("digits", "height", "width", "bit_depth"),
    *("rotation_deg", "audio_tracks", "first_number"),
)


@dataclass(frozen=True, slots=True)
class Extraction:
    """The manifest, and how many frames were written now or were there from an earlier run."""

    manifest: FrameManifest
    written: int
    kept: int


def frame_name(number: int, digits: int, picture_format: PictureFormat) -> str:
    """File name of a frame by its number, which counts from 1."""
    return f"{number:0{digits}d}.{picture_format}"


def extract_frames(
    source: Path,
    folder: Path,
    *,
    picture_format: PictureFormat = "png",
    jpeg_quality: int = 95,
    first_number: int = FIRST_NUMBER,
    workers: int = 2,
    fps: Fraction | None = None,
    on_frame: Callable[[int, int | None], None] | None = None,
    on_notice: Notice | None = None,
) -> Extraction:
    """Write every frame, in the size of the first, into the folder; those already there are kept.

    `fps` keeps at most so many of each second, evenly; frames are never made up.

    `first_number` lets several clips follow one another in one folder. `on_frame(done, total)`
    follows each frame, total None where the file does not say; what it raises (Cancelled) ends the
    work with every file whole, to be taken up by the next call.

    Raises:
        FileError, FormatError, MaterialError: the clip can't be read, is no video, has no frame;
            or the folder holds frames of another clip.
        StorageError: the disk is full or the folder can't be written.
    """
    info = probe(source)
    make_dir(folder)
    digits = _digits(info, first_number)
    notices: list[str] = []
    with open_clip(source) as container:
        stream = video_stream(container, source)
        clock, times, seen = Clock(stream), list[Fraction](), 0
        frames = raw_frames(container, stream, source, on_damage=notices.append)
        with _Writer(workers, jpeg_quality, (info.height, info.width)) as writer:
            for frame in frames:
                time, seen = clock.read(frame), seen + 1
                if fps is None or _is_due(time, times, fps):
                    number = first_number + len(times)
                    times.append(time)
                    writer.put(frame, folder / frame_name(number, digits, picture_format))
                if on_frame is not None:
                    on_frame(seen, info.frame_count)
    if not times:
        raise no_frames(source)
    notices += _shortcomings(info, seen, writer.scaled)
    for notice in notices:
        (on_notice or _unheard)(notice)
    manifest = _manifest_of(
        info,
        digits=digits,
        picture_format=picture_format,
        timing=fit_timing(times, time_base=clock.base, hints=(fps, *clock.rates)),
        first_number=first_number,
        notices=tuple(notices),
    )
    return Extraction(manifest, written=writer.written, kept=writer.kept)


def _manifest_of(
    info: VideoInfo,
    *,
    digits: int,
    picture_format: PictureFormat,
    timing: Timing,
    first_number: int,
    notices: tuple[str, ...],
) -> FrameManifest:
    return FrameManifest(
        source=info.path.name,
        source_sha256=sha256_file(info.path),
        picture_format=picture_format,
        digits=digits,
        height=info.height,
        width=info.width,
        bit_depth=8 if info.bit_depth == 8 or picture_format == "jpg" else 16,
        color=info.color,
        rotation_deg=info.rotation_deg,
        sample_aspect=info.sample_aspect,
        audio_tracks=len(info.audio),
        timing=timing,
        first_number=first_number,
        notices=notices,
        timecode=info.timecode,
        shown_from=info.shown_from,
        light=info.light,
    )


def _is_due(time: Fraction, kept: list[Fraction], fps: Fraction) -> bool:
    """Whether a frame begins another of the `fps` parts of a second than the last one kept."""
    if not kept:
        return True
    first = kept[0]
    slack = Fraction(1, 2000)  # clocks of a millisecond are rounded
    return (time - first + slack) * fps // 1 > (kept[-1] - first + slack) * fps // 1


def _shortcomings(info: VideoInfo, count: int, scaled: int) -> list[str]:
    notices = []
    if (info.frame_count or 0) > count:
        notices.append(f"{info.path}: {info.frame_count} frames announced, {count} there")
    if scaled:
        size = f"{info.width}x{info.height}"
        notices.append(f"{info.path}: {scaled} frames are of another size and scaled to {size}")
    return notices


class _Writer:
    """Converts and writes frames on a few threads, with few frames in memory at any moment."""

    def __init__(self, workers: int, jpeg_quality: int, shape_hw: tuple[int, int]) -> None:
        self.written = self.kept = self.scaled = 0
        self._quality, self._shape = jpeg_quality, shape_hw
        self._room = 2 * workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="frames")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                while self._waiting:
                    self._settle()
            finally:
                self._pool.shutdown(cancel_futures=True)
        else:
            self._pool.shutdown(cancel_futures=True)

    def put(self, frame: VideoFrame, path: Path) -> None:
        self.scaled += upright_size(frame) != self._shape
        if path.exists() and path.stat().st_size > 0:  # empty after a power cut
            if not self.kept:
                _check_same_clip(frame, path, self._shape)
            self.kept += 1
            return
        if len(self._waiting) >= self._room:
            self._settle()
        self._waiting.append(self._pool.submit(self._write, frame, path))

    def _settle(self) -> None:
        self._waiting.popleft().result()
        self.written += 1

    def _write(self, frame: VideoFrame, path: Path) -> None:
        pixels = _picture(frame, self._shape)
        depth: Literal[8] | None = 8 if path.suffix == ".jpg" else None
        write_image(path, pixels, bit_depth=depth, jpeg_quality=self._quality)


def _picture(frame: VideoFrame, shape_hw: tuple[int, int]) -> Pixels:
    """The frame in the clip's size, which streams joined from several may leave midway."""
    pixels = to_rgb(frame, threads=1)
    if pixels.shape[:2] == shape_hw:
        return pixels
    shrinks = pixels.shape[0] > shape_hw[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    scaled: Pixels = cv2.resize(pixels, shape_hw[::-1], interpolation=how)
    return scaled


def _check_same_clip(frame: VideoFrame, path: Path, shape_hw: tuple[int, int]) -> None:
    """Refuse to continue a folder that another clip began: the mixture would pass for one."""
    there = read_pixels(path)
    same = there.shape[:2] == shape_hw
    if same and path.suffix == ".png":
        same = np.array_equal(there, _picture(frame, shape_hw))
    if not same:
        raise FormatError(
            path,
            expected="the frame of this clip, from an earlier run",
            found="another picture",
            remedy="Empty the folder or choose another one.",
        )


def _digits(info: VideoInfo, first_number: int) -> int:
    """Digits that all names of a clip need, so that they sort as text."""
    count = info.frame_count
    if count is None:  # a little more than the length says, for it may be rounded
        count = 0 if info.duration is None else int(info.duration * info.rate * 101 / 100) + 1
    return max(5, len(str(first_number + count)))


def _unheard(notice: str) -> None:
    """Take a notice that no one asked for; the manifest keeps it."""
