"""Over an hour, sound and picture of every container stay within a frame of each other."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from understudy.media.encode import Sound, encode_video
from understudy.media.timing import Timing

RATE = Fraction(30000, 1001)
SOUND_RATE = 48000
HOUR = 3600
BEEP_EVERY = 600


def write_sound(path: Path, codec: str) -> None:
    """An hour of silence with a beep in every ten minutes."""
    with av.open(str(path), "w") as container:
        track = container.add_stream(codec, rate=SOUND_RATE, layout="mono")
        size = 4800
        for place in range(0, HOUR * SOUND_RATE, size):
            second = place / SOUND_RATE
            loud = 4.95 < second % BEEP_EVERY < 5.05  # not at 0, where encoders have their run-up
            wave = np.zeros((1, size), np.float32)
            if loud:
                wave[0] = 0.5 * np.sin(np.arange(size) * (2 * np.pi * 1000 / SOUND_RATE))
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = SOUND_RATE, place
            container.mux(track.encode(frame))
        container.mux(track.encode(None))


def beeps(path: Path) -> list[float]:
    """Seconds at which it becomes loud."""
    found: list[float] = []
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            samples = np.abs(frame.to_ndarray().astype(np.float32)).max(axis=0)
            if samples.max() > 0.2:
                first = int(np.argmax(samples > 0.2))
                moment = float(frame.pts * frame.time_base) + first / frame.sample_rate
                if not found or moment - found[-1] > 1:
                    found.append(moment)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("source", "codec"), [("sound.mka", "aac")])
@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_an_hour_stays_in_step(source: str, codec: str, ending: str, tmp_path: Path) -> None:
    """Frames are few and far between, at the moments that frames of 29.97 fps have."""
    sound = tmp_path / source
    write_sound(sound, codec)
    numbers = [round(second * RATE) for second in range(0, HOUR, 10)]
    timing = Timing(RATE, len(numbers), 1 / RATE, ticks=tuple(numbers))
    out = tmp_path / f"film{ending}"
    pictures = (np.full((16, 16, 3), 40 + n % 160, np.uint8) for n in range(len(numbers)))
    encode_video(pictures, out, timing=timing, sound=Sound(sound), preset="ultrafast")
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        moments = [float(frame.pts * stream.time_base) for frame in container.decode(stream)]
    frame = float(1 / RATE)
    wanted = [number * frame for number in numbers]
    assert max(abs(a - b) for a, b in zip(moments, wanted, strict=True)) < 0.001
    before, after = beeps(sound), beeps(out)
    assert len(before) == len(after) == HOUR // BEEP_EVERY
    drift = [new - old for old, new in zip(before, after, strict=True)]
    assert max(map(abs, drift)) < frame / 4
