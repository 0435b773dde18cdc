"""What is wrong with a command line, in the words of all other errors.

An error of cyclopts in, an `OptionError` out that names the option, what it takes, what came and
where to look. Knows no step.
"""

import datetime
import re
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin  # types, made at run time

import cyclopts

from understudy.errors import OptionError

_IN_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "yes or no",
    Path: "a path",
    datetime.date: "a date, such as 2030-12-31",
    datetime.datetime: "a date, such as 2030-12-31",
}


def as_option_error(error: cyclopts.CycloptsError, command: str, *, runs: bool) -> OptionError:
    """The error told of `command`, which is a step if `runs` and otherwise a group of them."""
    guess = re.search(r"Did you mean (.+?)\?", " ".join(str(error).split()))
    remedy = f"{guess[0]} " if guess else ""
    thing, expected, found = _told(error, command, runs=runs)
    return OptionError(
        thing, expected=expected, found=found, remedy=f"{remedy}See: {command} --help"
    )


def _told(error: cyclopts.CycloptsError, command: str, *, runs: bool) -> tuple[str, str, str]:
    """Thing, what was expected, what was found."""
    if isinstance(error, cyclopts.UnknownOptionError):
        return error.token.keyword or error.token.value, f"an option of {command}", "none of them"
    if isinstance(error, cyclopts.UnknownCommandError) and error.unused_tokens:
        return error.unused_tokens[0], f"a command of {command}", "none of them"
    if isinstance(error, cyclopts.CoercionError) and error.token is not None:
        thing = error.token.keyword or _name(error.argument) or command
        return thing, _in_words(error.target_type), repr(error.token.value)
    if isinstance(error, cyclopts.MissingArgumentError):
        thing = error.keyword or _name(error.argument) or command
        return f"{command} {thing}", _wanted(error.argument), "nothing"
    if isinstance(error, cyclopts.UnusedCliTokensError) and error.unused_tokens:
        return command, "no further words", " ".join(map(repr, error.unused_tokens))
    said = " ".join(str(error).split()).partition(" Did you mean ")[0]
    expected = "its options" if runs else "one of its commands"
    return command, expected, said.rstrip(".") or type(error).__name__


def _name(argument: Any) -> str:  # cyclopts' own kind
    if argument is None:
        return ""
    name = str(argument.name)
    return name.lstrip("-").upper() if argument.field_info.is_positional else name


def _wanted(argument: Any) -> str:  # cyclopts' own kind
    help_text = str(argument.parameter.help or "") if argument is not None else ""
    sentence = help_text.partition(". ")[0].rstrip(".")
    return f"a value ({sentence[:1].lower()}{sentence[1:]})" if sentence else "a value"


def _in_words(kind: Any) -> str:  # a type, made at run time
    """What a type takes, for people."""
    origin = get_origin(kind)
    if origin is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if origin is Union or (origin is not None and type(None) in get_args(kind)):
        return " or ".join(_in_words(k) for k in get_args(kind) if k is not type(None))
    return _IN_WORDS.get(kind, getattr(kind, "__name__", "another value"))
