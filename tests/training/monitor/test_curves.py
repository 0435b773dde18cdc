"""Curves for TensorBoard: read back as TensorBoard itself reads them."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.conftest import faces_of
from understudy.errors import OptionError
from understudy.job import Job
from understudy.training.loop.trainer import train
from understudy.training.monitor import curves
from understudy.training.monitor.curves import Curves, drawing
from understudy.training.state.model_folder import create_model


def read(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    return found.Reload()


def values(found: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in found.Scalars(tag)]


def test_a_run_and_its_going_on_are_drawn(tmp_path, tiny_config, tiny_options) -> None:
    folder = create_model(tmp_path / "Modell 顔", tiny_config)
    where = folder.path / "tensorboard"
    for start, target in ((0, 4), (4, 6)):
        options = tiny_options.model_copy(update={"target_iter": target})
        job = Job("train")
        with drawing(where, job, after=start, wanted=True):
            train(folder, faces_of(12), dst=faces_of(12, first=9), options=options, job=job)
    state = folder.load(pytest.fail)
    found = read(where)
    told = dict(values(found, "loss/src"))
    assert {1, 4, 6} <= set(told)
    for step, loss in told.items():
        assert loss == pytest.approx(state.history.src[step - 1], rel=1e-6)
    assert dict(values(found, "lr"))[1] == pytest.approx(options.learning_rate)
    assert {"loss/dst", "SSIM/src", "PSNR/dst", "seconds/batch", "seconds/step"} <= set(
        found.Tags()["scalars"]
    )
    measured = [(i, v) for i, name, v in state.history.measures if name == "dst SSIM"]
    assert dict(values(found, "SSIM/dst")) == pytest.approx(dict(measured), rel=1e-6)
    assert {"previews/SAEHD", "previews/SAEHD masked"} <= set(found.Tags()["images"])
    for image in found.Images("previews/SAEHD"):
        kept = folder.previews_dir / "SAEHD" / f"{image.step:07d}.jpg"
        assert image.encoded_image_string == kept.read_bytes()
        assert cv2.imread(str(kept)).shape[:2] == (image.height, image.width)


def test_iterations_that_were_taken_back_no_longer_count(tmp_path: Path) -> None:
    job = Job("train")
    with drawing(tmp_path, job, after=0, wanted=True):
        for step in (1, 2, 3, 2, 3):  # back to 1, by a roll-back
            job.metric("src loss", float(10 * step), step=step)
    with drawing(tmp_path, job, after=2, wanted=True):  # killed after the save of 2
        job.metric("src loss", 31.0, step=3)
        job.message("passed over")
        job.metric("of no iteration", 1.0)
    job.metric("src loss", 41.0, step=4)
    found = read(tmp_path)
    assert values(found, "loss/src") == [(1, 10.0), (2, 20.0), (3, 31.0)]
    assert found.Tags()["scalars"] == ["loss/src"]


def test_a_preview_that_is_not_kept_is_not_drawn(tmp_path: Path) -> None:
    job = Job("train")
    picture = np.zeros((8, 16, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "latest.png"), picture)
    cv2.imwrite(str(tmp_path / "0000007.jpg"), picture)
    with drawing(tmp_path / "t", job, after=0, wanted=True):
        job.preview("SAEHD", tmp_path / "latest.png", step=7)
        job.preview("SAEHD", tmp_path / "latest.png", step=8)
        job.preview("other", tmp_path / "latest.png")
    images = read(tmp_path / "t").Images("previews/SAEHD")
    assert [(image.step, image.height, image.width) for image in images] == [(7, 8, 16)]


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(curves.importlib.util, "find_spec", lambda name: None)
    with (
        pytest.raises(OptionError, match=r"--tensorboard.*pip install"),
        drawing(tmp_path / "t", Job("train"), after=0, wanted=True),
    ):
        pytest.fail("it began")
    assert not (tmp_path / "t").exists()


def test_unasked_for_nothing_is_loaded_or_written(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Curves, "__init__", pytest.fail)
    with drawing(tmp_path / "t", Job("train"), after=0, wanted=False):
        pass
    assert not (tmp_path / "t").exists()
    assert "tensorflow" not in sys.modules
