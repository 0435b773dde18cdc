"""The plate's own samples for what nobody changed.

A plate has its colours as YUV, at half the resolution or less; its frames on disk are RGB. Turned
back, they would be near the plate's samples, not equal. The clip's frames in, in the order of the
pictures; planes for the encoder out, which are the plate's wherever picture and plate are equal.
"""

from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame

from understudy.media.clip import raw_frames, video_stream
from understudy.media.color_tags import completed, tags_from_numbers
from understudy.media.conversion import Orientation, orientation, to_rgb
from understudy.media.stored_frames import Stored, fill_plane, read_plane

_FULL = 2


class PlateSamples:
    """Walks through the plate beside the pictures; `frames` counts those it had samples for."""

    def __init__(self, container: InputContainer, path: Path) -> None:
        self._frames = raw_frames(container, video_stream(container, path), path)
        self._first = next(self._frames, None)
        self.frames = 0

    @property
    def pixel_format(self) -> str | None:
        """How the plate stores its pictures."""
        return None if self._first is None else _plain(self._first)

    def put_into(self, frame: VideoFrame, picture: Stored, *, matrix: str, is_full: bool) -> None:
        """Replace the samples of `frame`, made of the next `picture`, that are the plate's."""
        plate = self._first or next(self._frames, None)
        self._first = None
        if plate is None or not _fits(plate, frame, matrix=matrix, is_full=is_full):
            return
        shown = to_rgb(plate, threads=0)
        if shown.dtype != picture.dtype or shown.shape[:2] != picture.shape[:2]:
            return
        changed = (shown != picture[..., :3]).any(axis=2)
        kind = np.uint8 if shown.dtype == np.uint8 else np.uint16
        for own, made in zip(plate.planes, frame.planes, strict=False):  # a matte has no plate
            samples = read_plane(made, kind).copy()
            kept = ~_shrunk(changed, (own.height, own.width))
            samples[kept] = read_plane(own, kind)[kept]
            fill_plane(made, samples)
        self.frames += 1


def _plain(frame: VideoFrame) -> str:
    return frame.format.name.replace("yuvj", "yuv")  # the older name of the full range


def _fits(plate: VideoFrame, frame: VideoFrame, *, matrix: str, is_full: bool) -> bool:
    """Whether both mean the same by their samples."""
    tags = tags_from_numbers(primaries=2, transfer=2, matrix=plate.colorspace, range_=0)
    return (
        _plain(plate) == frame.format.name.replace("yuva", "yuv")
        and not plate.format.is_rgb
        and (plate.height, plate.width) == (frame.height, frame.width)
        and orientation(plate) == Orientation()
        and completed(tags, height=plate.height).matrix == matrix
        and (plate.color_range == _FULL or plate.format.name.startswith("yuvj")) == is_full
    )


def _shrunk(changed: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """Which samples of a plane stand for a changed pixel."""
    steps = [-(-full // part) for full, part in zip(changed.shape, shape_hw, strict=True)]
    padding = [(0, p * s - f) for f, p, s in zip(changed.shape, shape_hw, steps, strict=True)]
    padded = np.pad(changed, padding)
    parts = padded.reshape(shape_hw[0], steps[0], shape_hw[1], steps[1])
    return np.asarray(parts.any(axis=(1, 3)))
