"""How bright an HDR film was graded: the display it was mastered on, and its brightest pixels.

A decoded frame's side data in, numbers out; these as JSON or as encoders take them. Says nothing
of SDR films, which carry none. Source: SMPTE ST 2086, CTA-861.3.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from av.buffer import Buffer
from av.video.frame import VideoFrame

_CHROMATICITY, _LUMINANCE = 50_000, 10_000  # what ST 2086 counts in


@dataclass(frozen=True, slots=True)
class MasteringLight:
    """`display` is red, green, blue, white (x, y each), then least and most light in cd/m2.

    `most` and `average` are the brightest pixel and the brightest frame's mean in cd/m2. Either is
    None where the film does not say.
    """

    display: tuple[Fraction, ...] | None = None
    content: tuple[int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON form; fractions are text."""
        return {
            "display": None if self.display is None else [str(each) for each in self.display],
            "content": None if self.content is None else list(self.content),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "MasteringLight":
        """Inverse of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: it is not that form.
        """
        display, content = value["display"], value["content"]
        if display is not None and len(display) != 10:
            raise ValueError("a display has four points and two luminances")
        if content is not None:
            most, mean = content
            content = (int(most), int(mean))
        return cls(None if display is None else tuple(map(Fraction, display)), content)

    def encoder_parameters(self, codec: str) -> list[str]:
        """What the encoder of that name has to be told; nothing for one that can't keep it."""
        names = {
            "libx264": ("mastering-display", "cll"),
            "libx265": ("master-display", "max-cll"),
            "libsvtav1": ("mastering-display", "content-light"),
        }
        if codec not in names:
            return []
        told = []
        if self.display is not None:
            told.append(f"{names[codec][0]}={_points(self.display, whole=codec != 'libsvtav1')}")
        if self.content is not None:
            told.append(f"{names[codec][1]}={self.content[0]},{self.content[1]}")
        return told


def _points(display: tuple[Fraction, ...], *, whole: bool) -> str:
    """`G(x,y)B(x,y)R(x,y)WP(x,y)L(most,least)`: in whole units of ST 2086, or as decimals."""

    def pair(first: Fraction, second: Fraction, unit: int) -> str:
        if whole:
            return f"({round(first * unit)},{round(second * unit)})"
        return f"({float(first):.6g},{float(second):.6g})"

    places = {"G": 2, "B": 4, "R": 0, "WP": 6}
    named = [f"{n}{pair(display[i], display[i + 1], _CHROMATICITY)}" for n, i in places.items()]
    return "".join(named) + f"L{pair(display[9], display[8], _LUMINANCE)}"


def mastering_light(frame: VideoFrame) -> MasteringLight | None:
    """What the frame says of it; None if nothing."""
    display, content = None, None
    data = frame.side_data.get("MASTERING_DISPLAY_METADATA")
    if data is not None:
        *parts, has_points, has_luminance = struct.unpack_from("=22i", cast(Buffer, data))
        if has_points and has_luminance and all(parts[1::2]):
            display = tuple(Fraction(n, d) for n, d in zip(parts[::2], parts[1::2], strict=True))
    data = frame.side_data.get("CONTENT_LIGHT_LEVEL")
    if data is not None:
        content = struct.unpack_from("=2I", cast(Buffer, data))
    return None if display is None and content is None else MasteringLight(display, content)
