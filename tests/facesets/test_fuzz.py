"""A short run of damaged and hostile files through every reader; the long one is `fuzz_run.py`."""

import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz_inputs import Seeds, load_seeds, make_input
from fuzz_readers import Feeder


@pytest.fixture(scope="module")
def seeds(shared: Path) -> Seeds:
    return load_seeds(shared)


@pytest.fixture(scope="module")
def feeder(seeds: Seeds, tmp_path_factory: pytest.TempPathFactory) -> Feeder:
    return Feeder(tmp_path_factory.mktemp("fuzz"), seeds.faces[0])


@settings(
    max_examples=int(os.environ.get("UNDERSTUDY_FUZZ", "150")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(chance=st.randoms(use_true_random=False), turn=st.integers(0, 7))
def test_readers_give_a_value_or_an_error(
    chance: Random, turn: int, seeds: Seeds, feeder: Feeder
) -> None:
    feeder.feed(make_input(chance, seeds), turn)
    feeder.check_folder()


def test_both_happen_often(seeds: Seeds, feeder: Feeder) -> None:
    outcomes = [feeder.feed(make_input(Random(turn), seeds), turn) for turn in range(1500)]
    feeder.check_folder()
    assert 0.1 < outcomes.count("read") / len(outcomes) < 0.6
