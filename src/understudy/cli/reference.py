"""The page of all commands, made from the steps' own declarations.

python -m understudy.cli.reference > docs/commands.md
"""

import sys
from typing import TYPE_CHECKING

from understudy.options import choices, flag_of, group_of, is_argument
from understudy.steps import STEPS, Step

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


def page() -> str:
    """Markdown with one section per command and one row per option."""
    parts = [
        "# Commands",
        "",
        "Made from the program's own declarations; `understudy COMMAND --help` shows the same.",
        "Every command also takes `--events FILE`, which writes what happens as JSON lines.",
        "Exit codes: 0 done, 2 an input is wrong, 3 finished but some items failed, 130 stopped.",
        "While a command runs, JSON lines on its standard input steer it, one command per line:",
        '`{"command": "save"}`, and likewise backup, preview, pause, resume and stop.',
        "Training is steered from another terminal by `train save` and the like, too.",
    ]
    for step in STEPS.values():
        parts += ["", *_section(step)]
    return "\n".join(parts) + "\n"


def _section(step: Step) -> list[str]:
    fields = step.options.model_fields
    arguments = " ".join(name.upper() for name, field in fields.items() if is_argument(field))
    lines = [f"## understudy {step.name} {arguments}".rstrip(), "", step.summary, ""]
    lines += ["| option | default | what | group |", "|---|---|---|---|"]
    return lines + [_row(name, field) for name, field in fields.items()]


def _row(name: str, field: "FieldInfo") -> str:
    flag = name.upper() if is_argument(field) else flag_of(name)
    text = field.description or ""
    values = choices(field)
    if values:
        text += f" One of: {', '.join(values)}."
    return f"| `{flag}` | {_default(field)} | {text} {_range(field)} | {group_of(field)} |".replace(
        "  |", " |"
    )


def _default(field: "FieldInfo") -> str:
    if field.is_required():
        return "required"
    default = field.default
    if default is None or default == () or str(default) in ("", "."):
        return ""
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"`{default}`"


def _range(field: "FieldInfo") -> str:
    low = next((m.ge for m in field.metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in field.metadata if hasattr(m, "le")), None)
    return f"{low} to {high}." if low is not None and high is not None else ""


if __name__ == "__main__":
    sys.stdout.write(page())
