"""Converting to RGB and back leaves the encoder what the decoder gave."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.media.clip import open_clip, raw_frames, video_stream
from understudy.media.color_tags import MATRICES, PRIMARIES, TRANSFERS, completed, tags_from_numbers
from understudy.media.conversion import color_tags, to_rgb
from understudy.media.stored_frames import FrameMaker
from understudy.types import ColorTags


def planes(frame: VideoFrame) -> list[np.ndarray]:
    kind = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    return [
        np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width].astype(float)
        for plane in frame.planes
    ]


def test_film_survives_the_way_through_rgb(shared: Path) -> None:
    """Chroma sited half a pixel beside leaves 0.37 levels, rounding one way a bias of 0.5."""
    path = shared / "media" / "film_tears_of_steel_10s.mp4"
    with open_clip(path) as container:
        stream = video_stream(container, path)
        maker = None
        for index, frame in enumerate(raw_frames(container, stream, path)):
            if index % 40:
                continue
            tags = completed(color_tags(frame, stream), height=frame.height)
            maker = maker or FrameMaker((frame.height, frame.width), tags)
            again = maker.make(to_rgb(frame, threads=1))
            for before, after in zip(planes(frame), planes(again), strict=True):
                assert np.abs(after - before).mean() < 0.1
                assert abs((after - before).mean()) < 0.05


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
def test_levels_are_those_of_the_standard(kind: type, matrix: str) -> None:
    red, blue = {
        "bt709": (0.2126, 0.0722),
        "smpte170m": (0.299, 0.114),
        "bt2020nc": (0.2627, 0.0593),
    }[matrix]
    colors = np.array([(0, 0, 0), (1, 1, 1), (1, 0, 0), (0, 0, 1), (0.2, 0.5, 0.7)])
    bars = np.round(np.repeat(colors[None], 16, 1).repeat(32, 0) * np.iinfo(kind).max).astype(kind)
    frame = FrameMaker((32, 80), ColorTags(matrix=matrix), pixel_format="yuv420p10le").make(bars)
    luma = colors @ (red, 1 - red - blue, blue)
    expected = (
        64 + 876 * luma,
        512 + 896 * (colors[:, 2] - luma) / (2 - 2 * blue),
        512 + 896 * (colors[:, 0] - luma) / (2 - 2 * red),
    )
    y, u, v = planes(frame)
    found = (y[16, 8::16], u[8, 4::8], v[8, 4::8])
    for have, want in zip(found, expected, strict=True):
        assert np.abs(have - want).max() <= 1.5  # of 1023


numbers = st.integers(0, 30)


@given(numbers, numbers, numbers, st.integers(0, 3), st.sampled_from([288, 480, 576, 720, 1080]))
@settings(deadline=None)
def test_completed_tags_can_always_be_written(
    primaries: int, transfer: int, matrix: int, range_: int, height: int
) -> None:
    tags = tags_from_numbers(primaries=primaries, transfer=transfer, matrix=matrix, range_=range_)
    full = completed(tags, height=height)
    assert full.primaries in PRIMARIES
    assert full.transfer in TRANSFERS
    assert full.matrix in MATRICES
    assert full.range in ("tv", "pc")
    assert completed(full, height=height) == full
    if tags.primaries is not None:
        assert full.primaries == tags.primaries


def test_each_flip_and_turn(clip: Any, numbered: Any, tmp_path: Path) -> None:
    stored = numbered(11)
    for degrees in (0, 90, 180, 270):
        for mirrored in (False, True):
            path = tmp_path / f"{degrees}{mirrored}.mov"
            with av.open(str(path), "w") as container:
                stream = container.add_stream("libx264", rate=Fraction(25), options={"crf": "4"})
                stream.height, stream.width = stored.shape[:2]
                stream.set_display_rotation(degrees, hflip=mirrored)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")))
                container.mux(stream.encode(None))
            with open_clip(path) as container:
                frame = next(raw_frames(container, video_stream(container, path), path))
                shown = to_rgb(frame, threads=1)
            upright = np.rot90(stored, degrees // 90)
            upright = upright[:, ::-1] if mirrored else upright
            assert shown.shape == upright.shape
            assert np.abs(shown.astype(int) - upright).mean() < 6
