"""Models listed, moved, copied, pruned: nothing lost, nothing overwritten."""

import os
import shutil
import time
from pathlib import Path

import pytest
import torch

from understudy.errors import FileError, OptionError
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.training.plan.phases import Phase, Plan
from understudy.training.state import shelf, shelf_moves
from understudy.training.state.model_folder import ModelFolder, create_model, open_model
from understudy.training.state.train_state import TrainState


def make_model(path: Path, config: ModelConfig, *, saves: int = 1) -> ModelFolder:
    folder = create_model(path, config)
    state = TrainState(config, build(config, seed=1))
    for number in range(saves):
        for _ in range(150):
            state.iteration += 1
            state.history.add(float(state.iteration), 2.0)
        state.seconds = 3600.0 * (number + 1)
        folder.save(state)
    folder.previews_dir.mkdir(exist_ok=True)
    (folder.previews_dir / "latest.png").write_bytes(b"picture")
    return folder


@pytest.fixture
def model_dir(tmp_path: Path, tiny_config: ModelConfig) -> Path:
    path = tmp_path / "w" / "model"
    path.mkdir(parents=True)
    make_model(path / "one", tiny_config, saves=2)
    return path


def same(one: TrainState, other: TrainState) -> bool:
    mine, yours = one.model.state_dict(), other.model.state_dict()
    return one.iteration == other.iteration and all(torch.equal(mine[k], yours[k]) for k in mine)


def no_progress(done: int, total: int) -> None:
    assert done < total


def test_facts_are_those_of_the_newest_save(model_dir: Path) -> None:
    (facts,) = shelf.models(model_dir)
    assert (facts.name, facts.form, facts.iteration, facts.seconds) == (
        "one",
        "understudy",
        300,
        7200,
    )
    assert facts.losses == {
        "src": pytest.approx(250.5),
        "dst": 2.0,
    }  # the last hundred of 1, 2, 3 ...
    assert facts.saves == 2
    assert facts.preview == model_dir / "one" / "previews" / "latest.png"
    on_disk = sum(p.stat().st_size for p in (model_dir / "one").rglob("*") if p.is_file())
    assert facts.bytes == on_disk
    for word in ("SAEHD df-ud 32 px", "iteration 300", "loss 250.500 2.000"):
        assert word in facts.line()


def test_a_list_is_a_table_with_the_last_saved_first(
    model_dir: Path, tiny_config: ModelConfig
) -> None:
    folder = make_model(model_dir / "two", tiny_config)
    state = folder.load(pytest.fail)
    state.history.measure(150, "src SSIM", 0.5)
    state.history.measure(150, "src PSNR", 20.0)
    state.history.measure(150, "dst SSIM", 0.25)
    state.plan = Plan(recipe="own", phases=(Phase(name="a", iterations=200),) * 2)
    folder.save(state)
    os.utime(model_dir / "one" / "saves" / "000002" / "save.json", (1000, 1000))
    create_model(model_dir / "never", tiny_config)
    two, one, never = shelf.models(model_dir)
    assert two.likeness == {"src SSIM": 0.5, "dst SSIM": 0.25}
    head, *rows = shelf.table([two, one, never])
    assert head.split() == "name model iteration hours loss likeness size last saved".split()
    where = head.index("likeness")
    assert rows[0][where : where + 11] == "0.500 0.250"
    assert rows[0].endswith("recipe own: phase 1 of 2, a")
    assert rows[1].startswith("one ")
    assert time.strftime("%Y", time.localtime(1000)) in rows[1]
    assert rows[2].endswith("never saved")
    assert shelf.table([]) == []


def test_shared_files_are_counted_once(model_dir: Path) -> None:
    before = shelf.size_of(model_dir / "one")
    open_model(model_dir / "one").backup()
    tensors = (model_dir / "one" / "saves" / "000002" / "state.safetensors").stat().st_size
    assert shelf.size_of(model_dir / "one") < before + tensors


@pytest.mark.parametrize("damage", ["config.json", "saves/000002/save.json", "history.jsonl"])
def test_damage_is_told_and_hides_no_model(model_dir: Path, damage: str) -> None:
    (model_dir / "one" / damage).write_text("{")
    (facts,) = shelf.models(model_dir)
    if damage == "config.json":
        assert "damaged" in facts.line()
    elif damage == "history.jsonl":
        assert facts.losses is None
    else:
        assert facts.iteration == 150


