"""Where training begins: a new model or its last save, and its place in the plan it follows.

A model folder, options and a plan in, a `TrainState` out or moved on. Knows no network's inside.
"""

from collections.abc import Callable

from understudy.errors import OptionError
from understudy.models import build
from understudy.training.loop.pace import share_done
from understudy.training.loop.pretraining import end_pretraining
from understudy.training.monitor.health import cure
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.phases import Plan
from understudy.training.plan.setting import told_of
from understudy.training.state.history import History
from understudy.training.state.model_folder import ModelFolder, load_weights
from understudy.training.state.train_state import TrainState, loss_names
from understudy.training.step.face_step import TrainStep
from understudy.training.step.mask_step import MaskStep

Say = Callable[[str], None]


def begin(folder: ModelFolder, options: TrainOptions, say: Say) -> TrainState:
    """The last save, or a new model where none was ever made; `say` hears what is unusual.

    Raises:
        StateError: no save can be read.
    """
    if not folder.has_save:
        config = folder.config
        history = History.of(loss_names(config))
        return TrainState(config, build(config, seed=options.seed), options, history=history)
    state = folder.load(say)
    say(f"going on from iteration {state.iteration}")
    if state.options.pretrain and not options.pretrain:
        kept = folder.backup()
        anew = ", ".join(end_pretraining(state, seed=options.seed, parity=options.dfl_parity))
        say(f"pretraining is over: {anew} begin anew; the model as it was: {kept}")
    state.options = options
    return state


def back_to_save(
    folder: ModelFolder, state: TrainState, reason: str, say: Say, *, passing: int = 0
) -> TrainState:
    """The last save in place of a state that went wrong, with other random draws and a cure.

    Where there are others, the newest `passing` saves are passed over: they may hold a fault that
    shows only after them.

    The model stays the same object, with the weights of the save; options, and the time training
    took, are those of now.

    Raises:
        StateError: no save can be read.
    """
    saved, changes = folder.load(say, passing=passing), cure(state.acting)
    say(f"{reason}: back to iteration {saved.iteration}; {told_of(changes)} from now on")
    load_weights(state.model, saved.model.state_dict(), folder.path)
    saved.model, saved.options, saved.seconds = state.model, state.options, state.seconds
    saved.attempt = max(state.attempt, saved.attempt) + 1
    if saved.plan is not None and state.plan is not None:
        saved.plan = saved.plan.with_settings(state.plan.settings)
    saved.change(changes)
    return saved


def take_up(plan: Plan | None, state: TrainState, say: Say) -> None:
    """Let the model follow `plan`, from where it is if it follows it already.

    Without a plan it goes on with the one it has, if any.
    """
    if plan is not None and (state.plan is None or not state.plan.is_as(plan)):
        say(plan.told())
        state.plan = plan.begun(state.iteration, state.seconds)
    elif state.plan is not None:
        if plan is not None:
            state.plan = state.plan.with_settings(plan.settings)
        if not state.plan.is_over:
            number, name = state.plan.place + 1, state.plan.phase.name
            say(f"recipe {state.plan.recipe} goes on in phase {number}, {name}")


def to_load_by(state: TrainState) -> TrainOptions:
    """Options to load the faces by: with all that any phase needs of them."""
    options, plan = state.acting, state.plan
    often = plan is not None and plan.ever("eyes_mouth_prio", state.options)
    return options.model_copy(update={"eyes_mouth_prio": often or options.eyes_mouth_prio})


def phases_ahead(options: TrainOptions, plan: Plan | None) -> list[tuple[str, TrainOptions]]:
    """Names of the phases from the present one on, and the options of each; one without a plan."""
    if plan is None or plan.is_over:
        return [("", options if plan is None else plan.acting(options))]
    places = range(plan.place, len(plan.phases))
    plans = [plan.model_copy(update={"place": place}) for place in places]
    return [(later.phase.name, later.acting(options)) for later in plans]


def set_down(state: TrainState) -> None:
    """Bring what the optimizers know to the host: the next ones need their room on the device."""
    state.optimizer = {key: tensor.cpu() for key, tensor in state.optimizer.items()}
    state.adversaries = {key: tensor.cpu() for key, tensor in state.adversaries.items()}


def take_over(step: TrainStep | MaskStep, state: TrainState, say: Say) -> None:
    """Let the optimizer go on with what was saved; one of another kind begins anew."""
    saved, optimizer = state.optimizer, step.optimizer
    state.optimizer = optimizer.state_tensors()  # lets go of the file they came from
    if not saved:
        return
    slots = {key.partition("/")[0] for key in saved}
    if not slots.issuperset(optimizer.SLOTS):
        say("the optimizer was changed: its memory begins anew")
        averages = {k: v for k, v in saved.items() if k.startswith("average/")}
        saved = {**optimizer.state_tensors(), **averages}
    optimizer.load_state_tensors(saved)
    optimizer.iteration = state.optimizer_iteration
    step.adversaries.load_state_tensors(state.adversaries, say)


def move_on(state: TrainState, say: Say) -> bool:
    """Whether the phase was over, so that the next one holds now."""
    plan, iteration = state.plan, state.iteration
    if plan is None or plan.is_over:
        return False
    why = plan.why_over(iteration, share_done(state, state.options))
    if why is None:
        return False
    state.plan = moved = plan.moved_on(iteration, state.seconds, reason=why)
    following = "it was the last" if moved.is_over else f"now {moved.phase.name}"
    say(f"phase {plan.phase.name} ended at iteration {iteration}: {why}; {following}")
    return True


def check_measurable(state: TrainState, *, can_measure: bool) -> None:
    """Nothing, if every phase of the plan can end.

    Raises:
        OptionError: one ends by faces kept aside, and there are none.
    """
    if state.plan is None or can_measure or not any(p.plateau for p in state.plan.phases):
        return
    raise OptionError(
        "--held-out",
        expected="faces kept aside on both sides, by which the recipe's phases end",
        found="none",
        remedy="Raise --held-out or give more faces.",
    )
