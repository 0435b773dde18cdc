"""Settings along a clip: numbers go over evenly, choices and shots hold."""

import pytest

from understudy.merging.keyframes import between, settings_along
from understudy.merging.settings import MergeSettings

LOW = MergeSettings(blur_mask=10, erode_mask=-4, mode="overlay", hist_match_threshold=200)
HIGH = MergeSettings(blur_mask=30, erode_mask=4, mode="seamless", hist_match_threshold=250)


def blurs(settings: list[MergeSettings]) -> list[float]:
    return [one.blur_mask for one in settings]


def test_one_keyframe_holds_everywhere():
    assert settings_along({3: LOW}, 5) == [LOW] * 5


def test_numbers_go_over_and_choices_hold():
    found = settings_along({1: LOW, 5: HIGH}, 7)
    assert blurs(found) == [10, 10, 15, 20, 25, 30, 30]
    assert [one.mode for one in found] == ["overlay"] * 5 + ["seamless"] * 2
    assert [one.hist_match_threshold for one in found] == [200, 200, 212, 225, 238, 250, 250]
    assert found[0] == LOW
    assert found[5] == found[6] == HIGH


def test_nothing_goes_over_a_cut():
    found = settings_along({1: LOW, 5: HIGH}, 7, cuts=[3])
    assert blurs(found) == [10, 10, 10, 30, 30, 30, 30]


def test_a_shot_without_keyframes_goes_on_with_what_held():
    found = settings_along({0: LOW, 2: HIGH, 7: LOW}, 8, cuts=[3, 6])
    assert blurs(found) == [10, 20, 30, 30, 30, 30, 10, 10]


def test_a_shot_before_the_first_keyframe_has_its_values():
    assert blurs(settings_along({4: HIGH}, 6, cuts=[3])) == [30] * 6


def test_switches_and_what_the_model_is_do_not_go_over():
    first = MergeSettings(masked_hist_match=True, resolution=64)
    second = MergeSettings(masked_hist_match=False, resolution=128, morph=0.0)
    half = between(first, second, 0.5)
    assert (half.masked_hist_match, half.resolution, half.morph) == (True, 64, 0.5)


def test_none_at_all_is_refused():
    with pytest.raises(ValueError, match="keyframe"):
        settings_along({}, 3)
