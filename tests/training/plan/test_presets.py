"""Presets hold together and are found by name."""

import pytest

from understudy.errors import OptionError
from understudy.models.config import QUICK96
from understudy.training.plan.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_complete(name: str) -> None:
    found = PRESETS[name]
    assert found.summary.endswith(".")
    assert type(found.config).model_validate(found.config.model_dump()) == found.config
    assert type(found.options).model_validate(found.options.model_dump()) == found.options


def test_quick96_is_the_predecessors() -> None:
    found = PRESETS["quick96"]
    assert found.config == QUICK96
    assert (found.options.learning_rate, found.options.adabelief) == (2e-4, False)
    assert found.options.lr_dropout
    assert not found.options.random_dst_flip
    assert found.options.repeat_unwarped == 2


def test_an_unknown_preset_names_the_known() -> None:
    with pytest.raises(OptionError, match=r"demo, quick96, saehd, amp.*'fast'"):
        PRESETS["fast"]
