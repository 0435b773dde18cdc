"""Each control of merging does what it says."""

import numpy as np
import pytest

from made_plate import NETWORKS, Model, disc, landmarks_at, plate_of, tinted
from understudy.merging.merge import merge_into
from understudy.merging.motion import Motion
from understudy.merging.settings import MergeSettings


def merged_levels(plate: np.ndarray, **values: object) -> np.ndarray:
    result, _ = merge_into(
        plate,
        [landmarks_at(80, 60, 50)],
        Model(tinted, disc),
        MergeSettings(color_transfer="none", **values),
        motions=[Motion(12.0, 0.0)],
        networks=NETWORKS,
    )
    return result.astype(np.float64)


def roughness(levels: np.ndarray, axis: int) -> float:
    return float(np.abs(np.diff(levels[45:75, 65:95], axis=axis)).mean())


def test_controls_do_what_they_say():
    plate = plate_of((120, 160))
    plain = merged_levels(plate)
    assert roughness(merged_levels(plate, sharpen_mode="gaussian", sharpen_amount=6), 0) > 1.2 * (
        roughness(plain, 0)
    )
    for values in ({"sharpen_amount": -30}, {"denoise": 300}, {"bicubic_degrade": 60}):
        assert roughness(merged_levels(plate, **values), 0) < 0.9 * roughness(plain, 0)
    smeared = merged_levels(plate, motion_blur=100)
    assert roughness(smeared, 1) < 0.8 * roughness(plain, 1)


@pytest.mark.parametrize("name", ["denoise", "bicubic_degrade", "color_degrade"])
def test_the_plate_is_degraded_only_when_told(name):
    plate = plate_of((120, 160))
    outside = np.s_[:15]
    assert np.array_equal(merged_levels(plate, **{name: 50})[outside], plate[outside])
    both = merged_levels(plate, **{name: 50}, degrade="both")
    assert not np.array_equal(both[outside], plate[outside])
    only = merged_levels(plate, **{name: 50}, degrade="plate")
    assert np.array_equal(only[outside], both[outside])
    middle = np.s_[55:65, 75:85]
    assert np.abs(only[middle] - merged_levels(plate)[middle]).max() <= 1


def test_histograms_and_light_come_from_the_plate():
    plate = plate_of((160, 200))
    middle = np.s_[60:80, 90:110]

    def off(mode: str) -> float:
        result, _ = merge_into(
            plate,
            [landmarks_at(100, 70, 60)],
            Model(tinted, disc),
            MergeSettings(mode=mode, color_transfer="none"),
        )
        return float(np.abs(result[middle].mean((0, 1)) - plate[middle].mean((0, 1))).max())

    assert off("overlay") > 15
    for mode in ("hist-match", "seamless", "seamless-hist-match"):
        assert off(mode) < 8, mode
