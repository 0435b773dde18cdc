"""When a run saves, backs up and shows: by training time, at its ends, over several runs."""

from collections.abc import Callable

import pytest

from training.conftest import faces_of
from understudy.job import Job
from understudy.training.loop.telling import Previews
from understudy.training.loop.trainer import Trainer, train
from understudy.training.plan.options import TrainOptions
from understudy.training.state.model_folder import ModelFolder, create_model

Run = Callable[..., None]


@pytest.fixture
def seen(monkeypatch) -> dict[str, list[int]]:
    """Iterations at which something was done, where every iteration takes ten minutes."""
    found: dict[str, list[int]] = {"save": [], "backup": [], "preview": []}
    batch, save, write = Trainer._batch, ModelFolder.save, Previews.write

    def slow(self):
        self.state.seconds += 600
        return batch(self)

    def saved(self, state):
        found["save"].append(state.iteration)
        return save(self, state)

    backup = ModelFolder.backup

    def backed_up(self):
        found["backup"].append(found["save"][-1])
        return backup(self)

    def shown(self, *args, **values):
        found["preview"].append(values["iteration"])
        write(self, *args, **values)

    monkeypatch.setattr(Trainer, "_batch", slow)
    monkeypatch.setattr(ModelFolder, "save", saved)
    monkeypatch.setattr(ModelFolder, "backup", backed_up)
    monkeypatch.setattr(Previews, "write", shown)
    return found


@pytest.fixture
def run(tmp_path, tiny_config, tiny_options) -> Run:
    def start(**options: object) -> None:
        train(
            create_model(tmp_path / "m", tiny_config),
            faces_of(12),
            dst=faces_of(12, first=100),
            options=tiny_options.model_copy(update=options),
            job=Job("train"),
        )

    return start


def test_saves_come_first_then_every_25_minutes_and_at_the_end(run, seen) -> None:
    assert TrainOptions().save_minutes == 25
    run(target_iter=11, preview_minutes=1e6)
    assert seen["save"] == [1, 4, 7, 10, 11]
    assert seen["backup"] == []


def test_saves_come_more_often_where_they_are_cheap(run, seen, saves_as_they_are) -> None:
    run(target_iter=4, preview_minutes=1e6)
    assert seen["save"] == [1, 2, 3, 4]


def test_previews_come_first_then_as_often_as_asked_and_at_the_end(run, seen) -> None:
    run(target_iter=8, preview_minutes=30.0, save_minutes=1e6)
    assert seen["preview"] == [1, 4, 7, 8]
    assert seen["save"] == [1, 8]


def test_backups_come_by_the_hour_each_of_a_fresh_save(run, seen) -> None:
    run(target_iter=13, backup_minutes=60.0, save_minutes=1e6, preview_minutes=1e6)
    assert seen["save"] == [1, 6, 12, 13]
    assert seen["backup"] == [6, 12]


def test_the_hour_counts_over_several_runs(run, seen) -> None:
    for target in (4, 8, 11, 13):
        run(target_iter=target, backup_minutes=60.0, save_minutes=1e6, preview_minutes=1e6)
    assert seen["backup"] == [6, 12]
