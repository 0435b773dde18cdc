"""What a run tells: the pace is its own and recent, pictures are kept ever more rarely."""

from pathlib import Path

import pytest
import torch

from understudy.errors import StorageError
from understudy.job import Event, Job
from understudy.models import build
from understudy.training.loop import telling
from understudy.training.loop.telling import Pace, Previews, Split, Teller
from understudy.training.monitor.sheets import Sheet
from understudy.training.state.history import History
from understudy.training.state.train_state import TrainState


def test_the_pace_is_of_this_run_alone() -> None:
    pace = Pace()
    assert pace.rate == 0
    pace.see(50_000, seconds=90_000.0)  # a run before went at half an iteration a second
    assert pace.rate == 0
    pace.see(50_040, seconds=90_010.0)
    assert pace.rate == pytest.approx(4.0)


def test_the_pace_is_of_the_last_minutes_and_begins_anew_when_a_run_goes_back() -> None:
    pace = Pace()
    for second in range(1000):
        pace.see(10 * second, seconds=float(second))
    for second in range(1000, 1400):
        pace.see(10_000 + 2 * (second - 1000), seconds=float(second))
    assert pace.rate == pytest.approx(2.0)
    pace.see(500, seconds=1400.0)
    pace.see(506, seconds=1402.0)
    assert pace.rate == pytest.approx(3.0)


def test_the_time_left_after_a_resume_knows_nothing_of_the_seconds_before(
    tiny_config, tiny_options, monkeypatch
) -> None:
    events: list[Event] = []
    state = TrainState(tiny_config, build(tiny_config, seed=0), tiny_options)
    state.iteration, state.seconds = 100, 5000.0
    clock = [0.0]
    monkeypatch.setattr(telling.time, "monotonic", lambda: clock[0])
    teller = Teller(Job("train", sinks=[events.append]), state, torch.device("cpu"))
    options = tiny_options.model_copy(update={"target_iter": 200, "minutes": 90.0})
    for iteration, passed in ((110, 10.0), (120, 15.0)):
        state.iteration, state.seconds, clock[0] = iteration, 5000 + passed, passed
        state.history.add(1.0, 2.0)
        assert teller.is_due
        teller.tell(state, options, learning_rate=0.1)
        assert not teller.is_due
    told = [e.data for e in events if e.kind == "progress"]
    assert [(t["done"], t["total"]) for t in told] == [(110, 200), (120, 200)]
    assert told[0]["seconds_left"] == pytest.approx(390)  # the pace not known yet, the limit is
    assert told[1]["seconds_left"] == pytest.approx(40)
    assert told[1]["message"].startswith("iteration 120, 2.0 a second")


def test_a_run_by_the_clock_counts_seconds(tiny_config, tiny_options, monkeypatch) -> None:
    events: list[Event] = []
    state = TrainState(tiny_config, build(tiny_config, seed=0), tiny_options)
    clock = [0.0]
    monkeypatch.setattr(telling.time, "monotonic", lambda: clock[0])
    teller = Teller(Job("train", sinks=[events.append]), state, torch.device("cpu"))
    clock[0], state.iteration, state.seconds = 1.0, 7, 45.0
    state.history.add(1.0, 2.0)
    options = tiny_options.model_copy(update={"minutes": 2.0})
    teller.tell(state, options, learning_rate=0.1)
    told = events[-1].data
    assert (told["done"], told["total"], told["seconds_left"]) == (45, 120, 75.0)


def test_the_split_of_an_iteration_is_a_mean(monkeypatch) -> None:
    clock = iter((0.0, 1.0, 10.0, 13.0, 20.0, 25.0))
    monkeypatch.setattr(telling.time, "perf_counter", lambda: next(clock))
    split = Split(torch.device("cpu"))
    for iteration, name in enumerate(("batch", "step", "step")):
        split.begin(iteration)
        assert split.timed(name, lambda: 7) == 7
    assert split.take() == {"batch": 1.0, "step": 4.0}
    assert split.take() == {}


def _write(previews: Previews, iteration: int, seconds: float) -> None:
    history = History()
    history.add(1.0, 2.0)
    made = [Sheet(name, (("a",),), [[torch.zeros(3, 8, 8)]]) for name in ("main", "other")]
    previews.write(made, history, title="m", iteration=iteration, seconds=seconds)


def test_numbered_previews_grow_rare(tmp_path: Path) -> None:
    previews = Previews(tmp_path, Job("train"))
    for iteration, seconds in ((1, 100.0), (2, 101.0), (3, 102.0), (4, 103.0)):
        _write(previews, iteration, seconds)
    for folder in (tmp_path / "main", tmp_path / "other"):
        names = [path.name for path in sorted(folder.iterdir())]
        assert names == ["0000001.jpg", "0000003.jpg", "latest.png"]
    assert (tmp_path / "latest.png").read_bytes() == (tmp_path / "main" / "latest.png").read_bytes()
    assert (tmp_path / "loss.png").exists()


def test_a_preview_without_room_is_told_and_no_error(tmp_path: Path, monkeypatch) -> None:
    events: list[Event] = []

    def full(*_: object, **__: object) -> None:
        raise StorageError(tmp_path, expected="room", found="none", remedy="Make some.")

    monkeypatch.setattr(telling, "write_preview", full)
    _write(Previews(tmp_path, Job("train", sinks=[events.append])), 1, 1.0)
    assert [e.kind for e in events] == ["message"]
    assert events[0].data["text"].startswith("no preview: ")
