"""Words between processes: in order, none without the token; whoever is gone is noticed."""

import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from understudy.errors import StateError
from understudy.training.distributed import wire
from understudy.training.distributed.wire import FirstEnd, OtherEnd, Over


def _nothing() -> None:
    """No one asks to stop."""


def _join(first: FirstEnd, rank: int = 1) -> OtherEnd:
    return OtherEnd(("127.0.0.1", first.port), token=first.token, rank=rank, size=first.size)


@pytest.fixture
def pair():
    first = FirstEnd(2, everywhere=False)
    other = _join(first)
    first.gather(seconds=20.0, check=_nothing)
    yield first, other
    first.end()
    other.end()


def test_words_come_in_order_until_it_is_over(pair) -> None:
    first, other = pair
    for number in range(5):
        first.say({"number": number})
    assert [other.hear(_nothing)["number"] for _ in range(5)] == [0, 1, 2, 3, 4]
    first.end()
    with pytest.raises(Over):
        other.hear(_nothing)
    with pytest.raises(Over):
        other.explain()


def test_who_waits_is_asked_in_between(pair) -> None:
    first, other = pair
    looks = []

    def look() -> None:
        looks.append(1)
        first.say({"number": 1})

    assert other.hear(look) == {"number": 1}
    assert looks == [1]


def test_all_are_waited_for(pair) -> None:
    first, other = pair
    told = []

    def ready() -> None:
        told.append(len(told))
        other.tell("ready")

    for number in (1, 2):
        threading.Timer(0.3, ready).start()
        first.wait_ready(_nothing)
        assert len(told) == number


def test_other_words_are_handed_on() -> None:
    first = FirstEnd(2, everywhere=True)
    heard: list[object] = []
    arrived = threading.Event()
    first.on_word = lambda word: (heard.append(word), arrived.set())
    other = _join(first)
    first.gather(seconds=20.0, check=_nothing)
    other.tell("failed item", item="x", reason="y")
    assert arrived.wait(20)
    assert heard == [{"say": "failed item", "item": "x", "reason": "y"}]
    first.end()
    other.end()


def test_one_that_is_gone_is_named(pair) -> None:
    first, other = pair
    first.how_ended = lambda rank: f" as number {rank}"
    other.end()
    with pytest.raises(StateError, match=r"process 2 of 2.*it ended as number 1"):
        first.explain(20.0)
    with pytest.raises(StateError, match="process 2"):
        first.say({"number": 1})
    with pytest.raises(StateError, match="process 2"):
        first.wait_ready(_nothing)


@pytest.mark.parametrize(("is_bug", "kind"), [(False, StateError), (True, RuntimeError)])
def test_what_it_met_is_told(pair, is_bug: bool, kind: type[Exception]) -> None:
    first, other = pair
    other.tell("failed", reason="there is no such device", is_bug=is_bug)
    with pytest.raises(kind, match="no such device"):
        first.explain(20.0)


def test_the_first_one_gone_is_no_end(pair) -> None:
    first, other = pair
    over = threading.Event()
    other.on_over = over.set
    for known in first._others.values():
        known.line.close()
    assert over.wait(20)
    with pytest.raises(StateError, match="process 1 of 2"):
        other.hear(_nothing)
    with pytest.raises(StateError, match="process 1 of 2"):
        other.explain()


def test_silence_is_loss(monkeypatch) -> None:
    monkeypatch.setattr(wire, "SILENCE_SECONDS", 0.3)
    first = FirstEnd(2, everywhere=False)
    with socket.create_connection(("127.0.0.1", first.port)) as mute:
        mute.sendall(json.dumps({"rank": 1, "token": first.token}).encode() + b"\n")
        first.gather(seconds=20.0, check=_nothing)
        with pytest.raises(StateError, match="no sign of it"):
            first.explain(20.0)
    first.end()


def test_signs_of_life_are_no_silence(monkeypatch) -> None:
    monkeypatch.setattr(wire, "SILENCE_SECONDS", 1.5)
    monkeypatch.setattr(wire, "BEAT_SECONDS", 0.1)
    first = FirstEnd(2, everywhere=False)
    other = _join(first)
    first.gather(seconds=20.0, check=_nothing)
    time.sleep(2.5)
    first.say({"number": 1})
    assert other.hear(_nothing) == {"number": 1}
    first.end()
    other.end()


def test_strangers_are_sent_away() -> None:
    first = FirstEnd(2, everywhere=False)
    said = [b"GET / HTTP/1.1\r\n\r\n", b"[1, 2]\n", b'{"rank": 1, "token": "0"}\n']
    said.append(json.dumps({"rank": 2, "token": first.token}).encode() + b"\n")
    strangers = [socket.create_connection(("127.0.0.1", first.port)) for _ in said]
    for stranger, line in zip(strangers, said, strict=True):
        stranger.sendall(line)
    with pytest.raises(StateError, match="no word from it"):
        first.gather(seconds=1.0, check=_nothing)
    for stranger in strangers:
        stranger.settimeout(20)
        try:
            assert stranger.recv(10) == b""
        except ConnectionResetError:
            pass  # sent away before all of it was read
        stranger.close()
    first.end()


STUCK = """
import time
from understudy.training.distributed import wire
wire.GRACE_SECONDS = 0.2
first = wire.FirstEnd(2, everywhere=False)
other = wire.OtherEnd(("127.0.0.1", first.port), token=first.token, rank=1, size=2)
first.gather(seconds=20.0, check=lambda: None)
first.on_stuck = lambda error: print(error, flush=True)
other.end()
time.sleep(600)
"""


def test_a_process_stuck_in_its_device_is_ended() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "process 2 of 2" in done.stdout
