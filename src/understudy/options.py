"""Options: values declared once, checked before anything starts.

An option is one field with a type, a default, a range, one sentence and a group; the command line,
the forms, the docs and the checks are all made from it. Raw values in, a frozen pydantic model out.
"""

from collections.abc import Mapping
from enum import Enum
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from understudy.errors import OptionError


class Options(BaseModel):
    """Base of every set of options: frozen, complete, without unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def option(default: Any, sentence: str, *, group: str = "Main", **limits: Any) -> Any:
    """A field with its `sentence` of help and its `group`; `limits` are pydantic's (ge, le, ...).

    Returns Any, as pydantic's Field does, so that it can be the default of a field of any type.
    """
    return Field(default, description=sentence, json_schema_extra={"group": group}, **limits)


def argument(sentence: str, *, default: Any = ..., **limits: Any) -> Any:
    """A field the command line takes by position: `extract src`."""
    return Field(
        default,
        description=sentence,
        json_schema_extra={"group": "Inputs", "positional": True},
        **limits,
    )


def flag_of(name: str) -> str:
    """What an option is called on the command line; `for_` is --for, a word of Python's own."""
    return "--" + name.rstrip("_").replace("_", "-")


def is_argument(field: FieldInfo) -> bool:
    """Whether an option is given by position."""
    extra = field.json_schema_extra
    return isinstance(extra, Mapping) and bool(extra.get("positional"))


def group_of(field: FieldInfo) -> str:
    """Group an option is shown under."""
    extra = field.json_schema_extra
    return str(extra.get("group", "Main")) if isinstance(extra, Mapping) else "Main"


def choices(field: FieldInfo) -> list[str]:
    """Names a field can take, if it takes names."""
    for note in field.metadata:
        names = getattr(note, "json_schema", None) or {}
        if "enum" in names:
            return [str(name) for name in names["enum"]]
    return _choices(field.annotation)


def _choices(annotation: Any) -> list[str]:  # a type, known only at run time
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    if get_origin(annotation) in (Union, UnionType):
        return [name for part in get_args(annotation) for name in _choices(part)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    return []


OptionsT = TypeVar("OptionsT", bound=BaseModel)


class ClashError(ValueError):
    """Values that do not go together; `names` are those of their options, the one to change first.

    For validators of a set of options; the user gets an `OptionError` made of it.
    """

    def __init__(self, expected: str, *names: str) -> None:
        super().__init__(expected)
        self.names = names


def parse(kind: type[OptionsT], values: Mapping[str, Any]) -> OptionsT:
    """`values` as a checked set of options.

    Raises:
        OptionError: names the first value that is wrong, its range and what came.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise option_error(kind, error) from error


def option_error(kind: type[BaseModel], error: ValidationError) -> OptionError:
    """The first complaint of pydantic in the user's terms."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"]) or kind.__name__
    flag = flag_of(name)
    if name in kind.model_fields and is_argument(kind.model_fields[name]):
        flag = name.upper()
    if first["type"] == "extra_forbidden":
        return OptionError(
            flag,
            expected="a known option",
            found=repr(name),
            remedy=f"Known: {', '.join(kind.model_fields)}.",
        )
    found, given = repr(first["input"]), first["input"]
    if not first["loc"] and isinstance(given, Mapping):  # values that don't go together
        clash = first.get("ctx", {}).get("error")
        names = clash.names if isinstance(clash, ClashError) else tuple(given)
        flag = flag_of(names[0]) if isinstance(clash, ClashError) else "options"
        found = ", ".join(f"{name} {given[name]}" for name in names if name in given)
    message = first["msg"]
    expected = message[0].lower() + message[1:]
    return OptionError(
        flag,
        expected=expected.removeprefix("input should be ").removeprefix("value error, "),
        found=found,
        remedy="See --help for the range.",
    )
