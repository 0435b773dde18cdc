"""What a terminal and a log show of a step's progress."""

import re

import pytest

from understudy.cli import drawing
from understudy.cli.drawing import Drawing
from understudy.job import Event


def _progress(at: float, done: int, total: int | None, **more: float) -> Event:
    return Event("progress", "train", at, {"done": done, "total": total, "message": "m", **more})


@pytest.fixture
def log(monkeypatch, capsys):
    """Function that gives the lines a log shows of some events."""
    monkeypatch.setattr(drawing, "LOG_SECONDS", 0.0)

    def lines(*events: Event) -> list[str]:
        with Drawing() as sink:
            for event in events:
                sink(event)
        return capsys.readouterr().err.splitlines()

    return lines


def test_a_log_shows_the_rate_and_the_time_left(log) -> None:
    shown = log(_progress(0.0, 10, 100), _progress(10.0, 30, 100))
    assert shown[-1] == "train: 30/100 (2.0/s, 35 s left)  m"


def test_the_time_left_that_a_step_gives_is_shown_and_no_rate(log) -> None:
    shown = log(_progress(0.0, 3000, 3600), _progress(1.0, 3001, 3600, seconds_left=75.0))
    assert shown[-1] == "train: 3001/3600 (1:15 left)  m"


def test_other_items_than_before_have_a_rate_of_their_own(log) -> None:
    loading = [_progress(float(i), i, 12) for i in range(1, 13)]
    shown = log(*loading, _progress(20.0, 50_000, 60_000), _progress(30.0, 50_020, 60_000))
    assert "(2.0/s" in shown[-1]


def test_a_terminal_shows_what_a_step_gives(monkeypatch, capsys) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with Drawing() as sink:
        sink(_progress(0.0, 12, 12))
        sink(_progress(1.0, 50_000, None))  # endless: not 50000 of 12
        sink(_progress(2.0, 3001, 3600, seconds_left=75.0))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    last = [line for line in shown.splitlines() if "train" in line][-1]
    assert "3001/3600" in last
    assert "1:15 left" in last
    assert "/s" not in last
    assert "50000/12" not in shown


def test_of_many_items_that_fail_the_first_are_named(log) -> None:
    failed = [
        Event("message", "merge", float(i), {"text": f"{i}.png: broken", "item": f"{i}.png"})
        for i in range(50)
    ]
    shown = log(*failed, Event("message", "merge", 60.0, {"text": "signing"}))
    assert shown[:2] == ["merge: 0.png: broken", "merge: 1.png: broken"]
    assert shown[19:] == [
        "merge: 19.png: broken",
        "merge: more items fail; their reasons are in the report",
        "merge: signing",
    ]
