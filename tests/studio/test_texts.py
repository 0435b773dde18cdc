"""Every text of the studio stands in one file, and none stands there for nothing."""

import json
import re
from pathlib import Path

import understudy.studio
from understudy.job import COMMANDS
from understudy.studio.job_record import ENDED
from understudy.studio.pages import PAGES

ROOT = Path(understudy.studio.__file__).parent
TEXTS: dict[str, str] = json.loads((ROOT / "texts" / "en.json").read_text(encoding="utf-8"))
SAID = re.compile(r"\bsay\(\s*(f?)\"([a-z_.{}]*)")


def patterns() -> list[str]:
    """Keys the code says, as patterns; what is filled in may be any one word."""
    found = []
    for path in ROOT.rglob("*.py"):
        for filled, key in SAID.findall(path.read_text(encoding="utf-8")):
            if key:
                parts = re.split(r"\{[^}]*\}?", key) if filled else [key]
                found.append(r"[\w-]+".join(re.escape(part) for part in parts))
    return found


def test_every_text_said_is_there_and_every_text_there_is_said() -> None:
    said = patterns()
    keys = {text for page in PAGES for _, text in page.keys} | {"keys.help", "keys.rooms"}
    known = "\n".join(TEXTS)
    missing = [p for p in said if not re.search(rf"^{p}$", known, re.MULTILINE)]
    assert not missing, missing
    unsaid = [key for key in TEXTS if not any(re.fullmatch(p, key) for p in said)]
    assert set(unsaid) <= keys, unsaid


def test_texts_of_pages_keys_and_states_are_there() -> None:
    assert all(f"pages.{page.name}.title" in TEXTS for page in PAGES)
    assert all(text in TEXTS for page in PAGES for _, text in page.keys)
    assert all(f"jobs.state.{state}" in TEXTS for state in ("waiting", "running", *ENDED))
    assert set(COMMANDS) >= {"pause", "resume", "stop", "save", "backup"}


def test_pages_are_found_by_name_and_path() -> None:
    assert len({page.name for page in PAGES}) == len(PAGES) == len({page.path for page in PAGES})
    assert len(PAGES) <= 12
