"""Very short clips with one face each, cut from the demo's."""

from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2

from understudy.media.encode import Sound, encode_video
from understudy.media.video import decode_frames
from understudy.steps.demo import CLIPS


def short_clip(name: str, count: int, out: Path) -> Path:
    """Every fourth frame of a demo clip, 256 pixels wide, with its sound."""
    frames = islice(decode_frames(CLIPS / f"{name}.mp4"), 0, 4 * count, 4)
    small = (cv2.resize(f.pixels, (256, 256), interpolation=cv2.INTER_AREA) for f in frames)
    encode_video(small, out, timing=Fraction(30000, 1001), sound=Sound(CLIPS / f"{name}.mp4"))
    return out
