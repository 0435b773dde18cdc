"""A visible label: drawn into pictures, or as a subtitle track of a film.

Words and a corner in; pictures with the words in them, or packets for a container, out. Knows
nothing of why something is labelled.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import SubtitleSet

from understudy.errors import OptionError
from understudy.media.stills import Still

_CODECS = {".mp4": "mov_text", ".mov": "mov_text", ".mkv": "subrip"}
_ALIGNMENTS = {"bottom-left": 1, "bottom-right": 3, "top-left": 7, "top-right": 9}
_TICK = Fraction(1, 1000)
_HEIGHT_SHARE, _LEAST_HEIGHT = 1 / 24, 12
_MARGIN_SHARE, _WIDEST_SHARE = 1 / 40, 0.9
_SHADE = 0.45  # of the plate under the words
_STYLE = """\
[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, \
Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, \
Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,{alignment},10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


@dataclass(frozen=True, slots=True)
class Label:
    """What is to be read, where ("bottom-right" ...), and for how many seconds from the start."""

    text: str
    corner: str
    seconds: int | float


class Stamp:
    """Draws one label into pictures of one size; the words are laid out once."""

    def __init__(self, label: Label, shape_hw: tuple[int, int]) -> None:
        words = _words(label.text, shape_hw)
        height, width = words.shape
        pad = max(2, height // 3)
        margin = round(min(shape_hw) * _MARGIN_SHARE)
        room = [max(1, side - 2 * margin) for side in shape_hw]
        box_hw = (min(height + 2 * pad, room[0]), min(width + 2 * pad, room[1]))
        vertical, horizontal = label.corner.split("-")
        top = margin if vertical == "top" else shape_hw[0] - margin - box_hw[0]
        left = margin if horizontal == "left" else shape_hw[1] - margin - box_hw[1]
        top, left = max(top, 0), max(left, 0)
        self._where = slice(top, top + box_hw[0]), slice(left, left + box_hw[1])
        ink = np.zeros(box_hw, np.float32)
        inner = ink[pad : pad + height, pad : pad + width]
        inner[...] = words[: inner.shape[0], : inner.shape[1]]
        self._ink = ink[..., None]

    def draw(self, picture: Still) -> Still:
        """A copy of the picture with the label in it; alpha stays as it is."""
        is_whole = picture.dtype.kind == "u"
        white = float(np.iinfo(picture.dtype).max) if is_whole else 1.0
        stamped = picture.copy()
        part = stamped[(*self._where, slice(0, 3))]
        shaded = part.astype(np.float32) * (1 - _SHADE)
        inked = shaded + (white - shaded) * self._ink
        part[...] = np.rint(inked) if is_whole else inked
        return stamped


def _words(text: str, shape_hw: tuple[int, int]) -> np.ndarray:
    """The words, 0 to 1, cut close."""
    size = max(_LEAST_HEIGHT, round(shape_hw[0] * _HEIGHT_SHARE))
    while True:
        canvas = np.zeros((3 * size, max(shape_hw[1], 4 * size) * 2, 3), np.uint8)
        face = cv2.FontFace("sans")
        cv2.putText(canvas, text, (size, 2 * size), (255, 255, 255), face, size, 600)
        ink = canvas[..., 0].astype(np.float32) / 255
        rows, columns = np.nonzero(ink.max(axis=1))[0], np.nonzero(ink.max(axis=0))[0]
        if len(rows) == 0:
            return np.zeros((size, 1), np.float32)
        cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        if cut.shape[1] <= _WIDEST_SHARE * shape_hw[1] or size <= _LEAST_HEIGHT // 2:
            return cut
        size = max(_LEAST_HEIGHT // 2, int(size * 0.8))


class SubtitleTrack:
    """A label as a text track of `output`; add it before anything is written there."""

    def __init__(self, output: OutputContainer, label: Label, out: Path) -> None:
        codec = _CODECS.get(out.suffix.lower())
        if codec is None:
            raise OptionError(
                out,
                expected=f"one of {', '.join(_CODECS)} for a label as a subtitle",
                found=out.suffix,
                remedy="Choose another container, or: understudy consent --label-as burned",
            )
        self._label = label
        self._stream = cast(SubtitleStream, output.add_stream(codec))
        self._stream.time_base = _TICK
        self._stream.metadata["title"] = "label"
        context = self._stream.codec_context
        style = _STYLE.format(alignment=_ALIGNMENTS[label.corner])
        context.subtitle_header = style.encode()
        self._context = context

    def packet(self) -> "Packet[SubtitleStream]":
        """The one packet of the track; written first."""
        text = self._label.text.replace("{", "(").replace("}", ")").replace("\\", "/")
        length = max(1, round(self._label.seconds / _TICK))
        shown = SubtitleSet.create(
            text=f"0,0,Default,,0,0,0,,{text}".encode(), start=0, end=length, pts=0
        )
        packet = self._context.encode_subtitle(shown)
        packet.stream, packet.time_base = self._stream, _TICK
        packet.pts = packet.dts = 0
        packet.duration = length
        return packet
