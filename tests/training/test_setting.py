"""A setting is checked, and what can't change says why."""

import pytest

from understudy.errors import OptionError
from understudy.training.options import TrainOptions
from understudy.training.setting import changed


def test_a_value_is_converted_and_checked() -> None:
    assert changed(TrainOptions(), "--batch-size", "8") == ("batch_size", 8)
    assert changed(TrainOptions(), "random_warp", value=False) == ("random_warp", False)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("resolution", 128, "fixes the shape of the weights"),
        ("seed", 3, "every draw of the run follows from it"),
        ("colour", 3, r"is no option.*batch_size"),
        ("batch_size", 0, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_set_says_why(key: str, value: object, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        changed(TrainOptions(), key, value)
