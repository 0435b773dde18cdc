"""Commands as JSON lines reach the job; what is no command is told and ignored."""

from understudy.cli.steering import _obey
from understudy.job import Event, Job


def test_a_setting_reaches_the_step_and_its_children() -> None:
    job = Job("train")
    _obey(job, '{"command": "set", "key": "batch_size", "value": 8}')
    _obey(job, '{"command": "save"}')
    child = job.for_step("train")
    setting, save = child.commands()
    assert (setting.name, setting.values) == ("set", {"key": "batch_size", "value": 8})
    assert (save.name, save.values) == ("save", {})
    assert job.commands() == []


def test_what_is_no_command_is_told() -> None:
    heard: list[Event] = []
    job = Job("train", sinks=[heard.append])
    for line in ("{", '{"command": "set", "colour": 1}', '{"command": "dance"}'):
        _obey(job, line)
    assert job.commands() == []
    ignored, values, unknown = (event.data["text"] for event in heard)
    assert "ignored on standard input" in ignored
    assert "set with nothing but key, value, values" in values
    assert "one of set, save, backup" in unknown
