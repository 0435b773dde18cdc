"""Counts read as people write them."""

from understudy.wording import counted


def test_one_is_one() -> None:
    assert counted(1, "face") == "1 face"
    assert counted(0, "face") == "0 faces"
    assert [counted(n, "person", "people") for n in (1, 2)] == ["1 person", "2 people"]
