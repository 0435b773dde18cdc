"""Sound of one clip carried into another file, packet by packet.

A source clip and an open output container in; its sound tracks are copied bit for bit where the
container can hold their codec, and where not turned into AAC (into plain PCM for
AVI). Knows nothing of pictures but the moment at which the first of them is shown.
"""

from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from understudy.errors import from_os_error

if TYPE_CHECKING:
    SoundPacket = Packet[AudioStream]
else:  # generic only to the type checker
    SoundPacket = Packet

# What players expect in these containers; MP4 could name more (PCM, Vorbis) that few of them play.
# Matroska takes what its own list says.
_MOV_CODECS = frozenset({"aac", "mp1", "mp2", "mp3", "ac3", "eac3", "alac", "dts"})
_COPIED = {
    "mp4": _MOV_CODECS | {"opus", "flac"},
    "mov": _MOV_CODECS,
    "avi": frozenset({"mp2", "mp3", "ac3"}),
}
_AVI_PCM = frozenset({"pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_u8"})

_AAC_RATES = (
    *(96000, 88200, 64000, 48000, 44100, 32000),
    *(24000, 22050, 16000, 12000, 11025, 8000, 7350),
)
_AAC_LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1")
_AAC_BITS_PER_CHANNEL = 128_000


class AudioCarrier:
    """Moves all sound tracks of `source` into `output`, in step with its pictures.

    `start` is the moment on the source's clock at which the output begins, `end` the output's own
    moment at which it ends (None: with the source). `tracks` chooses some by their number, counted
    from 0; None takes all. They are added at once, so the picture track must be there already.
    `summary` says what became of each track, `notices` what was damaged.
    """

    def __init__(
        self,
        source: InputContainer,
        output: OutputContainer,
        path: Path,
        *,
        start: Fraction,
        end: Fraction | None = None,
        tracks: Collection[int] | None = None,
    ) -> None:
        self.summary: list[str] = []
        self.notices: list[str] = []
        self._path, self._output, self._end = path, output, end
        self._tracks: dict[int, _Copy | _Recode] = {}
        for number, stream in enumerate(source.streams.audio):
            if tracks is not None and number not in tracks:
                continue
            if stream.codec_context is None:
                self.summary.append(f"track {stream.index}: unknown codec, left out")
                continue
            track = _add_track(stream, output, start)
            self._tracks[stream.index] = track
            self.summary.append(f"track {stream.index}: {track.what}")
        streams = [stream for stream in source.streams.audio if stream.index in self._tracks]
        self._packets: Iterator[SoundPacket] = iter(())
        if streams:
            self._packets = cast(Iterator[SoundPacket], source.demux(*streams))
        self._ahead: SoundPacket | None = None

    def advance(self, until: Fraction | None) -> None:
        """Write all sound before the moment `until` of the output; all that is left if None."""
        while True:
            packet = self._ahead or self._next()
            self._ahead = None
            if packet is None:
                return
            track = self._tracks[packet.stream.index]  # an end mark has no index of its own
            if packet.size and self._is_outside(packet, track):
                continue
            if until is not None and track.moment(packet) > until:
                self._ahead = packet
                return
            try:
                ready = list(track.packets(packet))
            except av.FFmpegError as error:
                self.notices.append(
                    f"{self._path}: damaged sound was passed over ({error.strerror})"
                )
                continue
            self._output.mux(ready)

    def _is_outside(self, packet: SoundPacket, track: "_Copy | _Recode") -> bool:
        """Whether a packet of a cut is over long before its beginning, or begins after its end.

        A decoder needs the packet before the first one that is heard. A whole film keeps all,
        also sound that begins before its picture.
        """
        if self._end is None:
            return False
        moment = track.moment(packet)
        length = (packet.duration or 0) * (packet.time_base or Fraction(0))
        return moment + 2 * length < 0 or moment >= self._end

    def _next(self) -> SoundPacket | None:
        try:
            return next(self._packets, None)
        except OSError as error:
            raise from_os_error(error, self._path, doing="read") from error
        except av.FFmpegError as error:
            self.notices.append(f"{self._path}: the sound ends early ({error.strerror})")
            return None


def _add_track(stream: AudioStream, output: OutputContainer, start: Fraction) -> "_Copy | _Recode":
    codec = stream.codec.canonical_name
    listed = _COPIED.get(output.format.name)
    is_pcm = codec.startswith("pcm_") and output.format.name != "mp4"
    if output.format.name == "avi":
        is_pcm = codec in _AVI_PCM
    track: _Copy | _Recode | None = None
    if listed is None or codec in listed or is_pcm:
        try:
            track = _Copy(stream, output.add_stream_from_template(stream), start)
        except ValueError:  # the container can't hold this codec
            track = None
    if track is None:
        track = _Recode(stream, output, start)
    for key in ("language", "title"):
        if key in stream.metadata:
            track.out.metadata[key] = stream.metadata[key]
    track.out.disposition = stream.disposition
    return track


class _Copy:
    """Packets as they are; only their time stamps count from the output's zero."""

    def __init__(self, stream: AudioStream, out: AudioStream, start: Fraction) -> None:
        self.out = out
        self.what = f"{stream.codec.canonical_name} copied"
        self._base = stream.time_base or Fraction(1, stream.codec_context.sample_rate)
        self._start = start
        self._rate = stream.codec_context.sample_rate
        self._samples = stream.codec_context.frame_size
        self._expected: int | None = None
        self._last = Fraction(0)

    def moment(self, packet: SoundPacket) -> Fraction:
        if packet.pts is not None:
            self._last = packet.pts * self._base - self._start
        return self._last

    def packets(self, packet: SoundPacket) -> Iterator[SoundPacket]:
        if packet.size == 0:  # the demuxer's end mark
            return
        time = self.moment(packet)
        sample = round(time * self._rate)
        # Coarse clocks (Matroska, MPEG) round each stamp; whole frames of sound follow each other
        # without a gap, so a stamp within two ticks of the end of the last one means that.
        if self._samples and self._expected is not None:
            if abs(time - Fraction(self._expected, self._rate)) <= 2 * self._base:
                sample = self._expected
            self._expected = sample + self._samples
        elif self._samples:
            self._expected = sample + self._samples
        duration = Fraction(packet.duration or 0) * self._base * self._rate
        packet.time_base = Fraction(1, self._rate)
        packet.pts = packet.dts = sample
        packet.duration = self._samples or round(duration)
        packet.stream = self.out
        yield packet


class _Recode:
    """Sound decoded and encoded again as AAC."""

    def __init__(self, stream: AudioStream, output: OutputContainer, start: Fraction) -> None:
        source = stream.codec_context
        rate = min(
            (r for r in _AAC_RATES if r >= source.sample_rate),
            default=_AAC_RATES[0],
        )
        layout = source.layout.name
        if layout not in _AAC_LAYOUTS:  # bare channels in no named places
            layout = _AAC_LAYOUTS[min(source.layout.nb_channels, len(_AAC_LAYOUTS)) - 1]
        target = "pcm_s16le" if output.format.name == "avi" else "aac"
        if target != "aac":
            rate = source.sample_rate
        self.out = cast(AudioStream, output.add_stream(target, rate=rate, layout=layout))
        if target == "aac":
            self.out.codec_context.bit_rate = _AAC_BITS_PER_CHANNEL * source.layout.nb_channels
        self.what = (
            f"{stream.codec.canonical_name} encoded again as {target}, "
            f"for {output.format.name} players take no {stream.codec.canonical_name}"
        )
        self._stream = stream
        self._base = stream.time_base or Fraction(1, source.sample_rate)
        self._start = start
        self._last = Fraction(0)

    def moment(self, packet: SoundPacket) -> Fraction:
        if packet.pts is not None:
            self._last = packet.pts * self._base - self._start
        return self._last

    def packets(self, packet: SoundPacket) -> Iterator[SoundPacket]:
        at_end = packet.size == 0
        for frame in packet.decode():
            if frame.pts is not None:
                base = frame.time_base or self._base
                frame.pts = round((frame.pts * base - self._start) * frame.sample_rate)
                frame.time_base = Fraction(1, frame.sample_rate)
            yield from self.out.encode(frame)
        if at_end:
            yield from self.out.encode(None)
