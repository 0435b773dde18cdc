"""Commands from steps.

`STEPS` in, a cyclopts app out: each option becomes a flag with its help, range and default from the
step's own declaration. Only the command that was asked for has its options loaded. Values are
converted here and checked by the step's options.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import cyclopts

from understudy import __version__
from understudy.cli.complaints import as_option_error
from understudy.steps import GROUPS, STEPS, Step

if TYPE_CHECKING:  # pydantic is loaded only once a command is asked for
    from pydantic.fields import FieldInfo

    from understudy.options import Options

EVENTS = "events"
FIRST_GROUPS = ("Inputs", "Main")
LAST_GROUP = "Machine"


def parse_command(tokens: Sequence[str]) -> tuple[Step, dict[str, Any], Path | None] | None:
    """The step asked for, the values given for it, and the events file.

    None when there is nothing to run: help or the version was shown.

    Raises:
        OptionError: an unknown command or option, or a value that can't be read as its type.
    """
    app = _app(_wanted(tokens))
    try:
        command, bound, _ = app.parse_args(
            list(tokens), exit_on_error=False, print_error=False, help_on_error=False
        )
    except cyclopts.CycloptsError as error:
        wanted = _wanted(tokens)
        group = tokens[0] if tokens and tokens[0] in GROUPS else ""
        asked_for = f"understudy {wanted or group}".rstrip()
        raise as_option_error(error, asked_for, runs=bool(wanted)) from error
    step = STEPS.get(getattr(command, "__name__", ""))
    if step is None:
        command(*bound.args, **bound.kwargs)
        return None
    values = dict(bound.arguments)
    events = values.pop(EVENTS, None)
    return step, values, events


def _app(wanted: str) -> cyclopts.App:
    app = cyclopts.App(
        name="understudy",
        help="Face replacement for film and video.",
        version=f"understudy {__version__}",
    )
    groups: dict[str, cyclopts.App] = {}
    for place, step in enumerate(STEPS.values()):
        group, _, name = step.name.rpartition(" ")
        group = step.name if step.name in GROUPS else group
        if group and group not in groups:
            groups[group] = cyclopts.App(name=group, help=GROUPS[group], sort_key=place)
            app.command(groups[group])
        function = _function(step, loaded=step.name == wanted)
        if step.name == group:  # a step, and the first word of others
            groups[group].default(function)
        else:
            (groups[group] if group else app).command(function, name=name, sort_key=place)
    return app


def _wanted(tokens: Sequence[str]) -> str:
    """Name of the step the command line begins with; "" if there is none."""
    named = (" ".join(tokens[:words]) for words in (2, 1))
    return next((name for name in named if name in STEPS), "")


def _function(step: Step, *, loaded: bool) -> Callable[..., None]:
    def command() -> None:
        """Replaced below."""

    command.__name__ = step.name
    command.__doc__ = step.summary
    if loaded:
        from understudy.options import group_of

        fields = step.options.model_fields
        # what a preset turns on can be turned off
        turns_off = "preset" in fields
        groups = _groups(fields.values())
        parameters = [
            _parameter(name, field, groups[group_of(field)], turns_off=turns_off)
            for name, field in fields.items()
        ]
        parameters.sort(key=lambda p: p.kind)
        parameters.append(
            inspect.Parameter(
                EVENTS,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[
                    Path | None,
                    cyclopts.Parameter(
                        help="Write what happens to this file as JSON lines.",
                        group=groups[LAST_GROUP],
                    ),
                ],
            )
        )
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _parameter(
    name: str, field: "FieldInfo", group: cyclopts.Group, *, turns_off: bool
) -> inspect.Parameter:
    from understudy.options import flag_of, is_argument

    positional, required = is_argument(field), field.is_required()
    default = None if required else field.get_default(call_default_factory=True, validated_data={})
    default = str(default) if isinstance(default, StrEnum) else default
    form = cyclopts.Parameter(
        name=flag_of(name) if name.endswith("_") else None,
        help=_help(field),
        group=group,
        negative=None if default is True or turns_off else (),
        negative_iterable=(),
        consume_multiple=True,
        converter=_to_paths if "Path" in str(field.annotation) else None,
        show_default=not required and default not in (None, (), "", Path()),
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD if positional else inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else default,
        annotation=Annotated[_type(field), form],
    )


def _to_paths(kind: Any, tokens: Sequence[cyclopts.Token]) -> Any:  # types made at run time
    """The paths given; a shell's empty variable is none, and not the folder one stands in."""
    for token in tokens:
        if not token.value:
            raise cyclopts.CoercionError(token=token, target_type=Path)
    return cyclopts.convert(kind, tokens)


def _groups(fields: Iterable["FieldInfo"]) -> dict[str, cyclopts.Group]:
    """Groups of a command by name, in the order its help shows them: what it is about first."""
    from understudy.options import group_of

    met = dict.fromkeys([*FIRST_GROUPS, *(group_of(field) for field in fields)])
    met.pop(LAST_GROUP, None)
    return {
        name: cyclopts.Group(name, sort_key=place) for place, name in enumerate([*met, LAST_GROUP])
    }


def _type(field: "FieldInfo") -> Any:  # a type, made at run time
    for note in field.metadata:  # a name out of a registry
        names = getattr(note, "json_schema", None) or {}
        if "enum" in names:
            return Literal[tuple(names["enum"])]
    return _plain(field.annotation)


def _plain(annotation: Any) -> Any:
    """The type as the command line reads it: enums by their values, tuples as lists."""
    if inspect.isclass(annotation) and issubclass(annotation, StrEnum):
        return Literal[tuple(str(member) for member in annotation)]
    origin = get_origin(annotation)
    if origin is tuple:
        return list[_plain(get_args(annotation)[0])]  # type: ignore[misc]
    if origin in (Union, type(int | None)):
        parts = tuple(_plain(part) for part in get_args(annotation))
        return Union[parts]  # noqa: UP007 - built at run time
    return annotation


def _help(field: "FieldInfo") -> str:
    text = field.description or ""
    low = next((m.ge for m in field.metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in field.metadata if hasattr(m, "le")), None)
    if low is not None and high is not None:
        text += f" {low} to {high}."
    return text


def checked(step: Step, values: dict[str, Any]) -> "Options":
    """The step's options from the values given.

    Raises:
        OptionError: names the value, its range and what came.
    """
    from understudy.options import parse

    return parse(step.options, values)
