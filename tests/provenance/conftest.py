"""Small real clips with sound, and a home folder of its own for every test."""

from pathlib import Path

import av
import numpy as np
import pytest


def write_clip(path: Path, *, seed: int = 1, video: str = "libx264", audio: str = "aac") -> Path:
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        picture = container.add_stream(video, rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(audio, rate=48000)
        for index in range(8):
            pixels = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = index
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        wave = (rng.standard_normal((1, 15360)) * 0.1).astype(np.float32)
        samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        samples.sample_rate, samples.pts = 48000, 0
        container.mux(sound.encode(samples))
        container.mux(sound.encode())
    return path


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's data folder of this test."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("UNDERSTUDY_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `plate.mp4`, `src.mkv`, `film.mp4`, `film.mov` and `film.mkv`; read only."""
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "plate.mp4", seed=1)
    write_clip(folder / "src.mkv", seed=2)
    for ending in ("mp4", "mov", "mkv"):
        write_clip(folder / f"film.{ending}", seed=3)
    return folder
