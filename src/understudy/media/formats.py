"""The forms a film is delivered in: codec, container, depth, alpha, quality.

A name and what was asked for in; what to set an encoder to out. Encodes nothing and opens no file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from understudy.errors import OptionError
from understudy.media.light import MasteringLight

Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]
Chroma = Literal["4:2:0", "4:4:4"]

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".avi": "avi"}

_SVT_PRESETS = dict(
    zip(
        ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium"),
        ("12", "11", "10", "9", "8", "7"),
        strict=True,
    )
) | {"slow": "6", "slower": "5", "veryslow": "4"}

_PARAMETERS = {
    "libx264": "x264-params",
    "libx265": "x265-params",
    "libsvtav1": "svtav1-params",
}


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """One way to store moving pictures.

    `pixel_formats` says, by bits and whether there is alpha, how pictures are stored; `crf` is the
    quality that looks lossless, None where the format knows none; `keeps_range` whether full-range
    plates stay full-range; `plate_formats` which pixel formats of a plate it can take over.
    """

    name: str
    codec: str
    endings: tuple[str, ...]
    pixel_formats: Mapping[tuple[int, bool], str]
    options: Mapping[str, str] = field(default_factory=dict)
    crf: float | None = None
    has_presets: bool = False
    is_lossless: bool = False
    keeps_range: bool = False
    plate_formats: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    smallest_hw: tuple[int, int] = (1, 1)

    @property
    def depths(self) -> tuple[int, ...]:
        """Bits per channel it can store, fewest first."""
        return depths_of(self.pixel_formats)

    @property
    def holds_alpha(self) -> bool:
        """Whether a matte can go along inside."""
        return any(alpha for _, alpha in self.pixel_formats)

    def encoder_options(
        self,
        *,
        crf: int | float | None,
        preset: Preset,
        bit_rate: int | None,
        ending: str,
        depth: int,
        light: MasteringLight | None = None,
    ) -> dict[str, str]:
        """What to open the encoder with."""
        options = dict(self.options)
        if light is not None and (told := light.encoder_parameters(self.codec)):
            name = _PARAMETERS[self.codec]
            options[name] = ":".join(filter(None, (options.get(name), *told)))
        if self.has_presets:
            options["preset"] = _SVT_PRESETS[preset] if self.codec == "libsvtav1" else preset
        if self.crf is not None and bit_rate is None:
            options["crf"] = f"{self.crf if crf is None else crf:g}"
        if ending == ".avi" and self.codec == "libx264":
            options["bf"] = "0"  # the container has no clock for pictures out of order
        if self.codec == "dnxhd":
            options["profile"] = "dnxhr_hq" if depth == 8 else "dnxhr_hqx"
        return options


_H264 = VideoFormat(
    "h264",
    "libx264",
    (".mp4", ".mov", ".mkv", ".avi"),
    {(8, False): "yuv420p", (10, False): "yuv420p10le"},
    crf=16.0,
    has_presets=True,
    keeps_range=True,
)
_ALL = (
    _H264,
    VideoFormat(
        "h265",
        "libx265",
        (".mp4", ".mov", ".mkv"),
        {(8, False): "yuv420p", (10, False): "yuv420p10le"},
        {"x265-params": "log-level=error"},
        crf=18.0,
        has_presets=True,
        keeps_range=True,
        tags={".mp4": "hvc1", ".mov": "hvc1"},  # what Apple's players ask for
    ),
    VideoFormat(
        "h265-lossless",
        "libx265",
        (".mp4", ".mov", ".mkv"),
        {(8, False): "yuv444p", (10, False): "yuv444p10le"},
        {"x265-params": "lossless=1:log-level=error"},
        has_presets=True,
        keeps_range=True,
        plate_formats=frozenset(
            f"yuv{chroma}p{bits}" for chroma in ("420", "422", "444") for bits in ("", "10le")
        ),
        tags={".mp4": "hvc1", ".mov": "hvc1"},
    ),
    VideoFormat(
        "av1",
        "libsvtav1",
        (".mp4", ".mkv"),
        {(8, False): "yuv420p", (10, False): "yuv420p10le"},
        crf=20.0,
        has_presets=True,
        keeps_range=True,
        smallest_hw=(64, 64),
    ),
    VideoFormat(
        "lossless",
        "libx264rgb",
        (".mp4", ".mov", ".mkv"),
        {(8, False): "rgb24"},
        {"qp": "0"},
        has_presets=True,
        is_lossless=True,
    ),
    VideoFormat(
        "prores-hq",
        "prores_ks",
        (".mov", ".mkv"),
        {(10, False): "yuv422p10le"},
        {"profile": "hq", "vendor": "apl0"},
    ),
    VideoFormat(
        "prores-4444",
        "prores_ks",
        (".mov", ".mkv"),
        {(10, False): "yuv444p10le", (10, True): "yuva444p10le"},
        {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"},
    ),
    VideoFormat(
        "dnxhr",
        "dnxhd",
        (".mov",),
        {(8, False): "yuv422p", (10, False): "yuv422p10le"},
        smallest_hw=(120, 256),
    ),
    VideoFormat(
        "ffv1",
        "ffv1",
        (".mkv", ".avi"),
        {
            (8, False): "bgr0",
            (8, True): "bgra",
            (16, False): "rgb48le",
            (16, True): "rgba64le",
        },
        {"level": "3", "slicecrc": "1", "g": "1"},
        is_lossless=True,
    ),
)

VIDEO_FORMATS: dict[str, VideoFormat] = {one.name: one for one in _ALL}


def video_format(name: str, out: Path) -> VideoFormat:
    """The format called `name`, if a file named like `out` can hold it.

    Raises:
        OptionError: there is none, the ending is unknown, or it can't hold the format.
    """
    if name not in VIDEO_FORMATS:
        raise OptionError(
            "format",
            expected=f"one of {', '.join(VIDEO_FORMATS)}",
            found=repr(name),
            remedy="Use one of these names.",
        )
    chosen, ending = VIDEO_FORMATS[name], out.suffix.lower()
    if ending not in CONTAINERS:
        raise OptionError(
            out,
            expected="a name ending in " + ", ".join(CONTAINERS),
            found=repr(out.suffix),
            remedy="Change the ending.",
        )
    if ending not in chosen.endings:
        holding = [each.name for each in _ALL if ending in each.endings]
        raise OptionError(
            out,
            expected=f"{' or '.join(chosen.endings)} for {name}",
            found=repr(out.suffix),
            remedy=f"Change the ending, or the format: {ending} holds {', '.join(holding)}.",
        )
    return chosen


def stored_depth(
    chosen: VideoFormat, asked: int | None, *, is_deep: bool, is_hdr: bool = False
) -> int:
    """Bits per channel to store: what was asked for, or what keeps most of the pictures.

    H.264 stays at 8 bits, which alone play everywhere, unless the picture is HDR.

    Raises:
        OptionError: the format can't hold that many, or would lose bits though it is lossless.
    """
    if asked is not None:
        return checked_depth(chosen.name, chosen.depths, asked)
    if is_deep and chosen.is_lossless and max(chosen.depths) < 16:
        raise OptionError(
            chosen.name,
            expected="pictures of 8 bits, all it can hold",
            found="pictures of 16 bits",
            remedy="Use --format ffv1, which keeps them all, or add --bit-depth 8.",
        )
    if is_hdr or (is_deep and chosen is not _H264):
        return max(chosen.depths)
    return min(chosen.depths)


def depths_of(kinds: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """Bits per channel that are among (bits, ...), fewest first."""
    return tuple(sorted({depth for depth, _ in kinds}))


def checked_depth(name: str, depths: tuple[int, ...], asked: int) -> int:
    """The depth asked for.

    Raises:
        OptionError: the format can't hold that many bits.
    """
    if asked not in depths:
        raise OptionError(
            "--bit-depth",
            expected=f"{' or '.join(map(str, depths))} for {name}",
            found=str(asked),
            remedy="Choose another depth or another --format.",
        )
    return asked
