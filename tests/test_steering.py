"""Commands as JSON lines reach the job; what is no command is told and ignored."""

from understudy.cli.steering import _obey
from understudy.job import Event, Job


def test_a_setting_reaches_the_step_and_its_children() -> None:
    job = Job("train")
    _obey(job, '{"command": "set", "key": "batch_size", "value": 8}')
    _obey(job, '{"command": "save"}')
    child = job.for_step("train")
    assert child.settings() == [("batch_size", 8)]
    assert job.settings() == []
    assert job.commands() == ["save"]


def test_a_setting_without_key_or_value_is_told() -> None:
    heard: list[Event] = []
    job = Job("train", sinks=[heard.append])
    _obey(job, '{"command": "set", "key": "batch_size"}')
    assert job.settings() == []
    assert "ignored on standard input" in heard[0].data["text"]
