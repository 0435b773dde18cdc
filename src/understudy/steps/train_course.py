"""What a run of training is to do: options and a plan, of what is asked for and what is on disk.

The options of `train` or `mask train` and the last save in, a `Course` out. Knows neither faces nor
networks.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from understudy.options import Options, parse
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.phases import Plan
from understudy.training.plan.recipe_book import Recipe

if TYPE_CHECKING:  # options of steps are shown without torch
    from understudy.training.state.model_folder import SaveFacts


class Course(NamedTuple):
    """Options and plan of a run; `settings` are those that were given by hand, and hold in it."""

    training: TrainOptions
    settings: dict[str, Any]
    plan: Plan | None


def course_of(
    options: Options,
    *,
    base: TrainOptions,
    newest: "SaveFacts | None",
    recipe: Recipe | None,
    recipe_name: str | None,
) -> Course:
    """The options of the last run, or `base` where none was or a recipe begins, and those given.

    Raises:
        OptionError: values that do not go together.
    """
    given = {
        n: getattr(options, n) for n in options.model_fields_set & TrainOptions.model_fields.keys()
    }
    begins = recipe is not None and not _follows(newest, recipe_name)
    before = base if newest is None or begins else newest.options
    # a limit given now replaces those of before: --target-iter is not cut short by old minutes
    limits = {"target_iter": 0, "minutes": 0.0} if {"target_iter", "minutes"} & given.keys() else {}
    training = parse(TrainOptions, before.model_dump() | limits | given)
    settings = {name: getattr(training, name) for name in given}
    plan = newest.plan.with_settings(settings) if newest and newest.plan else None
    if recipe is not None:
        plan = recipe.plan(recipe_name or "", settings)
    return Course(training, settings, plan)


def is_over(training: TrainOptions, newest: "SaveFacts") -> bool:
    """Whether the save has reached what is asked for, so that no face need be loaded."""
    reached = bool(training.target_iter) and newest.iteration >= training.target_iter
    timed_out = bool(training.minutes) and newest.seconds >= 60 * training.minutes
    return reached or timed_out


def _follows(newest: "SaveFacts | None", recipe: str | None) -> bool:
    """Whether the model is already trained by this recipe."""
    return newest is not None and newest.plan is not None and newest.plan.recipe == recipe
