"""Settings that change along a clip: set at some frames, between them numbers go over evenly.

Keyframes and the places of cuts in, the settings of each frame out. Knows no files. Within a shot a
number goes in a straight line from one keyframe to the next and a choice is held until the next;
before a shot's first keyframe its values hold already. A shot without any goes on with what held
before it.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from understudy.merging.settings import MergeSettings

_HELD = frozenset({"resolution", "dfl_parity"})
"""What is a number or a switch by its type, but nothing to go over from one to another."""


def settings_along(
    keyframes: Mapping[int, MergeSettings], count: int, *, cuts: Sequence[int] = ()
) -> list[MergeSettings]:
    """Settings of `count` frames; `keyframes` by place, `cuts` are places where shots begin.

    Raises:
        ValueError: there is no keyframe.
    """
    if not keyframes:
        raise ValueError("settings along a clip need a keyframe")
    starts = sorted({0, *(cut for cut in cuts if 0 < cut < count)})
    ends = [*starts[1:], count]
    found: list[MergeSettings] = []
    held = keyframes[min(keyframes)]
    for start, end in zip(starts, ends, strict=True):
        places = sorted(place for place in keyframes if start <= place < end)
        if not places:
            found += [held] * (end - start)
            continue
        found += [_at(place, places, keyframes) for place in range(start, end)]
        held = keyframes[places[-1]]
    return found


def _at(place: int, places: Sequence[int], keyframes: Mapping[int, MergeSettings]) -> MergeSettings:
    after = bisect_right(places, place)
    if after == 0:
        return keyframes[places[0]]
    before = keyframes[places[after - 1]]
    if after == len(places) or place == places[after - 1]:
        return before
    share = (place - places[after - 1]) / (places[after] - places[after - 1])
    return between(before, keyframes[places[after]], share)


def between(first: MergeSettings, second: MergeSettings, share: float) -> MergeSettings:
    """`first` with its numbers `share` of the way to those of `second`."""
    changed: dict[str, Any] = {}
    for name in MergeSettings.model_fields:
        one, other = getattr(first, name), getattr(second, name)
        if one == other or name in _HELD or isinstance(one, bool | str):
            continue
        value = one + (other - one) * share
        changed[name] = round(value) if isinstance(one, int) else value
    return first.model_copy(update=changed)
