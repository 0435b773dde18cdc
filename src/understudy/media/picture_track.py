"""The picture track of an output: pictures in, packets out, each at its moment.

Knows the encoder's settings, colour tags and clocks; nothing of sound or of where pictures come
from.
"""

import bisect
import math
import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from understudy.errors import FormatError, MaterialError, OptionError
from understudy.media.color_tags import MATRICES, PRIMARIES, RANGES, TRANSFERS, completed
from understudy.media.formats import Chroma, Preset, VideoFormat, stored_depth
from understudy.media.images import Pixels, to_pixels
from understudy.media.light import MasteringLight
from understudy.media.plate_samples import PlateSamples
from understudy.media.stored_frames import FrameMaker, Stored
from understudy.media.timing import Timing, timecode_fault
from understudy.types import ColorTags, Image

if TYPE_CHECKING:
    PicturePacket = Packet[VideoStream]
else:  # generic only to the type checker
    PicturePacket = Packet

HDR_TRANSFERS = ("smpte2084", "arib-std-b67")
"""PQ and HLG: encodings whose 8-bit form shows bands."""

_FINEST_CLOCK, _LARGEST_CLOCK = 90_000, 10_000_000


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """How pictures are stored and shown; as `encode_video` takes them."""

    format: VideoFormat
    timing: Timing | None
    rate: Fraction
    color: ColorTags
    sample_aspect: Fraction
    crf: int | float | None
    bit_rate: int | None
    preset: Preset
    bit_depth: int | None
    chroma: Chroma
    timecode: str | None
    start: Fraction
    light: MasteringLight | None