def test_a_copy_goes_on_by_itself(model_dir: Path) -> None:
    source = model_dir / "one"
    open_model(source).backup()
    target = shelf_moves.copy(source, shelf_moves.free_path(model_dir, "two"), progress=no_progress)
    assert same(open_model(source).load(pytest.fail), open_model(target).load(pytest.fail))
    state = open_model(target).load(pytest.fail)
    with torch.no_grad():
        next(state.model.parameters()).add_(1)
    folder = open_model(target)
    folder.load(pytest.fail)
    state.iteration += 1
    state.history.add(0.0, 0.0)
    folder.save(state)
    assert open_model(source).load(pytest.fail).iteration == 300
    assert not (target / "backups").exists()


def test_a_copy_that_fails_leaves_nothing(model_dir: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done > 2:
            raise OSError(28, "No space left on device")

    with pytest.raises(FileError, match="full disk"):
        shelf_moves.copy(model_dir / "one", model_dir / "two", progress=stop)
    assert [p.name for p in model_dir.iterdir()] == ["one"]


def test_rename_and_delete_move_the_folder_as_it_is(model_dir: Path) -> None:
    before = open_model(model_dir / "one").load(pytest.fail)
    shelf_moves.rename(model_dir, "one", "two")
    assert same(before, open_model(model_dir / "two").load(pytest.fail))
    gone = shelf_moves.delete(model_dir, "two")
    assert gone == model_dir.parent / "model_trash" / "two"
    shutil.copytree(gone, model_dir / "two")
    again = shelf_moves.delete(model_dir, "two")
    assert again.name == "two (2)"
    assert same(before, open_model(gone).load(pytest.fail))
    assert not list(model_dir.iterdir())


@pytest.mark.parametrize("name", ["one", "", "a/b", "..", "what?", " x"])
def test_a_name_that_is_taken_or_no_name_is_refused(model_dir: Path, name: str) -> None:
    with pytest.raises((FileError, OptionError)):
        shelf_moves.rename(model_dir, "one", name)
    assert [p.name for p in model_dir.iterdir()] == ["one"]


@pytest.mark.parametrize("name", ["two", "", "../model/one"])
def test_a_model_that_is_not_there_is_named(model_dir: Path, name: str) -> None:
    with pytest.raises(FileError, match="models here \\(one\\)"):
        shelf_moves.delete(model_dir, name)


def test_pruning_spares_the_save_that_holds(model_dir: Path, tiny_config: ModelConfig) -> None:
    path = model_dir / "one"
    folder = open_model(path)
    for _ in range(3):
        folder.backup()
    for number in range(5):
        (path / "previews" / f"{number:07d}.jpg").write_bytes(b"x")
    (path / "saves" / ".000003.ab.partial").mkdir()
    (path / "saves" / "000001.damaged.12").mkdir()
    (path / "current.json").write_text('{"save": "000001"}')  # as after falling back by hand
    spare = shelf_moves.spare(path, saves=1, backups=1, previews=2)
    assert {str(p.relative_to(path)) for p in spare} == {
        "saves/000002", "saves/.000003.ab.partial", "saves/000001.damaged.12",
        "backups/02", "backups/03",
        "previews/0000000.jpg", "previews/0000001.jpg", "previews/0000002.jpg",
    }  # fmt: skip
    shelf_moves.throw_away(spare)
    assert open_model(path).load(pytest.fail).iteration == 150
    assert not shelf_moves.spare(path, saves=1, backups=1, previews=2)
    assert open_model(path / "backups" / "01").load(pytest.fail).iteration == 300


def test_what_a_killed_copy_left_is_no_model_and_is_swept(model_dir: Path) -> None:
    left = shelf_moves.new_partial(model_dir / "two")
    shutil.copytree(model_dir / "one", left)
    assert [facts.name for facts in shelf.models(model_dir)] == ["one"]
    shelf_moves.sweep(model_dir)
    assert [p.name for p in model_dir.iterdir()] == ["one"]


def test_sizes_in_words() -> None:
    sizes = {0: "0 B", 999: "999 B", 1500: "1.5 KB", 23_400_000: "23 MB", 10**13: "10000 GB"}
    assert {size: shelf.in_words(size) for size in sizes} == sizes
