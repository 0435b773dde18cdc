"""Settings: described, bounded, checked; and what a DFL config becomes."""

import numpy as np
import pytest

from understudy.errors import OptionError
from understudy.merging.settings import MergeSettings, from_dfl
from understudy.options import group_of, parse
from understudy.types import FaceType

INTERACTIVE_START = {
    "mode": "overlay",
    "masked_hist_match": True,
    "hist_match_threshold": 238,
    "mask_mode": 4,
    "erode_mask_modifier": 0,
    "blur_mask_modifier": 0,
    "motion_blur_power": 0,
    "output_face_scale": 0,
    "super_resolution_power": 0,
    "color_transfer_mode": 1,
    "image_denoise_power": 0,
    "bicubic_degrade_power": 0,
    "color_degrade_power": 0,
    "sharpen_mode": 0,
    "blursharpen_amount": 0,
}


def test_every_control_is_described():
    for name, field in MergeSettings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert group_of(field), name


def test_choices_are_in_the_schema():
    properties = MergeSettings.model_json_schema()["properties"]
    assert "rct" in properties["color_transfer"]["enum"]
    assert "learned-prd*learned-dst" in properties["mask_mode"]["enum"]
    assert len(properties["mask_mode"]["enum"]) == 10
    assert properties["mode"]["enum"] == [
        *("original", "overlay", "hist-match", "seamless", "seamless-hist-match"),
        *("raw-rgb", "raw-predict"),
    ]


def test_the_defaults_are_dfls_start_values_but_for_the_edge():
    start = MergeSettings(dfl_parity=True, blur_mask=0, degrade="plate")
    assert from_dfl({}) == start
    assert from_dfl(INTERACTIVE_START) == start.model_copy(update={"hist_match_threshold": 238})


def test_every_control_of_a_config_is_read():
    config = INTERACTIVE_START | {
        "mode": "seamless-hist-match",
        "masked_hist_match": False,
        "mask_mode": 9,
        "motion_blur_power": 3,
        "super_resolution_power": 4,
        "color_transfer_mode": 8,
        "image_denoise_power": 5,
        "bicubic_degrade_power": 6,
        "color_degrade_power": 7,
        "sharpen_mode": 2,
        "blursharpen_amount": -8,
    }
    settings = from_dfl(config)
    assert settings.mode == "seamless-hist-match"
    assert not settings.masked_hist_match
    assert settings.mask_mode == "learned-prd*learned-dst*XSeg-prd*XSeg-dst"
    assert settings.color_transfer == "mix-m"
    assert settings.sharpen_mode == "gaussian"
    numbers = (
        *(settings.motion_blur, settings.super_resolution, settings.denoise),
        *(settings.bicubic_degrade, settings.color_degrade, settings.sharpen_amount),
    )
    assert numbers == (3, 4, 5, 6, 7, -8)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("mode", "seamles", "raw-rgb"),
        ("mask_mode", "learned", "learned-prd"),
        ("color_transfer", 3, "string"),
        ("erode_mask", 401, "400"),
        ("blur_mask", -1, "0"),
        ("face_scale", 101, "100"),
        ("blur", 3, "blur_mask"),
    ],
)
def test_wrong_values_are_told(name, value, told):
    with pytest.raises(OptionError, match=told):
        parse(MergeSettings, {name: value})


def test_numbers_and_names_of_a_config_are_read():
    settings = from_dfl(
        {
            "mode": "raw-rgb",
            "mask_mode": np.int64(5),
            "erode_mask_modifier": np.int32(-20),
            "blur_mask_modifier": 33,
            "color_transfer_mode": "mkl-m",
            "face_type": 10,
            "resolution": 128,
        }
    )
    assert settings.mode == "raw-rgb"
    assert settings.mask_mode == "learned-prd+learned-dst"
    assert (settings.erode_mask, settings.blur_mask) == (-20, 33)
    assert settings.color_transfer == "mkl-m"
    assert settings.face_type is FaceType.HEAD
    assert settings.resolution == 128
    assert settings.dfl_parity


@pytest.mark.parametrize(("dfl", "ours"), [(-50, 100.0), (0, 0.0), (50, -100 / 3)])
def test_a_positive_scale_of_dfl_makes_the_face_smaller(dfl, ours):
    assert from_dfl({"output_face_scale": dfl}).face_scale == pytest.approx(ours)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mode", "seemless"),
        ("mask_mode", 10),
        ("color_transfer_mode", 9),
        ("sharpen_mode", 3),
        ("face_type", 7),
        ("face_type", "big_face"),
    ],
)
def test_what_dfl_does_not_know_is_named(key, value):
    with pytest.raises(OptionError, match=key):
        from_dfl(INTERACTIVE_START | {key: value})
