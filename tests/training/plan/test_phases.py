"""Plans: which phase, what it changes, what ends it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.training.plan.options import TrainOptions
from understudy.training.plan.phases import Phase, Plan


def _plan(**first: object) -> Plan:
    phases = (Phase(name="warped", **first), Phase(name="GAN", iterations=5))
    return Plan(recipe="own", phases=phases, measure_every=2)


def _why(plan: Plan, iteration: int, seconds: float = 0.0, **limits: float) -> str | None:
    share = plan.phase_share(iteration, seconds, TrainOptions(**limits))
    return plan.why_over(iteration, share)


def test_a_phase_ends_after_its_iterations() -> None:
    plan = _plan(iterations=10)
    assert _why(plan, 9) is None
    assert _why(plan, 10) == "10 iterations are done"
    moved = plan.moved_on(10, 1.0, reason="10 iterations are done")
    assert (moved.phase.name, moved.began, moved.is_over) == ("GAN", 10, False)
    assert _why(moved, 14) is None
    over = moved.moved_on(15, 2.0, reason="5 iterations are done")
    assert over.is_over
    assert [(e.name, e.iteration) for e in over.ended] == [("warped", 10), ("GAN", 15)]


def test_a_phase_ends_where_the_measure_grows_no_more() -> None:
    plan = _plan(plateau=6, gain=0.01)
    assert plan.wants_measure(4)
    assert not plan.wants_measure(5)
    for iteration, value in ((2, 0.5), (4, 0.6), (6, 0.605), (8, 0.609)):
        plan = plan.measured(iteration, value)
        assert _why(plan, iteration) is None
    assert plan.best == 0.6
    reason = _why(plan.measured(10, 0.6), 10)
    assert reason is not None
    assert "no better than 0.600" in reason


def test_a_limited_run_is_shared_out_among_its_phases() -> None:
    plan = _plan(iterations=10).begun(100, 0.0)
    assert _why(plan, 219, target_iter=280) is None
    assert _why(plan, 220, target_iter=280) == "120 iterations are done"
    moved = plan.moved_on(220, 0.0, reason="")
    assert moved.phase_share(250, 0.0, TrainOptions(target_iter=280)) == pytest.approx(0.5)
    # a phase that a plateau ended early leaves its time to the next
    early = plan.moved_on(130, 0.0, reason="")
    assert early.phase_share(205, 0.0, TrainOptions(target_iter=280)) == pytest.approx(0.5)


def test_minutes_share_out_a_run_by_its_time() -> None:
    plan = _plan(iterations=10)
    assert _why(plan, 7, 399.0, minutes=10) is None
    assert _why(plan, 7, 400.0, minutes=10) == "7 iterations are done"
    moved = plan.moved_on(7, 400.0, reason="")
    assert moved.phase_share(9, 500.0, TrainOptions(minutes=10)) == pytest.approx(0.5)
    # whichever limit is nearer counts
    assert _why(plan, 8, 60.0, minutes=10, target_iter=12) is not None


def test_phases_of_any_length_are_not_shared_out() -> None:
    plan = _plan(plateau=4)
    assert _why(plan, 3, target_iter=4) is None


@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_measures_give_the_same_plan_whether_saved_between_or_not(values: list[float]) -> None:
    straight = saved = _plan(plateau=6)
    for place, value in enumerate(values):
        straight = straight.measured(2 * place, value)
        saved = Plan.model_validate_json(saved.measured(2 * place, value).model_dump_json())
        assert saved == straight
        assert _why(saved, 2 * place) == _why(straight, 2 * place)


def test_what_the_user_sets_holds_in_every_phase() -> None:
    plan = _plan(iterations=1, options={"random_warp": False, "batch_size": 8})
    acting = plan.acting(TrainOptions(ct_mode="rct"))
    assert (acting.random_warp, acting.batch_size, acting.ct_mode) == (False, 8, "rct")
    acting = plan.with_settings({"batch_size": 2, "minutes": 5.0}).acting(TrainOptions())
    assert (acting.random_warp, acting.batch_size, acting.minutes) == (False, 2, 0.0)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"iterations": 0}, "a phase has to end"),
        ({"iterations": 1, "options": {"resolution": 64}}, "'resolution' is none"),
        ({"iterations": 1, "options": {"seed": 64}}, "seed is fixed for the whole run"),
        ({"iterations": 1, "options": {"batch_size": 0}}, "greater than or equal to 1"),
    ],
)
def test_a_phase_that_makes_no_sense_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Phase(name="x", **values)
