"""The faces previews show: a fixed sample, or those that were named."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.conftest import faces_of
from understudy.errors import MaterialError, OptionError
from understudy.job import Event, Job
from understudy.training.loop.sides import load_side
from understudy.training.monitor.shown import ShownFaces, check_chosen
from understudy.training.samples.batches import BatchSource


@pytest.fixture
def heard() -> list[Event]:
    return []


@pytest.fixture
def shown(tiny_config, heard):
    def make(src=None, dst=None) -> ShownFaces:
        sides = src or faces_of(12), dst or faces_of(12, first=100)
        job = Job("train", sinks=[heard.append])
        return ShownFaces(*sides, config=tiny_config, device=torch.device("cpu"), job=job)

    return make


def texts(heard: list[Event]) -> list[str]:
    return [event.data["text"] for event in heard if event.kind == "message"]


def faces_like(shown, options, tiny_config, places: list[int]) -> torch.Tensor:
    """What training would show of these src faces, unwarped."""
    sides = [
        load_side(
            faces,
            "x",
            config=tiny_config,
            options=options,
            device=torch.device("cpu"),
            job=Job("t"),
        )
        for faces in (faces_of(12), faces_of(12, first=100))
    ]
    where = np.array(places, np.int64)
    return BatchSource(*sides, tiny_config, options).unwarped(where, where).src.target


def test_the_sample_is_fixed_and_half_of_it_was_kept_aside(shown, tiny_options) -> None:
    options = tiny_options.model_copy(update={"batch_size": 4, "held_out": 0.3})
    src, dst = shown()(options)
    again, _ = shown()(options)
    assert len(src.target) == len(dst.target) == 4
    assert torch.equal(src.target, again.target)
    assert len(torch.unique(src.target.flatten(1), dim=0)) == 4


def test_named_faces_come_first_and_look_as_in_training(shown, tiny_options, tiny_config) -> None:
    chosen = {"preview_src": ("00007_0.jpg", "00002_0"), "batch_size": 4}
    options = tiny_options.model_copy(update=chosen)
    src, _ = shown()(options)
    wanted = faces_like(shown, options, tiny_config, [7, 2])
    torch.testing.assert_close(src.target[:2], wanted, atol=1e-6, rtol=0)
    assert len(src.target) == 4
    assert src.mask.amax() > 0.9


def test_as_many_of_one_side_as_of_the_other(shown, tiny_options) -> None:
    options = tiny_options.model_copy(update={"batch_size": 4})
    src, dst = shown(src=faces_of(2))(options)
    assert len(src.target) == len(dst.target) == 2


def test_a_name_that_is_gone_is_told_and_another_face_shown(shown, tiny_options, heard) -> None:
    options = tiny_options.model_copy(update={"preview_dst": ("99999_0.jpg",)})
    _, dst = shown()(options)
    assert len(dst.target) == 2
    assert texts(heard) == ["no dst face 99999_0.jpg any more: previews show another"]


def test_faces_that_can_not_be_read_leave_those_of_before(shown, tiny_options, heard) -> None:
    faces = faces_of(12)
    make = shown(src=faces)
    src, _ = make(tiny_options)

    def gone() -> np.ndarray:
        raise MaterialError("src", expected="a face", found="none", remedy="Bring it back.")

    faces[:] = [replace(face, load=gone) for face in faces]
    more = tiny_options.model_copy(update={"preview_src": ("00003_0.jpg",)})
    again, _ = make(more)
    assert torch.equal(again.target, src.target)
    assert "previews show the src faces of before" in texts(heard)[0]
    with pytest.raises(MaterialError):
        shown(src=faces)(tiny_options)


@pytest.mark.parametrize("name", ["00001_0.jpg", "00001_0", "anna/00001_0.jpg"])
def test_a_face_may_be_named_without_ending_or_folder(name: str) -> None:
    check_chosen([name], ["00000_0.jpg", "anna/00001_0.jpg"], "--preview-src")


def test_an_unknown_face_is_refused(shown) -> None:
    with pytest.raises(OptionError, match=r"--preview-src.*'x.jpg'"):
        check_chosen(["x.jpg"], ["00000_0.jpg"], "--preview-src")
    with pytest.raises(OptionError, match="preview_dst"):
        shown().check({"preview_src": ("00003_0",), "preview_dst": ("00003_0",)})
