"""Command lines out of values: what a user would type to start the same step.

A step and checked values in, the words of its command out.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any  # values of options, of many types

from understudy.options import flag_of, is_argument, parse
from understudy.steps import STEPS


def words_of(step: str, values: Mapping[str, Any]) -> list[str]:
    """Words of the command that starts `step` with these values, after `understudy`.

    Raises:
        OptionError: a value is wrong.
    """
    kind = STEPS[step].options
    checked = parse(kind, values)
    words = step.split()
    flags: list[str] = []
    for name, field in kind.model_fields.items():
        if name not in values:
            continue
        value = getattr(checked, name)
        if is_argument(field):
            words += _texts(value)
        else:
            flags += _flags(flag_of(name), value, default=field.get_default())
    return words + flags


def _flags(flag: str, value: Any, *, default: Any) -> list[str]:
    if value is None or (isinstance(value, bool) and value == default):
        return []
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    return [f"{flag}={text}" for text in _texts(value)]


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, tuple) else (value,)
    return [str(each.value if isinstance(each, Enum) else each) for each in values]
