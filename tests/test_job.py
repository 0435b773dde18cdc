"""Workers, commands and cancelling."""

import threading
import time

import pytest

from understudy.errors import Cancelled, OptionError, StorageError
from understudy.job import Event, Job


def test_map_keeps_order_and_records_failures() -> None:
    job = Job("test", workers=3)

    def invert(x: int) -> float:
        time.sleep(0.002 * (x % 3))
        return 1 / x

    results = list(job.map(invert, [4, 0, 2, 1], name=lambda x: f"item {x}"))
    assert results == [(4, 0.25), (2, 0.5), (1, 1.0)]
    assert [f.item for f in job.failures] == ["item 0"]
    assert "division" in job.failures[0].reason


def test_map_works_a_bounded_way_ahead() -> None:
    job = Job("test", workers=2)
    begun: list[int] = []
    source = iter(range(1000))
    stream = job.map(begun.append, source)
    for _ in range(3):
        next(stream)
    assert len(begun) <= 3 + 2 * 2 + 2
    stream.close()  # type: ignore[attr-defined]


def test_full_disk_ends_the_map() -> None:
    job = Job("test", workers=2)

    def write(x: int) -> None:
        raise StorageError("f", expected="space", found="none", remedy="Free some.")

    with pytest.raises(StorageError):
        list(job.map(write, range(5)))
    assert not job.failures


def test_cancel_ends_the_map() -> None:
    job = Job("test", workers=2)
    seen = []
    with pytest.raises(Cancelled):
        for item, _ in job.map(lambda x: x, range(100)):
            seen.append(item)
            if item == 5:
                job.cancel()
    assert seen == list(range(6))


def test_stop_cancels_a_step_that_does_not_listen() -> None:
    job = Job("test")
    job.command("stop")
    with pytest.raises(Cancelled):
        job.check()


def test_listening_step_gets_stop_as_a_command() -> None:
    job = Job("test")
    assert job.commands() == []
    job.command("save")
    job.command("stop")
    job.check()
    assert job.commands() == ["save", "stop"]


def test_pause_holds_until_resume() -> None:
    job = Job("test")
    job.command("pause")
    passed = threading.Event()
    thread = threading.Thread(target=lambda: (job.check(), passed.set()))
    thread.start()
    assert not passed.wait(0.2)
    job.command("resume")
    assert passed.wait(5)
    thread.join()


def test_unknown_command_is_refused() -> None:
    with pytest.raises(OptionError, match="dance"):
        Job("test").command("dance")


def test_events_carry_their_step() -> None:
    seen: list[Event] = []
    job = Job("run", sinks=[seen.append])
    job.for_step("frames").progress(1, 1, "x")
    job.metric("loss", 0.5, step=3)
    assert [e.step for e in seen] == ["frames", "run"]
    assert seen[0].to_json() | {"time": 0} == {
        "event": "progress",
        "step": "frames",
        "time": 0,
        "done": 1,
        "total": 1,
        "message": "x",
    }
    assert seen[1].data == {"name": "loss", "value": 0.5, "step": 3}


def test_a_batch_that_fails_is_tried_item_by_item() -> None:
    job = Job("test", workers=2)

    def doubled(batch: tuple[int, ...]) -> list[int]:
        if 3 in batch:
            raise ValueError("three")
        return [2 * number for number in batch]

    results = job.map(
        doubled, [(1, 2), (3, 4), (5,)], name=str, alone=lambda batch: [(n,) for n in batch]
    )
    assert [result for _, result in results] == [[2, 4], [8], [10]]
    assert [failure.item for failure in job.failures] == ["(3,)"]
