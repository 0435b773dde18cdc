"""The framed text DFL leaves beside a model. Plain values in, text out.

Source: reference "DFL formats", section 7.5.
"""

from collections.abc import Mapping


def summary(name: str, iteration: int, options: Mapping[str, object]) -> str:
    """Name, iteration and options in a box; `name` is the model's with its kind."""
    facts: dict[str, object] = {"Model name": name, "Current iteration": iteration}
    rows = [*facts.items(), *options.items()]
    left = max(len(key) for key, _ in rows) + 1
    right = max(len(str(value)) for _, value in rows) + 1
    width = left + right + 2

    def title(text: str, fill: str) -> str:
        return f"=={text.center(width, fill)}=="

    def row(key: str, value: object) -> str:
        return f"=={key.rjust(left)}: {str(value).ljust(right)}=="

    blank = f"=={' ' * width}=="
    lines = [title(" Model Summary ", "="), blank]
    for key, value in facts.items():
        lines += [row(key, value), blank]
    lines += [title(" Model Options ", "-"), blank]
    lines += [row(key, value) for key, value in options.items()]
    lines += [blank, title("", "=")]
    return "\n".join(lines)
