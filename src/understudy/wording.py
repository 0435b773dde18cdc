"""Counts as people write them: "1 face", "12 faces"."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """`number` with the noun in the form that goes with it."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
