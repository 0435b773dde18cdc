"""Options of training, changed while it runs.

Options and the values of a command in, the checked values out. Knows no loop.
"""

from collections.abc import Mapping
from typing import Any  # any JSON value

from understudy.errors import OptionError
from understudy.models.config import ModelConfig
from understudy.options import parse
from understudy.training.plan.options import TrainOptions

_AT_START = {
    "memory_check": "it looks before training",
    "faces_memory": "faces are there already",
    "device": "the networks already lie on one",
    "threads": "they were made at the start",
    "precision": "the networks were made in one",
    "seed": "every draw of the run follows from it",
    "held_out": "faces kept aside must not have been trained on",
    "pretrain": "it decides which faces are read",
    "tensorboard": "its files are opened at the start",
    "dfl_parity": "it decides how faces are read",
}


def changed(options: TrainOptions, said: Mapping[str, Any]) -> dict[str, Any]:
    """Options to change with their checked values: all that a command "set" says, or none.

    It says {"key": NAME, "value": VALUE} or {"values": {NAME: VALUE, ...}}; names may be written as
    on the command line.

    Raises:
        OptionError: there is no such option, it can't change now, or a value does not fit.
    """
    wanted = said.get("values")
    if wanted is None and {"key", "value"} <= set(said):
        wanted = {said["key"]: said["value"]}
    if not isinstance(wanted, Mapping) or not wanted:
        raise OptionError(
            "set",
            expected="an option and its value",
            found=repr(dict(said))[:80],
            remedy='Such as {"command": "set", "key": "batch_size", "value": 8}.',
        )
    values = {_name(str(key)): value for key, value in wanted.items()}
    checked = parse(TrainOptions, options.model_dump() | values)
    return {name: getattr(checked, name) for name in values}


def told_of(changes: Mapping[str, Any]) -> str:
    """The changes as a sentence begins with them."""
    return ", ".join(f"{name} is {_in_words(value)}" for name, value in changes.items())


def _in_words(value: Any) -> str:
    return ", ".join(value) or "nothing" if isinstance(value, tuple) else str(value)


def _name(key: str) -> str:
    """Name of an option that can change now."""
    name = key.strip().removeprefix("--").replace("-", "_")
    if name in TrainOptions.model_fields and name not in _AT_START:
        return name
    if name in ModelConfig.model_fields:
        why, remedy = "fixes the shape of the weights", "It takes a new model: --model NAME."
    elif name in _AT_START:
        why = f"can't change now: {_AT_START[name]}"
        remedy = "Stop, and give it to the next run."
    else:
        why, remedy = "is no option", f"Known: {', '.join(TrainOptions.model_fields)}."
    raise OptionError(
        f"set {key}", expected="an option of training", found=f"{key}, which {why}", remedy=remedy
    )
