"""Recipes are complete, and a file of one's own is checked."""

import json
from pathlib import Path

import pytest

from understudy.errors import OptionError
from understudy.training.plan.options import in_force
from understudy.training.plan.recipe_book import RECIPES, find_recipe


def test_a_processor_gets_a_network_it_can_train() -> None:
    standard = find_recipe("standard")
    assert standard.for_device("cuda") is standard
    small = standard.for_device("cpu")
    assert (small.config.resolution, small.options.cross_pairs) == (64, 0.5)
    assert find_recipe("dfl").for_device("cpu").config.resolution == 128


@pytest.mark.parametrize("kind", ["cuda", "cpu"])
@pytest.mark.parametrize("name", RECIPES)
def test_every_phase_of_a_recipe_changes_what_acts(name: str, kind: str) -> None:
    recipe = find_recipe(name).for_device(kind)
    assert recipe.summary.endswith(".")
    assert (recipe.options.save_minutes, recipe.options.backup_minutes) == (25.0, 60.0)
    plan, acting = recipe.plan(name, {}), []
    while not plan.is_over:
        acting.append(in_force(plan.acting(recipe.options), recipe.config))
        plan = plan.moved_on(1, 0.0, reason="")
    assert len({options.model_dump_json() for options in acting}) == len(recipe.phases)
    assert acting[0].random_warp
    assert not acting[-1].random_warp


def test_a_file_is_a_preset_and_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    values = {
        "preset": "saehd",
        "config": {"resolution": 64},
        "options": {"batch_size": 2},
        "phases": [{"name": "warped", "iterations": 10}],
    }
    path.write_text(json.dumps(values))
    recipe = find_recipe(str(path))
    assert (recipe.config.resolution, recipe.config.archi) == (64, "df-ud")
    assert (recipe.options.batch_size, recipe.options.target_iter) == (2, 0)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, r"own.json: phases: expected field required"),
        ({"phases": [{"name": "a"}]}, r"phases.0: expected iterations or plateau above 0"),
        ({"phases": [{"name": "a", "iteration": 3}]}, r"phases.0.iteration: expected extra"),
        (
            {"phases": [{"name": "a", "iterations": 3}], "options": {"batch_size": "many"}},
            r"--batch-size.*'many'",
        ),
        (
            {"phases": [{"name": "a", "iterations": 3}], "preset": "none"},
            r"preset.*demo, quick96.*'none'",
        ),
    ],
)
def test_a_file_that_is_wrong_names_the_place(
    tmp_path: Path, values: dict[str, object], said: str
) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps(values))
    with pytest.raises(OptionError, match=said):
        find_recipe(str(path))


def test_an_unknown_recipe_names_the_known() -> None:
    with pytest.raises(OptionError, match=r"standard, fast, hd, dfl.*'slow'"):
        find_recipe("slow")
