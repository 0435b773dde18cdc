"""Measures of training on the smallest models: what is told, and that it hangs together."""

import json
from pathlib import Path

import pytest
import torch

from understudy.bench.arithmetic import measured_peak, operations
from understudy.bench.card import measure_card, write
from understudy.bench.cases import CARD_CASES, CASES, Case
from understudy.bench.plain import PlainStep
from understudy.bench.train import noise
from understudy.cli.main import main
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.face_model import as_face_model
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.batches import BatchSource
from understudy.training.step.face_step import TrainStep

SMALL = ["--resolution", "64", "--ae-dims", "8", "--e-dims", "8", "--d-dims", "8"]
SMALL += ["--d-mask-dims", "4", "--batch-size", "2", "--threads", "1", "--iterations", "2"]
CPU = torch.device("cpu")


@pytest.fixture
def row(capsys: pytest.CaptureFixture[str]):
    def run(*tokens: str) -> dict:
        capsys.readouterr()
        assert main(["bench", *tokens]) == 0
        value = json.loads(capsys.readouterr().out)
        assert isinstance(value, dict)
        return value

    return run


def _config(archi: str = "df-ud") -> ModelConfig:
    return ModelConfig(resolution=64, archi=archi, ae_dims=8, e_dims=8, d_dims=8, d_mask_dims=4)


def test_training_is_told_with_its_parts_and_the_reference(row) -> None:
    told = row("train", *SMALL, "--reference", "--device", "cpu")
    assert told["items"] == 2
    assert set(told["share_of"]) == {"bank", "forward", "backward", "optimizer"}
    assert sum(told["share_of"].values()) == pytest.approx(1, abs=0.01)
    assert told["samples_per_second"] == pytest.approx(2 * told["rate_per_second"], rel=0.01)
    seconds = told["reference"]["cpu_seconds"] / told["cpu_seconds"]
    assert told["ratio_to_reference"] == pytest.approx(seconds, abs=0.01)
    assert told["gflop_per_item"] == told["reference"]["gflop_per_item"] > 0


def test_cases_are_those_with_a_goal(row) -> None:
    assert (CASES["df-ud-64"].config.ae_dims, CASES["df-ud-64"].batch_size) == (128, 8)
    assert CASES["liae-ud-128"].config.model_copy(update={"archi": "df-ud"}) == (
        CASES["df-ud-128"].config
    )
    assert {case.config.resolution for case in CARD_CASES.values()} == {128, 256, 512}
    told = row("train", "--case", "liae-ud-128", *SMALL, "--device", "cpu")
    assert told["settings"]["config"]["archi"] == "liae-ud"
    assert told["settings"]["config"]["resolution"] == 64


@pytest.mark.parametrize("ct_mode", ["none", "sot"])
def test_samples_are_told_apart_from_reading(row, ct_mode: str) -> None:
    told = row("sample", "--ct-mode", ct_mode, "--iterations", "1", "--device", "cpu")
    assert told["items"] == 8
    assert told["settings"]["ct_mode"] == ct_mode
    assert told["cpu_units_per_item"] > 0
    assert told["reading_units_per_face"] > 0


def test_scaling_tells_one_and_two(row) -> None:
    told = row("scaling", *SMALL, "--devices", "cpu,cpu")
    assert told["processes"] == 2
    one, two = told["samples_per_second_of_one"], told["samples_per_second"]
    assert told["efficiency"] == pytest.approx(two / one / 2, abs=0.01)
    assert "exchange" in told["share_of"]


def test_scaling_needs_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "scaling", *SMALL, "--device", "cpu"]) == 2
    assert "--devices" in capsys.readouterr().err


@pytest.mark.parametrize("archi", ["df-ud", "liae-ud"])
def test_operations_are_counted_forward_and_back(archi: str) -> None:
    one, two = operations(_config(archi), 1), operations(_config(archi), 2)
    assert two == pytest.approx(2 * one)
    # by hand: 355 GFLOP with four faces of each side
    assert operations(CASES["df-ud-128"].config, 4) == pytest.approx(355e9, rel=0.01)


def test_the_straight_port_learns_what_ours_learns() -> None:
    torch.set_num_threads(1)
    config, options = _config(), TrainOptions(batch_size=2, precision="fp32", device="cpu")
    source = BatchSource(noise(config, CPU, 0), noise(config, CPU, 1), config, options)
    ours = TrainStep(as_face_model(build(config, seed=1)), options)
    plain = PlainStep(as_face_model(build(config, seed=1)), device=CPU, rate=1e-3)
    batch = source.batch(0)
    told = plain(batch)
    for own, other in zip(ours.losses(batch), told, strict=True):
        torch.testing.assert_close(own.detach(), other, rtol=1e-4, atol=1e-5)
    for _ in range(5):
        later = plain(batch)
    assert float(later.src.sum()) < float(told.src.sum())


def test_a_matrix_product_has_a_rate() -> None:
    assert measured_peak(CPU, dtype=torch.float32, side=64) > 0


def test_the_page_of_a_card_tells_everything_measured(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    cases = {"df-ud-64": Case(_config(), 2)}
    found = measure_card(cases, device="cpu", seconds=0.01, repeats=1)
    text, figures = write(found, tmp_path)
    assert json.loads(figures.read_text())["cases"]["df-ud-64"]["kernels"]
    told = text.read_text()
    assert text.name == "processor.md"
    for word in ("samples/s", "share of peak", "straight port", "bank", "What limits each"):
        assert word in told
    assert told.count("| df-ud-64 |") == 4
    found["cases"]["df-ud-64"]["ours"] = {"does_not_fit": "out of memory"}
    found["cases"]["df-ud-64"]["reference"] = {"does_not_fit": "out of memory"}
    assert write(found, tmp_path)[0].read_text().count("does not fit") == 2
