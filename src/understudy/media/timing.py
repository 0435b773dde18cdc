"""When each frame of a clip is shown: one exact rate, or the moments themselves.

Moments measured by a decoder in, a `Timing` out, which turns into JSON and back without losing a
tick. Knows nothing of files or pixels.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

FALLBACK_RATE = Fraction(25)

_COMMON_RATES = tuple(
    Fraction(n, d)
    for n, d in (
        *((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1)),
        *((48, 1), (50, 1), (60000, 1001), (60, 1), (12, 1), (15, 1), (10, 1)),
    )
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Moments of `count` frames.

    `rate` is exact when `ticks` is None, and the mean rate otherwise; `ticks` are the moments after
    the first frame in units of `time_base` seconds. `start` is the first frame's moment on the
    clip's own clock: the sound counts from the same zero.
    """

    rate: Fraction
    count: int
    time_base: Fraction
    start: Fraction = Fraction(0)
    ticks: tuple[int, ...] | None = None

    @property
    def is_constant(self) -> bool:
        """Whether every frame lasts equally long."""
        return self.ticks is None

    @property
    def times(self) -> tuple[Fraction, ...]:
        """Seconds after the first frame, one per frame."""
        if self.ticks is None:
            return tuple(index / self.rate for index in range(self.count))
        return tuple(tick * self.time_base for tick in self.ticks)

    def to_json(self) -> dict[str, Any]:
        """JSON form; fractions are text like "30000/1001"."""
        return {
            "rate": str(self.rate),
            "count": self.count,
            "time_base": str(self.time_base),
            "start": str(self.start),
            "ticks": None if self.ticks is None else list(self.ticks),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Timing":
        """Inverse of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: it is not that form.
        """
        ticks = value["ticks"]
        return cls(
            rate=Fraction(value["rate"]),
            count=int(value["count"]),
            time_base=Fraction(value["time_base"]),
            start=Fraction(value["start"]),
            ticks=None if ticks is None else tuple(int(tick) for tick in ticks),
        )


def fit_timing(
    times: Sequence[Fraction], *, time_base: Fraction, hints: Iterable[Fraction | None] = ()
) -> Timing:
    """The exact rate that explains all moments to one tick of the clip's clock, or the moments.

    Containers round moments to their clock (Matroska to a millisecond), so a constant rate shows
    as uneven steps; `hints` are the rates the file states.
    """
    count = len(times)
    start = times[0] if times else Fraction(0)
    relative = [time - start for time in times]
    candidates = [rate for rate in hints if rate is not None and rate > 0]
    if count < 2:
        return Timing((*candidates, FALLBACK_RATE)[0], count, time_base, start)
    mean = (count - 1) / relative[-1]
    exact = max(mean.limit_denominator(1001), Fraction(1, 1001))
    for rate in (*candidates, *_COMMON_RATES, exact):
        # A tick longer than a tenth of a frame explains anything: not evidence of a rate.
        slack = min(time_base, 1 / (10 * rate))
        if abs(relative[-1] - (count - 1) / rate) <= slack and all(
            abs(time - index / rate) <= slack for index, time in enumerate(relative)
        ):
            return Timing(rate, count, time_base, start)
    ticks = [0]
    for time in relative[1:]:  # moments made up for frames without one may share a tick
        ticks.append(max(round(time / time_base), ticks[-1] + 1))
    mean = max(mean.limit_denominator(100_000), Fraction(1, 100_000))
    return Timing(mean, count, time_base, start, tuple(ticks))


def later_timecode(timecode: str, frames: int, rate: Fraction) -> str:
    """Timecode of the picture `frames` after that of `timecode`; wraps around at midnight."""
    hours, minutes, seconds, first = (int(part) for part in re.split("[:;.]", timecode))
    nominal = math.ceil(rate)
    count = ((hours * 60 + minutes) * 60 + seconds) * nominal + first
    dropped = nominal // 15 if ";" in timecode else 0  # numbers left out of nine minutes of ten
    if dropped:
        whole = hours * 60 + minutes
        count -= dropped * (whole - whole // 10)
    per_minute, per_ten = 60 * nominal - dropped, 600 * nominal - 9 * dropped
    count = (count + frames) % (144 * per_ten)
    if dropped:
        tens, rest = divmod(count, per_ten)
        count += dropped * (9 * tens + max(0, (rest - dropped) // per_minute))
    seconds, first = divmod(count, nominal)
    mark = ";" if dropped else ":"
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{first:02d}"


def timecode_fault(timecode: str, rate: Fraction) -> str:
    """Why film at that rate can't carry this timecode, in words; empty if it can."""
    if ";" in timecode and rate not in (Fraction(30000, 1001), Fraction(60000, 1001)):
        return f"drop-frame counts (a ; before the frames) at {rate} frames per second"
    hours, minutes, seconds, frames = (int(part) for part in re.split("[:;.]", timecode))
    if hours > 23 or minutes > 59 or seconds > 59 or frames >= rate:
        return f"{timecode}, which is no time of day at {rate} frames per second"
    return ""
