"""A form made from a step's options: what they are called, their ranges, defaults and help.

Options in, elements out. What can't be changed shows why. Values come back as the command line
would take them; only those that differ from the default.
"""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin  # Any: values of many types

from nicegui import ui
from pydantic.fields import FieldInfo

from understudy.errors import OptionError
from understudy.options import Options, choices, flag_of, group_of
from understudy.studio.texts import say

Box = ui.switch | ui.select | ui.number | ui.input


class Form:
    """The fields of some options of a step."""

    def __init__(
        self,
        kind: type[Options],
        *,
        fields: Sequence[str],
        values: Mapping[str, Any] | None = None,
        locked: Mapping[str, str] | None = None,
    ) -> None:
        self._kind, self._locked = kind, dict(locked or {})
        self._inputs: dict[str, Box] = {}
        self._errors: dict[str, ui.label] = {}
        given = dict(values or {})
        groups: dict[str, list[str]] = {}
        for name in fields:
            groups.setdefault(group_of(kind.model_fields[name]), []).append(name)
        with ui.element("div").classes("form"):
            for group, names in groups.items():
                with ui.element("fieldset").classes("form-group"):
                    if len(groups) > 1:
                        with ui.element("legend"):
                            ui.label(group)
                    for name in names:
                        self._row(name, given)

    def values(self) -> dict[str, Any]:
        """What was filled in and differs from the default."""
        found = {}
        for name, element in self._inputs.items():
            field = self._kind.model_fields[name]
            value = _read(field, element.value)
            if name not in self._locked and value != _default(field):
                found[name] = value
        return found

    def tell(self, error: OptionError) -> bool:
        """Show what is wrong beside its field: whether it is one of this form."""
        for name, label in self._errors.items():
            mine = error.thing in (flag_of(name), name.upper())
            text = say("form.wrong", expected=error.expected, found=error.found) if mine else ""
            label.set_text(text)
            if mine:
                self._inputs[name].run_method("focus")
        return any(label.text for label in self._errors.values())

    def _row(self, name: str, given: Mapping[str, Any]) -> None:
        field = self._kind.model_fields[name]
        value = given.get(name, _default(field))
        reason = self._locked.get(name, "")
        title = flag_of(name)[2:].replace("-", " ")
        with ui.element("div").classes("form-row" + (" is-locked" if reason else "")):
            with ui.element("div").classes("form-field"):
                element = _input(field, title, value)
            element.props(f'data-option="{name}"')
            if reason:
                element.disable()
            ui.label((field.description or "") + _range(field)).classes("form-help")
            if reason:
                ui.label(say("form.locked", reason=reason)).classes("form-reason")
            self._errors[name] = ui.label().classes("form-error").props("role=alert")
        self._inputs[name] = element


def _input(field: FieldInfo, title: str, value: Any) -> Box:
    names = choices(field)
    kinds = _types(field.annotation)
    if bool in kinds:
        return ui.switch(title, value=bool(value)).props("dense")
    if names:
        options = {name: name for name in names}
        if field.default is None:
            options = {"": say("form.unset"), **options}
        shown = str(value) if value else ""
        return ui.select(options, value=shown, label=title).props("dense outlined options-dense")
    if int in kinds or float in kinds:
        figures = ui.number(title, value=value, min=_limit(field, "ge"), max=_limit(field, "le"))
        return figures.props("dense outlined" + ("" if float in kinds else " step=1"))
    text = value if isinstance(value, str) else _text(value)
    box = ui.input(title, value=text).props("dense outlined")
    return box.props("type=date stack-label") if datetime.date in kinds else box


def _read(field: FieldInfo, value: Any) -> Any:
    kinds = _types(field.annotation)
    if value in ("", None):
        default = _default(field)
        return default if not isinstance(default, str) else ""
    if int in kinds and float not in kinds and isinstance(value, float) and value.is_integer():
        return int(value)
    if tuple in kinds and isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if Path in kinds:
        return Path(value)
    return value


def _types(annotation: Any) -> set[Any]:
    """The plain types an option takes; those of a list stand as `tuple`."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return {kind for part in get_args(annotation) for kind in _types(part)}
    return {origin or annotation}


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=False)


def _limit(field: FieldInfo, name: str) -> float | None:
    return next((getattr(m, name) for m in field.metadata if hasattr(m, name)), None)


def _range(field: FieldInfo) -> str:
    low, high = _limit(field, "ge"), _limit(field, "le")
    if low is None or high is None:
        return ""
    return " " + say("form.range", low=f"{low:g}", high=f"{high:g}")


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(each) for each in value)
    return "" if value is None else str(value)
