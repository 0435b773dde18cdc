"""Options there and back: what was not changed comes back as it was, what was changed arrives."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import OptionError
from understudy.models.config import from_dfl_options
from understudy.training.state.dfl_options import dfl_options, plain, train_options

POWERS = {
    "random_hsv_power": 0.3,
    "true_face_power": 1.0,
    "face_style_power": 100.0,
    "bg_style_power": 100.0,
    "gan_power": 5.0,
}
SWITCHES = (
    *("random_src_flip", "random_dst_flip", "masked_training", "eyes_mouth_prio", "uniform_yaw"),
    *("blur_out_mask", "adabelief", "random_warp", "clipgrad", "pretrain", "models_opt_on_gpu"),
)
NUMBERS = st.fixed_dictionaries(
    {
        "resolution": st.sampled_from([64, 128, 320]).map(np.int64),
        "ae_dims": st.integers(32, 1024).map(np.int64),
        "batch_size": st.integers(1, 64),
        "target_iter": st.integers(0, 10**6),
        "autobackup_hour": st.integers(0, 24),
        "gan_patch_size": st.integers(3, 640).map(np.int64),
        "gan_dims": st.integers(4, 512),
    }
)
CHOICES = st.fixed_dictionaries(
    {
        "archi": st.sampled_from(["df", "liae-ud", "df-udt"]),
        "face_type": st.sampled_from(["h", "mf", "f", "wf", "head"]),
        "lr_dropout": st.sampled_from(["n", "y", "cpu"]),
        "ct_mode": st.sampled_from(["none", "rct", "lct", "mkl", "idt", "sot"]),
    }
)
FLOATS = st.fixed_dictionaries(
    {name: st.floats(0, top).map(np.float64) for name, top in POWERS.items()}
)
FLAGS = st.fixed_dictionaries({name: st.booleans() for name in SWITCHES})


@given(NUMBERS, CHOICES, FLOATS, FLAGS)
def test_options_come_back_as_they_were(
    numbers: dict[str, Any], choices: dict[str, Any], floats: dict[str, Any], flags: dict[str, Any]
) -> None:
    given_options = numbers | choices | floats | flags
    config = from_dfl_options("SAEHD", given_options)
    ours = train_options("SAEHD", given_options)
    back = dfl_options(config, ours, plain(given_options))
    assert back.keys() == given_options.keys()
    for key, value in given_options.items():
        assert back[key] == value
        assert type(back[key]) is type(value), key
    # and a model of ours with these options tells DFL the same
    anew = dfl_options(config, ours, {})
    assert train_options("SAEHD", anew) == ours
    assert from_dfl_options("SAEHD", anew) == config


@pytest.mark.parametrize("word", [True, "y", "cpu"])
def test_every_word_for_dropout_is_known(word: object) -> None:
    assert train_options("AMP", {"lr_dropout": word}).lr_dropout
    assert not train_options("AMP", {"lr_dropout": False}).lr_dropout


def test_a_change_made_here_arrives_and_keeps_the_rest() -> None:
    known = {"batch_size": 4, "lr_dropout": "cpu", "gan_power": 0.1, "odd": 3}
    config = from_dfl_options("SAEHD", {"archi": "df-ud"})
    changed = train_options("SAEHD", known).model_copy(update={"batch_size": 6, "gan_power": 0.2})
    back = dfl_options(config, changed, known)
    assert (back["batch_size"], back["gan_power"], back["lr_dropout"], back["odd"]) == (
        6, 0.2, "cpu", 3,
    )  # fmt: skip


def test_quick96_has_its_own_training_and_no_options() -> None:
    ours = train_options("Quick96", {"batch_size": 99})
    assert (ours.batch_size, ours.adabelief, ours.learning_rate) == (4, False, 2e-4)
    assert dfl_options(from_dfl_options("Quick96", {}), ours, {}) == {}


def test_a_value_out_of_range_is_refused() -> None:
    with pytest.raises(OptionError, match="gan-power"):
        train_options("SAEHD", {"gan_power": 50.0})
