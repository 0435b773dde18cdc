"""The place of a process among those of its run, as the environment tells it."""

import pytest

from understudy.errors import OptionError
from understudy.processes import Place, own_place


def test_a_process_alone_has_no_place() -> None:
    assert own_place({}) is None
    assert own_place({"WORLD_SIZE": "1", "RANK": "0"}) is None


def test_what_is_told_is_read_again() -> None:
    place = Place(5, 8, 1, 4)
    told = place.environment("host", 123)
    assert own_place(told) == place
    assert (told["MASTER_ADDR"], told["MASTER_PORT"]) == ("host", "123")


def test_without_machines_all_are_on_one() -> None:
    assert own_place({"WORLD_SIZE": "2", "RANK": "1"}) == Place(1, 2, 1, 2)


@pytest.mark.parametrize("values", [{"WORLD_SIZE": "two"}, {"WORLD_SIZE": "2"}])
def test_nonsense_is_named(values: dict[str, str]) -> None:
    with pytest.raises(OptionError, match=r"WORLD_SIZE|RANK"):
        own_place(values)
