"""What a run does, of what is asked for and what is on disk."""

import pytest

from understudy.errors import OptionError
from understudy.steps.mask.train import MaskTrainOptions
from understudy.steps.train import TrainStepOptions
from understudy.steps.train_course import course_of, is_over
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.recipe_book import RECIPES
from understudy.training.state.model_folder import SaveFacts

BASE = TrainOptions(batch_size=3, learning_rate=1e-4, target_iter=50)
STORED = TrainOptions(batch_size=5, learning_rate=2e-4, minutes=2.0, seed=9)
KINDS = (TrainStepOptions, MaskTrainOptions)
RECIPE_OF = {TrainStepOptions: "standard", MaskTrainOptions: "masks"}


def facts(**other) -> SaveFacts:
    return SaveFacts(**{"iteration": 40, "seconds": 60.0, "options": STORED, "sha256": ""} | other)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_given_goes_before_the_save_and_the_save_before_the_base(kind) -> None:
    course = course_of(kind(batch_size=7), base=BASE, newest=facts(), recipe=None, recipe_name=None)
    assert course.training == STORED.model_copy(update={"batch_size": 7})
    assert course.settings == {"batch_size": 7}
    assert course.plan is None
    new = course_of(kind(batch_size=7), base=BASE, newest=None, recipe=None, recipe_name=None)
    assert new.training == BASE.model_copy(update={"batch_size": 7})


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_given_now_replaces_all_limits_of_before(kind) -> None:
    course = course_of(kind(target_iter=90), base=BASE, newest=facts(), recipe=None, recipe_name="")
    assert (course.training.target_iter, course.training.minutes) == (90, 0.0)
    assert not is_over(course.training, facts())
    assert is_over(course.training, facts(iteration=90))
    assert is_over(STORED, facts(seconds=120.0))


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_begins_with_its_own_options_and_goes_on_with_the_saved_ones(kind) -> None:
    name = RECIPE_OF[kind]
    recipe = RECIPES[name]

    def course(newest: SaveFacts):
        return course_of(
            kind(batch_size=6),
            base=recipe.options,
            newest=newest,
            recipe=recipe,
            recipe_name=name,
        )

    begun = course(facts())
    assert begun.training == recipe.options.model_copy(update={"batch_size": 6})
    assert begun.plan is not None
    assert (begun.plan.recipe, begun.plan.settings) == (name, {"batch_size": 6})
    followed = course(facts(plan=begun.plan))
    assert followed.training == STORED.model_copy(update={"batch_size": 6})


def test_a_plan_that_is_followed_goes_on_without_being_named() -> None:
    plan = RECIPES["standard"].plan("standard", {})
    course = course_of(
        TrainStepOptions(ema=0.5), base=BASE, newest=facts(plan=plan), recipe=None, recipe_name=None
    )
    assert course.plan == plan.with_settings({"ema": 0.5})


def test_options_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(OptionError):
        course_of(
            TrainStepOptions.model_construct({"batch_size"}, batch_size=-1),
            base=BASE,
            newest=None,
            recipe=None,
            recipe_name=None,
        )
