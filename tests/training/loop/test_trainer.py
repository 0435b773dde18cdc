"""The loop: resumed runs equal unbroken ones, commands are obeyed, illness is rolled back."""

import math
import threading
import time
from pathlib import Path

import pytest
import torch

from understudy.errors import Cancelled, StateError
from understudy.job import Event, Job
from understudy.training.loop import pace
from understudy.training.loop.result import TrainResult
from understudy.training.loop.trainer import Trainer, train
from understudy.training.monitor.sheets import Sheet
from understudy.training.monitor.watch import Watch
from understudy.training.state.model_folder import ModelFolder, create_model, open_model


class Recorder:
    """A job that keeps its events."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.job = Job("train", sinks=[self._hear], workers=1)

    def _hear(self, event: Event) -> None:
        self.events.append(event)

    def texts(self) -> list[str]:
        return [e.data["text"] for e in self.events if e.kind == "message"]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def run(make_faces, tmp_path: Path, tiny_config, tiny_options, recorder):
    def start(name: str = "m", **options) -> tuple[TrainResult, ModelFolder]:
        folder = create_model(tmp_path / name, tiny_config)
        values = tiny_options.model_copy(update=options)
        result = train(
            folder,
            make_faces(12),
            dst=make_faces(12, first=100),
            options=values,
            job=recorder.job,
        )
        return result, open_model(tmp_path / name)

    return start


def _tensors(folder: ModelFolder):
    state = folder.load(pytest.fail)
    return {**state.model.state_dict(), **state.optimizer, **state.adversaries}, state


@pytest.mark.parametrize(
    "options",
    [
        {"random_hsv_power": 0.1, "eyes_mouth_prio": True},
        {"adabelief": False, "lr_dropout": True, "uniform_yaw": True, "repeat_unwarped": 2},
        {"precision": "bf16", "lr_fall": 0.0},
        {"gan_power": 0.1, "gan_dims": 4, "true_face_power": 0.1, "face_style_power": 5.0},
    ],
)
def test_a_resumed_run_equals_the_unbroken_one(run, options) -> None:
    run("whole", target_iter=8, **options)
    run("parts", target_iter=3, **options)
    run("parts", target_iter=8, **options)
    (whole, state), (parts, resumed) = (
        _tensors(run(n, target_iter=8)[1]) for n in ("whole", "parts")
    )
    assert set(whole) == set(parts)
    for name, tensor in whole.items():
        assert torch.equal(tensor, parts[name]), name
    assert list(state.history.src) == list(resumed.history.src)
    assert list(state.history.dst) == list(resumed.history.dst)
    assert len(state.history) == 8


def test_amp_goes_on_as_it_would_have(make_faces, tmp_path, tiny_config, tiny_options) -> None:
    amp = {"kind": "AMP", "archi": "df-udt", "inter_dims": 8, "morph_factor": 0.4}
    config = tiny_config.model_copy(update=amp)
    found = []
    for name, targets in (("whole", (4,)), ("parts", (2, 4))):
        folder = create_model(tmp_path / name, config)
        for target in targets:
            options = tiny_options.model_copy(update={"target_iter": target, "gan_power": 0.1})
            faces = {"dst": make_faces(12, first=100), "options": options, "job": Job("t")}
            train(folder, make_faces(12), **faces)
        found.append(_tensors(folder)[0])
    assert "inter_src.dense2.weight" in found[0]
    for key, tensor in found[0].items():
        assert torch.equal(tensor, found[1][key]), key


def test_a_discriminator_rests_while_off_and_begins_anew_when_changed(run, recorder) -> None:
    gan = {"gan_power": 0.1, "gan_dims": 4}
    _, folder = run(target_iter=2, **gan)
    first = folder.load(pytest.fail).adversaries
    assert int(first["GAN/iteration"]) == 2
    _, folder = run(target_iter=3)
    kept = folder.load(pytest.fail).adversaries
    assert all(torch.equal(tensor, kept[name]) for name, tensor in first.items())
    assert not [text for text in recorder.texts() if "GAN" in text]
    _, folder = run(target_iter=4, gan_power=0.1, gan_dims=6)
    assert [text for text in recorder.texts() if "GAN" in text and "anew" in text]
    assert int(folder.load(pytest.fail).adversaries["GAN/iteration"]) == 1


def test_after_pretraining_the_inter_begins_anew_and_a_backup_is_kept(run, recorder) -> None:
    _, folder = run(target_iter=3, pretrain=True)
    before, _ = _tensors(folder)
    result, folder = run(target_iter=4)
    after, _ = _tensors(folder)
    assert result.iteration == 4
    for name, tensor in before.items():
        if name.endswith("weight") and name.startswith(("inter", "encoder", "decoder")):
            moved = float((after[name] - tensor).abs().max())
            assert (moved > 0.01) is name.startswith("inter"), name
    assert [text for text in recorder.texts() if "inter begin anew" in text]
    kept, _ = _tensors(open_model(folder.backups_dir / "01"))
    assert all(torch.equal(tensor, kept[name]) for name, tensor in before.items())
    run(target_iter=5)
    assert len([text for text in recorder.texts() if "begin anew" in text]) == 1


def test_what_does_nothing_is_told(run, recorder) -> None:
    run(target_iter=1, pretrain=True, gan_power=0.1)
    assert [text for text in recorder.texts() if "gan_power does nothing" in text]


def test_it_learns(run) -> None:
    result, folder = run(target_iter=60, learning_rate=3e-3)
    state = folder.load(pytest.fail)
    assert result.reason == "target iteration reached"
    assert sum(state.history.src[-10:]) < 0.8 * sum(state.history.src[:10])
    assert set(result.measures) == {"src SSIM", "src PSNR", "dst SSIM", "dst PSNR"}


def test_the_first_iteration_is_saved_and_shown(run, recorder, monkeypatch) -> None:
    seen: list[int] = []
    original = ModelFolder.save

    def save(self, state):
        seen.append(state.iteration)
        return original(self, state)

    monkeypatch.setattr(ModelFolder, "save", save)
    _, folder = run(target_iter=3)
    assert seen == [1, 3]
    assert (folder.previews_dir / "SAEHD masked" / "0000001.jpg").exists()
    assert (folder.previews_dir / "latest.png").exists()
    assert (folder.previews_dir / "loss.png").exists()
    assert [e.data["path"] for e in recorder.events if e.kind == "preview"]


def test_a_run_ends_after_its_minutes_over_all_runs(run, monkeypatch) -> None:
    original = Trainer._batch

    def batch(self):
        self.state.seconds += 60
        return original(self)

    monkeypatch.setattr(Trainer, "_batch", batch)
    result, folder = run(minutes=2.5)
    assert (result.reason, result.iteration) == ("time is up", 3)
    assert folder.load(pytest.fail).seconds >= 180
    again, _ = run(minutes=2.5)
    assert again.iteration == 3
    more, _ = run(minutes=4.5)
    assert more.iteration == 5


def test_a_run_says_where_it_goes_on_and_where_its_pictures_are(run, recorder) -> None:
    _, folder = run(target_iter=2)
    first = recorder.texts()
    assert not [text for text in first if "going on" in text]
    assert f"previews are written to {folder.previews_dir}" in first
    run(target_iter=4)
    assert recorder.texts()[len(first)] == "going on from iteration 2"


def test_progress_counts_iterations_where_a_target_is_set(run, recorder) -> None:
    run(target_iter=3, minutes=60.0)
    told = [e.data for e in recorder.events if e.kind == "progress"]
    assert (told[-1]["done"], told[-1]["total"]) == (3, 3)
    assert 0 <= told[-1]["seconds_left"] <= 3600


def test_stop_saves_and_ends(run, recorder, monkeypatch) -> None:
    _at_iteration(monkeypatch, 4, lambda: recorder.job.command("stop"))
    result, folder = run()
    assert (result.reason, result.iteration) == ("stopped", 4)
    assert folder.load(pytest.fail).iteration == 4


def test_an_end_that_is_past_ends_the_run_as_reached(run, recorder, monkeypatch) -> None:
    ask = {"command": "set", "key": "target_iter", "value": 1}
    _at_iteration(monkeypatch, 3, lambda: recorder.job.ask(ask))
    result, folder = run()
    assert (result.reason, result.iteration) == ("target iteration reached", 3)
    assert folder.load(pytest.fail).iteration == 3


def test_a_setting_just_before_the_end_is_saved(run, recorder, monkeypatch) -> None:
    def ask() -> None:
        recorder.job.ask({"command": "set", "key": "ema", "value": 0.5})
        recorder.job.ask("stop")

    _at_iteration(monkeypatch, 1, ask)  # the iteration that is saved anyway
    result, folder = run()
    state = folder.load(pytest.fail)
    assert (result.iteration, state.iteration, state.options.ema) == (1, 1, 0.5)


def test_cancel_saves_first(run, recorder, monkeypatch, tmp_path: Path) -> None:
    _at_iteration(monkeypatch, 5, recorder.job.cancel)
    with pytest.raises(Cancelled):
        run()
    assert open_model(tmp_path / "m").load(pytest.fail).iteration == 5


def test_save_backup_and_preview_on_demand(run, recorder, monkeypatch) -> None:
    def ask() -> None:
        recorder.job.command("preview")
        recorder.job.command("backup")

    _at_iteration(monkeypatch, 3, ask)
    _, folder = run(target_iter=5)
    assert (folder.previews_dir / "SAEHD" / "0000003.jpg").exists()
    assert open_model(folder.backups_dir / "01").load(pytest.fail).iteration == 3


def test_previews_show_the_faces_one_chooses_and_go_on_showing_them(
    run, recorder, monkeypatch
) -> None:
    answers: list[str] = []

    def ask() -> None:
        said = {"command": "preview", "src": "00003_0.jpg", "dst": ["00105_0.jpg"]}
        recorder.job.ask(said, lambda told: answers.append(str(told)))
        recorder.job.ask({"command": "preview", "src": "x"}, lambda told: answers.append(str(told)))

    seen: list[list[Sheet]] = []
    original = Watch.sheets

    def sheets(self, source, averaged) -> list[Sheet]:
        seen.append(original(self, source, averaged))
        return seen[-1]

    monkeypatch.setattr(Watch, "sheets", sheets)
    _at_iteration(monkeypatch, 3, ask)
    _, folder = run(target_iter=5)
    assert "preview of iteration 3" in answers[0]
    assert "preview_src: expected the name of a face" in answers[1]
    options = folder.load(pytest.fail).options
    assert (options.preview_src, options.preview_dst) == (("00003_0.jpg",), ("00105_0.jpg",))
    run(target_iter=6, preview_src=options.preview_src, preview_dst=options.preview_dst)
    for column in (0, 2):
        faces = [made[0].rows[0][column] for made in seen]
        assert not torch.equal(faces[0], faces[1])
        assert all(torch.equal(face, faces[1]) for face in faces[1:])
    assert len(seen) == 4  # after 1, on demand, and at the end of both runs


def test_a_pause_is_off_the_clock(run, recorder, monkeypatch) -> None:
    def pause() -> None:
        recorder.job.command("pause")
        threading.Timer(3.0, lambda: recorder.job.command("resume")).start()

    _at_iteration(monkeypatch, 2, pause)
    clock: list[tuple[float, float]] = []
    original = Trainer._iterate

    def iterate(self) -> None:
        original(self)
        clock.append((time.monotonic(), self.state.seconds))

    monkeypatch.setattr(Trainer, "_iterate", iterate)
    run(target_iter=3)
    walls, counted = zip(*clock, strict=True)
    assert walls[2] - walls[1] > 2.9
    assert (walls[2] - walls[1]) - (counted[2] - counted[1]) > 2.8


def test_a_loss_that_is_no_number_goes_back_to_the_last_save(run, recorder, monkeypatch) -> None:
    _break_losses(monkeypatch, times=1)
    result, folder = run(target_iter=6)
    assert result.iteration == 6
    assert any("nan" in text and "back to iteration 1" in text for text in recorder.texts())
    state = folder.load(pytest.fail)
    assert state.attempt == 1
    assert len(state.history) == 6


def test_an_illness_that_comes_back_goes_to_the_save_before(run, recorder, monkeypatch) -> None:
    run(target_iter=2)
    run(target_iter=3)
    _break_losses(monkeypatch, times=2)
    result, folder = run(target_iter=6)
    assert result.iteration == 6
    told = [text for text in recorder.texts() if "back to iteration" in text]
    assert ["3;" in told[0], "2;" in told[1], len(told)] == [True, True, 2]
    assert len(folder.load(pytest.fail).history) == 6


def test_what_is_cheap_is_saved_again_and_again(run, monkeypatch) -> None:
    saved = []
    original = ModelFolder.save

    def save(self, state):
        saved.append(state.iteration)
        return original(self, state)

    monkeypatch.setattr(ModelFolder, "save", save)
    monkeypatch.setattr(pace, "SAVING_SHARE", math.inf)
    monkeypatch.setattr(pace, "WRITTEN_PER_SECOND", math.inf)
    run(target_iter=3)
    assert saved == [1, 2, 3]


def test_an_illness_that_stays_is_told_after_three_attempts(run, recorder, monkeypatch) -> None:
    _break_losses(monkeypatch, times=100)
    with pytest.raises(StateError, match=r"nan.*4 times in a row.*learning-rate"):
        run(target_iter=6)


def test_a_changed_optimizer_begins_anew_and_says_so(run, recorder) -> None:
    run(target_iter=2)
    result, _ = run(target_iter=4, adabelief=False)
    assert result.iteration == 4
    assert any("optimizer was changed" in text for text in recorder.texts())


def test_the_rate_falls_and_warps_end_with_the_run(run, monkeypatch) -> None:
    rates: list[float] = []
    warped: list[bool] = []
    original = Trainer._batch

    def batch(self):
        made = original(self)
        rates.append(self._step.optimizer.rule.learning_rate)
        warped.append(not torch.equal(made.src.warped, made.src.target))
        return made

    monkeypatch.setattr(Trainer, "_batch", batch)
    run(target_iter=10, lr_fall=0.5, unwarped_end=0.2, learning_rate=1e-3)
    assert rates[:6] == [1e-3] * 6
    assert rates[-1] == pytest.approx(1e-3 * 0.1**0.8)
    assert warped == [True] * 8 + [False] * 2


def _at_iteration(monkeypatch, number: int, act) -> None:
    """Calls `act` when the given iteration is done."""
    original = Trainer._iterate

    def iterate(self) -> None:
        original(self)
        if self.state.iteration == number:
            act()

    monkeypatch.setattr(Trainer, "_iterate", iterate)


def _break_losses(monkeypatch, *, times: int) -> None:
    """Makes the losses of the fourth iteration no numbers, this many times."""
    original = Trainer._batch
    left = [times]

    def batch(self):
        made = original(self)
        if self.state.iteration == 3 and left[0]:
            left[0] -= 1
            broken = made.src._replace(target=made.src.target * float("nan"))
            return made._replace(src=broken)
        return made

    monkeypatch.setattr(Trainer, "_batch", batch)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_accelerator_trains_saves_and_goes_on(run) -> None:
    run(device="cuda", precision="auto", target_iter=30)
    result, folder = run(device="cuda", precision="auto", target_iter=60)
    state = folder.load(pytest.fail)
    assert result.iteration == len(state.history) == 60
    assert sum(state.history.src[-10:]) < sum(state.history.src[:10])
