"""Workers, commands and cancelling."""

import threading
import time
from collections.abc import Iterator, Mapping

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


def test_a_map_that_ends_early_ends_what_it_takes_from() -> None:
    job = Job("test", workers=2)
    ended = []

    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            ended.append(threading.current_thread())

    def write(x: int) -> None:
        raise StorageError("f", expected="space", found="none", remedy="Free some.")

    source = items()
    with pytest.raises(StorageError):
        list(job.map(write, source))
    assert ended == [threading.current_thread()], "and not whenever garbage is collected"


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
    assert [command.name for command in job.commands()] == ["save", "stop"]


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


@pytest.mark.parametrize("said", ["dance", {"command": "dance"}, {"no": "save"}, 7, None, ["x"]])
def test_unknown_command_is_refused(said: object) -> None:
    with pytest.raises(OptionError, match="one of set, save"):
        Job("test").ask(said)


def test_values_that_a_command_does_not_take_are_refused() -> None:
    with pytest.raises(OptionError, match="save with no values"):
        Job("test").ask({"command": "save", "key": 1})


def test_commands_are_obeyed_in_order_and_answered() -> None:
    heard: list[Event] = []
    job = Job("test", sinks=[heard.append])
    answers: list[tuple[str, str]] = []
    for key in ("a", "b"):
        job.ask({"command": "set", "key": key}, lambda said, k=key: answers.append((k, str(said))))
    job.ask("save", lambda said: answers.append(("save", str(said))))

    def change(values: Mapping[str, object]) -> str:
        if values["key"] == "a":
            raise OptionError("a", expected="b", found="c", remedy="Do d.")
        return f"{values['key']} is changed"

    job.obey({"set": change, "save": lambda _: "saved"})
    assert answers == [
        ("a", "a: expected b, found c. Do d."),
        ("b", "b is changed"),
        ("save", "saved"),
    ]
    assert [event.data["text"] for event in heard] == [said for _, said in answers]


def test_a_command_that_breaks_the_step_is_answered_too() -> None:
    job, answers = Job("test"), []
    job.ask("save", answers.append)

    def broken(_: Mapping[str, object]) -> str:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        job.obey({"save": broken})
    assert "a bug" in str(answers[0])


def test_a_rest_ends_when_a_command_comes_and_with_the_pause() -> None:
    job, answers = Job("test"), []
    assert job.rest() is False
    job.command("pause", answer=answers.append)
    job.command("save")
    assert job.rest() is True
    assert [command.name for command in job.commands()] == ["save"]
    threading.Timer(0.2, lambda: job.command("resume", answer=answers.append)).start()
    assert job.rest() is False
    assert answers == ["paused", "going on"]
    job.command("pause")
    job.cancel()
    with pytest.raises(Cancelled):
        job.rest()


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
