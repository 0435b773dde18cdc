"""One option of training, changed while it runs.

Options, a key and a value in, the checked value out. Knows no loop.
"""

from typing import Any  # any JSON value

from understudy.errors import OptionError
from understudy.models.config import ModelConfig
from understudy.options import parse
from understudy.training.options import TrainOptions

_AT_START = {
    "device": "the networks already lie on one",
    "threads": "they were made at the start",
    "precision": "the networks were made in one",
    "seed": "every draw of the run follows from it",
    "held_out": "faces kept aside must not have been trained on",
    "pretrain": "it decides which faces are read",
    "dfl_parity": "it decides how faces are read",
}


def changed(options: TrainOptions, key: str, value: Any) -> tuple[str, Any]:
    """Name of the option and its checked value; the key may be written as on the command line.

    Raises:
        OptionError: there is no such option, it can't change now, or the value does not fit it.
    """
    name = key.strip().removeprefix("--").replace("-", "_")
    if name in TrainOptions.model_fields and name not in _AT_START:
        return name, getattr(parse(TrainOptions, options.model_dump() | {name: value}), name)
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
