"""Tiny clips made on the spot. Each frame carries its number as black and white blocks."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

BITS = 6
BLOCK = 16
HEIGHT, WIDTH = 48, BITS * BLOCK


def numbered(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Grey picture whose upper blocks spell `number` in binary, lowest bit on the left."""
    picture = np.full((height, width, 3), 96, np.uint8)
    for bit in range(BITS):
        picture[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 235 if number >> bit & 1 else 20
    picture[BLOCK : 2 * BLOCK] = (70 + 40 * (number % 3), 120, 160 - 3 * number)
    return picture


def number_of(picture: np.ndarray) -> int:
    """The number a picture carries."""
    scale = 1 if picture.dtype == np.uint8 else 257
    columns = picture[2 : BLOCK - 2, : BITS * BLOCK].mean((0, 2)) / scale
    blocks = columns.reshape(BITS, BLOCK)[:, 2:-2].mean(1)
    return sum(1 << bit for bit in range(BITS) if blocks[bit] > 128)


@pytest.fixture(scope="session", name="numbered")
def numbered_fixture() -> Callable[..., np.ndarray]:
    return numbered


@pytest.fixture(scope="session", name="number_of")
def number_of_fixture() -> Callable[[np.ndarray], int]:
    return number_of


@pytest.fixture(scope="session", name="sound_packets")
def sound_packets_fixture() -> Callable[[Path], list[list[tuple[bytes, float]]]]:
    return sound_packets


Clip = Callable[..., Path]


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """Maker of clips: `clip("a.mp4", num=20, rate=Fraction(30000, 1001), ...)`."""

    def make(name: str, **settings: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, **settings)
        return path

    return make


def write_clip(
    path: Path,
    *,
    num: int = 12,
    rate: Fraction = Fraction(25),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    ticks: Iterable[int] | None = None,
    time_base: Fraction | None = None,
    rotation: int = 0,
    sound: str | None = None,
    sound_start: Fraction = Fraction(0),
    sound_seconds: float = 1.0,
    sound_tracks: int = 1,
    picture: Callable[[int], np.ndarray] = numbered,
    tags: dict[str, int] | None = None,
    matrix: int = 5,
    full_range: bool = False,
) -> None:
    """Write a clip with plain PyAV, in nothing like the way the program does."""
    first = picture(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = time_base or 1 / rate
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        tracks = [
            container.add_stream(sound, rate=48000) for _ in range(sound_tracks if sound else 0)
        ]
        stamps = list(ticks) if ticks is not None else list(range(num))
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24").reformat(
                format=pixel_format,
                src_colorspace=matrix,
                dst_colorspace=matrix,
                src_color_range=2,
                dst_color_range=2 if full_range else 1,
            )
            frame.pts, frame.time_base = stamp, time_base or 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for number, track in enumerate(tracks):
            _write_tone(container, track, 440 * (number + 1), sound_start, sound_seconds)


def _write_tone(container: Any, track: Any, hertz: int, start: Fraction, seconds: float) -> None:
    rate, size = 48000, 1152
    first = round(start * rate)
    for offset in range(0, int(seconds * rate), size):
        phase = (np.arange(size) + offset) * (2 * np.pi * hertz / rate)
        samples = (np.sin(phase) * 8000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(
            np.repeat(samples, 2)[None], format="s16", layout="stereo"
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, first + offset, Fraction(1, rate)
        container.mux(track.encode(frame))
    container.mux(track.encode(None))


def sound_packets(path: Path) -> list[list[tuple[bytes, float]]]:
    """Payload and moment of every sound packet, by track."""
    with av.open(str(path)) as container:
        tracks: dict[int, list[tuple[bytes, float]]] = {
            s.index: [] for s in container.streams.audio
        }
        if tracks:
            for packet in container.demux(*container.streams.audio):
                if packet.size:
                    time = float(packet.pts * packet.time_base)
                    tracks[packet.stream.index].append((bytes(packet), time))
        return list(tracks.values())


@pytest.fixture
def small_files() -> Callable[[int], Any]:
    """Makes every write past `limit` bytes of a file fail as on a full disk, for a while."""
    resource = pytest.importorskip("resource")

    @contextlib.contextmanager
    def limited(limit: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited
