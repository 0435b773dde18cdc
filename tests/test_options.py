"""Values are checked once, and the complaint fits in a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import OptionError, UnderstudyError
from understudy.models.config import ModelConfig
from understudy.options import parse
from understudy.registry import Registry
from understudy.steps import STEPS
from understudy.training.plan.options import TrainOptions


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"batch_size": 0}, "--batch-size"),
        ({"batch_size": "many"}, "many"),
        ({"sharpness": 3}, "--sharpness"),
        ({"precision": "fp8"}, "fp32"),
    ],
)
def test_wrong_value_is_named(values: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse(TrainOptions, values)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("archi", ["df", "df-ud", "liae-udtc", "df-t"])
def test_architectures_are_known(archi: str) -> None:
    assert parse(ModelConfig, {"archi": archi, "resolution": 128}).archi == archi


@pytest.mark.parametrize("archi", ["df-", "df-uu", "dfx", "", "hd"])
def test_unknown_architecture_is_refused(archi: str) -> None:
    with pytest.raises(OptionError, match="archi"):
        parse(ModelConfig, {"archi": archi})


@given(st.integers(32, 640))
def test_resolution_fits_the_architecture(resolution: int) -> None:
    fits = resolution % 32 == 0
    try:
        parse(ModelConfig, {"archi": "df-d", "resolution": resolution})
    except UnderstudyError:
        assert not fits
    else:
        assert fits


def test_registry_names_what_there_is() -> None:
    registry: Registry[int] = Registry("sort")
    registry.register("hue")(1)
    assert registry["hue"] == 1
    with pytest.raises(OptionError, match="hue"):
        registry["yaw"]
    with pytest.raises(ValueError, match="twice"):
        registry.register("hue")(2)


def test_what_is_given_by_position_is_named_without_dashes() -> None:
    with pytest.raises(OptionError, match=r"^NUM: expected greater than or equal to 1, found 0"):
        parse(STEPS["mask suggest"].options, {"faces": "dst", "num": 0})
