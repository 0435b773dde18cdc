"""A label can be read, stays in its corner, and leaves the rest of the picture alone."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from understudy.errors import OptionError
from understudy.media.encode import encode_video
from understudy.media.label import Label, Stamp


@pytest.mark.parametrize("corner", ["top-left", "top-right", "bottom-left", "bottom-right"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_it_stands_in_its_corner(corner: str, channels: int, kind: type) -> None:
    white = np.iinfo(kind).max
    picture = np.full((180, 320, channels), white // 2, kind)
    before = picture.copy()
    stamped = Stamp(Label("AI generated", corner, 0), (180, 320)).draw(picture)
    assert np.array_equal(picture, before)
    changed = (stamped != picture).any(axis=-1)
    rows, columns = np.nonzero(changed)
    vertical, horizontal = corner.split("-")
    assert (rows.max() < 60) if vertical == "top" else (rows.min() > 120)
    assert (columns.max() < 160) if horizontal == "left" else (columns.min() > 160)
    assert stamped[..., :3].max() > 0.97 * white, "the words are white"
    assert 0.01 < changed.mean() < 0.1
    if channels == 4:
        assert np.array_equal(stamped[..., 3], picture[..., 3])


def test_letters_of_many_scripts_and_long_texts() -> None:
    picture = np.full((180, 320, 3), 100, np.uint8)
    drawn = {
        text: Stamp(Label(text, "top-left", 0), (180, 320)).draw(picture).tobytes()
        for text in ("AI 生成", "AI 合成", "Ж", "Q", "word " * 40)
    }
    assert len(set(drawn.values())) == 5
    tiny = np.full((16, 16, 3), 100, np.uint8)
    assert Stamp(Label("AI generated", "bottom-right", 0), (16, 16)).draw(tiny).shape == (16, 16, 3)


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_as_a_subtitle(ending: str, tmp_path: Path) -> None:
    out = tmp_path / f"x{ending}"
    frames = [np.full((48, 64, 3), 5 * n, np.uint8) for n in range(25)]
    label = Label("AI {generated} 生成", "top-right", 0.6)
    encode_video(frames, out, timing=Fraction(25), subtitle=label)
    with av.open(str(out)) as container:
        (stream,) = container.streams.subtitles
        packets = [packet for packet in container.demux(stream) if packet.size]
        words = b"".join(bytes(packet) for packet in packets).decode()
        assert "AI (generated) 生成" in words
        shown = next(packet for packet in packets if "生成" in bytes(packet).decode())
        assert float(shown.pts * shown.time_base) == 0
        assert float(shown.duration * shown.time_base) == pytest.approx(0.6, abs=0.01)
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(container.streams.video[0])) == 25


def test_avi_has_no_subtitles(tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    with pytest.raises(OptionError, match="--label-as burned"):
        encode_video(
            [picture], tmp_path / "x.avi", timing=Fraction(25), subtitle=Label("x", "top-left", 1)
        )
    assert not list(tmp_path.iterdir())
