"""A setting is checked, and what can't change says why."""

import pytest

from understudy.errors import OptionError
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.setting import changed, told_of


def test_a_value_is_converted_and_checked() -> None:
    said = {"key": "--batch-size", "value": "8"}
    assert changed(TrainOptions(), said) == {"batch_size": 8}
    said = {"values": {"random_warp": False, "gan-power": "0.1", "clipgrad": "on"}}
    assert changed(TrainOptions(), said) == {
        "random_warp": False,
        "gan_power": 0.1,
        "clipgrad": True,
    }


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
        changed(TrainOptions(), {"values": {"clipgrad": True, key: value}})


@pytest.mark.parametrize("said", [{}, {"key": "batch_size"}, {"values": {}}, {"values": [1]}])
def test_a_setting_without_key_or_value_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="an option and its value"):
        changed(TrainOptions(), said)


def test_faces_for_previews_are_named_one_way_or_another() -> None:
    for value in ("a.jpg, b.jpg", ["a.jpg", "b.jpg"], ("a.jpg", "", "b.jpg ")):
        found = changed(TrainOptions(), {"key": "preview-src", "value": value})
        assert found == {"preview_src": ("a.jpg", "b.jpg")}
        assert told_of(found) == "preview_src is a.jpg, b.jpg"
    found = changed(TrainOptions(preview_src=("a",)), {"key": "preview-src", "value": ""})
    assert (found, told_of(found)) == ({"preview_src": ()}, "preview_src is nothing")
    with pytest.raises(OptionError):
        changed(TrainOptions(), {"key": "preview-src", "value": 7})
