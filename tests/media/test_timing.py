"""An exact rate is found through the rounding of any container's clock, and never invented."""

import json
from fractions import Fraction
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.media.timing import Timing, fit_timing

MILLISECOND = Fraction(1, 1000)
RATES = [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(25), Fraction(60000, 1001)]


def rounded(rate: Fraction, count: int, base: Fraction, start: Fraction) -> list[Fraction]:
    return [round((start + index / rate) / base) * base for index in range(count)]


@given(
    st.sampled_from(RATES),
    st.integers(2, 400),
    st.sampled_from([MILLISECOND, Fraction(1, 90000), Fraction(1, 12800)]),
    st.fractions(0, 5, max_denominator=1000),
)
def test_stated_rate_is_confirmed_through_rounding(
    rate: Fraction, count: int, base: Fraction, start: Fraction
) -> None:
    times = rounded(rate, count, base, start)
    timing = fit_timing(times, time_base=base, hints=(rate,))
    assert timing.is_constant
    assert timing.rate == rate
    assert timing.count == len(timing.times) == count
    assert timing.start == times[0]


def test_wrong_hints_are_not_believed() -> None:
    times = rounded(Fraction(30000, 1001), 400, MILLISECOND, Fraction(0))
    timing = fit_timing(times, time_base=MILLISECOND, hints=(Fraction(30), Fraction(50), None))
    assert timing.rate == Fraction(30000, 1001)
    assert timing.is_constant


def test_uncommon_rate_is_found() -> None:
    times = rounded(Fraction(13), 100, Fraction(1, 90000), Fraction(0))
    assert fit_timing(times, time_base=Fraction(1, 90000)).rate == 13


def test_a_dropped_frame_keeps_its_gap() -> None:
    times = rounded(Fraction(30), 60, MILLISECOND, Fraction(0))
    del times[17]
    timing = fit_timing(times, time_base=MILLISECOND, hints=(Fraction(30),))
    assert not timing.is_constant
    assert list(timing.times) == times


@given(st.lists(st.integers(1, 500), min_size=1, max_size=50), st.integers(0, 1000))
def test_moments_and_json_lose_nothing(steps: list[int], start: int) -> None:
    ticks = [start]
    for step in steps:
        ticks.append(ticks[-1] + step)
    base = Fraction(1, 600)
    timing = fit_timing([tick * base for tick in ticks], time_base=base)
    if not timing.is_constant:
        assert [time + timing.start for time in timing.times] == [tick * base for tick in ticks]
    assert Timing.from_json(json.loads(json.dumps(timing.to_json()))) == timing


@pytest.mark.parametrize("times", [[], [Fraction(3)]])
def test_too_few_frames_take_the_stated_rate(times: list[Fraction]) -> None:
    timing = fit_timing(times, time_base=MILLISECOND, hints=(None, Fraction(24)))
    assert (timing.rate, timing.count, timing.is_constant) == (24, len(times), True)
    assert fit_timing(times, time_base=MILLISECOND).rate > 0


@given(
    st.lists(st.fractions(Fraction(1, 10**6), 10**9), min_size=1, max_size=20),
    st.sampled_from([MILLISECOND, Fraction(1, 90000), Fraction(1)]),
)
def test_any_gap_gives_moments_that_an_encoder_takes(steps: list[Fraction], base: Fraction) -> None:
    timing = fit_timing(list(accumulate(steps, initial=Fraction(0))), time_base=base)
    assert timing.rate > 0
    if timing.ticks is not None:
        assert all(before < after for before, after in pairwise(timing.ticks))