class PictureTrack:
    """Encodes pictures of one size, each exactly once.

    `plate` has samples for those pixels that are still the plate's.
    """

    def __init__(
        self,
        output: OutputContainer,
        settings: TrackSettings,
        first: Pixels | Image | Stored,
        out: Path,
        plate: PlateSamples | None = None,
    ) -> None:
        self.count, self.plate = 0, plate
        self.notices: list[str] = []
        self._out, self._settings = out, settings
        self._shape = (first.shape[0], first.shape[1])
        self._with_alpha = first.shape[2] == 4
        color = completed(settings.color, height=self._shape[0])
        if settings.format.codec == "dnxhd":  # its own stream knows no other
            color = replace(color, matrix="bt709")
        is_hdr = color.transfer in HDR_TRANSFERS
        # RGB is of the full range by nature, which says nothing of how it is to be stored.
        is_full = color.range == "pc" and settings.color.matrix != "gbr"
        self._is_full = is_full and settings.format.keeps_range
        depth = stored_depth(
            settings.format, settings.bit_depth, is_deep=first.dtype == np.uint16, is_hdr=is_hdr
        )
        self._matrix = color.matrix or "bt709"
        self.maker = FrameMaker(
            self._shape, color, pixel_format=self._pixel_format(depth), is_full_range=self._is_full
        )
        timing = settings.timing
        self._ticks = None if timing is None else timing.ticks
        self._refuse_uneven()
        self._base, self._step, self._first = self._clock()
        self._stream = self._add_stream(output, depth)
        self._stream.time_base = self._base
        self._configure(color)
        self._tell(first, depth)

    def _clock(self) -> tuple[Fraction, int, int]:
        """One tick in seconds; ticks from frame to frame, and before the first one.

        A tick is a frame, unless frames come at moments of their own or the first one later.
        """
        settings, timing = self._settings, self._settings.timing
        if timing is not None and timing.ticks is not None:
            return timing.time_base, 1, round(settings.start / timing.time_base)
        frame = 1 / settings.rate
        if self._out.suffix.lower() == ".avi":  # which counts frames and nothing else
            return frame, 1, 0
        start = settings.start.limit_denominator(_FINEST_CLOCK)
        base = Fraction(
            math.gcd(frame.numerator * start.denominator, start.numerator * frame.denominator),
            frame.denominator * start.denominator,
        )
        if base.denominator > _LARGEST_CLOCK:  # more than a container can count in
            base, start = frame, round(start / frame) * frame
        return base, round(frame / base), round(start / base)

    def _pixel_format(self, depth: int) -> str:
        chosen = self._settings.format
        own = None if self.plate is None else self.plate.pixel_format
        if own in chosen.plate_formats and self._settings.bit_depth is None:
            return str(own)
        try:
            stored = chosen.pixel_formats[depth, self._with_alpha]
        except KeyError:
            raise OptionError(
                chosen.name,
                expected="pictures without alpha, all it can hold",
                found="a matte to go along as alpha",
                remedy="Choose --format prores-4444 or ffv1, or --matte video.",
            ) from None
        return stored.replace("420", "444") if self._settings.chroma == "4:4:4" else stored

    def _refuse_uneven(self) -> None:
        if self._ticks is not None and self._out.suffix.lower() == ".avi":
            raise OptionError(
                self._out,
                expected="a container that can show frames at uneven moments",
                found="avi, which knows one rate",
                remedy="Write .mkv or .mp4.",
            )

    def _add_stream(self, output: OutputContainer, depth: int) -> VideoStream:
        settings, chosen = self._settings, self._settings.format
        least = chosen.smallest_hw
        if self.maker.height < least[0] or self.maker.width < least[1]:
            raise OptionError(
                chosen.name,
                expected=f"pictures of at least {least[1]}x{least[0]}",
                found=f"{self._shape[1]}x{self._shape[0]}",
                remedy="Choose another --format.",
            )
        os.environ.setdefault("SVT_LOG", "1")  # or the AV1 encoder writes pages to the terminal
        ending = self._out.suffix.lower()
        options = chosen.encoder_options(
            crf=settings.crf,
            preset=settings.preset,
            bit_rate=settings.bit_rate,
            ending=ending,
            depth=depth,
            light=settings.light,
        )
        try:
            stream = cast(
                VideoStream, output.add_stream(chosen.codec, rate=settings.rate, options=options)
            )
        except (av.FFmpegError, ValueError) as error:
            raise FormatError(
                chosen.name,
                expected=f"an encoder for it ({chosen.codec})",
                found="none in this build of PyAV",
                remedy="Install PyAV's own wheel, or choose another --format.",
            ) from error
        if ending in chosen.tags:
            stream.codec_context.codec_tag = chosen.tags[ending]
        if settings.bit_rate is not None:
            stream.codec_context.bit_rate = settings.bit_rate
        if settings.timecode is not None:
            self._check_timecode(settings.timecode)
            stream.metadata["timecode"] = settings.timecode
        return stream

    def _check_timecode(self, timecode: str) -> None:
        fault = timecode_fault(timecode, self._settings.rate)
        if fault:
            raise OptionError(
                "--timecode",
                expected="the first frame's timecode, such as 01:00:00:00",
                found=fault,
                remedy="Give another --timecode.",
            )

    def _configure(self, color: ColorTags) -> None:
        context = self._stream.codec_context
        context.width, context.height = self.maker.width, self.maker.height
        context.pix_fmt = self.maker.pixel_format
        context.time_base = self._base
        context.sample_aspect_ratio = self._settings.sample_aspect
        context.color_primaries = PRIMARIES[color.primaries or "bt709"]
        context.color_trc = TRANSFERS[color.transfer or "bt709"]
        is_rgb = self.maker.is_rgb
        context.colorspace = MATRICES["gbr" if is_rgb else color.matrix or "bt709"]
        context.color_range = RANGES["pc" if is_rgb or self._is_full else "tv"]
        if context.codec.name in ("ffv1", "prores_ks", "dnxhd"):  # slices side by side
            context.thread_type = "SLICE"

    def _tell(self, first: Pixels | Image | Stored, depth: int) -> None:
        height, width = self._shape
        name = self._settings.format.name
        if (self.maker.height, self.maker.width) != self._shape:
            self.notices.append(
                f"{self._out}: {width}x{height} is odd, which {name} can't hold with its chroma; "
                f"stored as {self.maker.width}x{self.maker.height} with the last row or column "
                "repeated"
            )
        self._tell_what_the_container_loses()
        own = self._settings.color.matrix
        if name == "dnxhr" and own not in (None, "gbr", self._matrix):
            self.notices.append(
                f"{self._out}: dnxhr says its matrix is bt709 whatever it is told, so the picture "
                f"was converted to that from {own}; primaries and transfer stay the plate's"
            )
        if first.dtype == np.uint16 and depth == 8:
            self.notices.append(
                f"{self._out}: the 16 bits of the pictures become 8; prores-hq, h265 and av1 keep "
                "10 of them, ffv1 all"
            )

    def _tell_what_the_container_loses(self) -> None:
        settings, ending = self._settings, self._out.suffix.lower()
        says_it_itself = settings.format.codec in ("libx264", "libx264rgb", "libx265")
        lost = []
        if ending == ".avi":
            lost += ["the timecode"] if settings.timecode else []
            lost += [] if says_it_itself else ["the colour tags"]
            lost += ["the moment at which the picture begins"] if settings.start else []
        if ending in (".avi", ".mkv") and settings.sample_aspect != 1 and not says_it_itself:
            lost.append(f"the pixel shape {settings.sample_aspect}")
        if settings.light is not None and not settings.light.encoder_parameters(
            settings.format.codec
        ):
            lost.append("the mastering display's light")
        if lost:
            self.notices.append(
                f"{self._out}: {ending[1:]} with {settings.format.name} does not keep "
                f"{' and '.join(lost)}; mov and mp4 do"
            )

    def encode(self, picture: Pixels | Image | Stored) -> list[PicturePacket]:
        """Packets ready once `picture` is in.

        Raises:
            MaterialError: its size differs from the first one's, or no moment is left for it.
        """
        if picture.shape[:2] != self._shape:
            raise MaterialError(
                self._out,
                expected=f"pictures of {self._shape[1]}x{self._shape[0]}, as the first one is",
                found=f"{picture.shape[1]}x{picture.shape[0]} at picture {self.count + 1}",
                remedy="Make all frames the same size.",
            )
        if picture.dtype == np.float32:
            picture = to_pixels(picture, bit_depth=8 if self.maker.bit_depth == 8 else 16)
        frame = self.maker.make(picture)
        if self.plate is not None:
            self.plate.put_into(frame, picture, matrix=self._matrix, is_full=self._is_full)
        context = self._stream.codec_context
        frame.color_primaries, frame.color_trc = context.color_primaries, context.color_trc
        frame.colorspace, frame.color_range = context.colorspace, context.color_range
        frame.time_base = self._base
        frame.pts = self._stamp(self.count)
        self.count += 1
        return self._timed(self._stream.encode(frame))

    def finish(self) -> list[PicturePacket]:
        """The packets still inside."""
        return self._timed(self._stream.encode(None))

    def moment(self, packet: PicturePacket) -> Fraction:
        """When a packet is due, in seconds."""
        return (packet.dts or 0) * (packet.time_base or self._base)

    def _stamp(self, index: int) -> int:
        if self._ticks is None:
            return self._first + index * self._step
        if index >= len(self._ticks):
            raise MaterialError(
                self._out,
                expected=f"{len(self._ticks)} pictures, one for each moment of the clip",
                found="more of them",
                remedy="Remove pictures that are not frames of this clip.",
            )
        return self._first + self._ticks[index]

    def _timed(self, packets: list[PicturePacket]) -> list[PicturePacket]:
        """Packets that know how long they are shown: the encoder does not say."""
        for packet in packets:
            packet.duration = self._length(packet.pts or 0)
        return packets

    def _length(self, stamp: int) -> int:
        if self._ticks is None:
            return self._step
        at = bisect.bisect_right(self._ticks, stamp - self._first)
        if at >= len(self._ticks):
            at = len(self._ticks) - 1  # the last frame lasts as long as the one before
        return max(1, self._ticks[at] - self._ticks[at - 1] if at else 1)
