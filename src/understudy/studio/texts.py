"""Every text the studio shows, by its key: one file per language, English is complete.

A key and values in, a sentence out. Texts of steps and options come from their own declarations.
"""

import functools
import json
from pathlib import Path

LANGUAGE = "en"


def say(key: str, /, **values: object) -> str:
    """The text called `key`, with its {names} filled in.

    Raises:
        KeyError: there is no such text.
    """
    text = _texts(LANGUAGE)[key]
    return text.format(**values) if values else text


@functools.cache
def _texts(language: str) -> dict[str, str]:
    path = Path(__file__).with_name("texts") / f"{language}.json"
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found
