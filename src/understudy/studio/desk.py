"""What the studio has open: workspaces, their facts, and the queue.

One for the whole server; pages ask it and never the disk. Remembers across restarts which
workspaces were open.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar  # Any: details of reports

from understudy.errors import FileError, OptionError, UnderstudyError
from understudy.files import make_dir, read_json, write_json
from understudy.job import Job
from understudy.options import parse
from understudy.steps import STEPS
from understudy.studio.jobs import Jobs
from understudy.studio.paths import plain_name
from understudy.types import Report
from understudy.user_folder import data_dir
from understudy.workspace import Workspace

log = logging.getLogger("understudy.studio")

T = TypeVar("T")
_FRESH_SECONDS = 1.0
_TICK_SECONDS = 0.25
_REMEMBERED = 12


@dataclass(slots=True)
class Opened:
    """A workspace the studio has open."""

    key: str
    workspace: Workspace
    facts: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    labelled: dict[str, int] = field(default_factory=dict)
    looked: float = 0.0

    @property
    def root(self) -> Path:
        return self.workspace.root

    @property
    def name(self) -> str:
        return self.root.name


class Desk:
    """All that is open."""

    def __init__(self, projects: Path) -> None:
        self.projects = projects
        self.jobs = Jobs()
        self.largest_upload = 0
        self._opened: dict[str, Opened] = {}
        self._looking = asyncio.Lock()

    # ------------------------------------------------------------------ workspaces

    @property
    def opened(self) -> list[Opened]:
        """The workspaces, in the order they were opened."""
        return list(self._opened.values())

    def find(self, key: str) -> Opened:
        """The opened workspace of that key.

        Raises:
            FileError: there is none.
        """
        if key not in self._opened:
            raise FileError(
                "workspace", expected="one that is open", found=repr(key[:40]), remedy="Open it."
            )
        return self._opened[key]

    def open(self, root: Path) -> Opened:
        """The workspace at `root`, opened.

        Raises:
            WorkspaceError: it is none, or another studio has it.
        """
        root = root.resolve()
        key = hashlib.sha256(str(root).encode(errors="surrogateescape")).hexdigest()[:10]
        if key not in self._opened:
            workspace = Workspace.open(root)
            workspace.check_is_one()
            self.jobs.open(root)
            self._opened[key] = Opened(key, workspace)
            self._remember()
        return self._opened[key]

    def create(self, name: str) -> Opened:
        """A new workspace called `name` in the folder of projects.

        Raises:
            FileError: the name is none, or taken.
        """
        root = self.projects / plain_name(name)
        if root.exists():
            raise FileError(root, expected="a free name", found="a folder", remedy="Open it.")
        Workspace.create(root)
        return self.open(root)

    def open_remembered(self) -> None:
        """Open what was open last; what is gone is left out and told in the log."""
        for text in _remembered():
            try:
                self.open(Path(text))
            except UnderstudyError as error:
                log.warning("not opened again: %s", error)

    def _remember(self) -> None:
        now = [str(each.root) for each in self.opened]
        before = [text for text in _remembered() if text not in now]
        make_dir(_memory().parent)
        write_json(_memory(), {"workspaces": [*now, *before][:_REMEMBERED]})

    # ------------------------------------------------------------------ what they hold

    async def look(self, opened: Opened) -> None:
        """Bring the facts of a workspace up to date, at most once a second."""
        async with self._looking:
            if time.monotonic() - opened.looked < _FRESH_SECONDS:
                return
            try:
                report = await asyncio.to_thread(ask, "info", workspace=opened.root)
                opened.facts, opened.problem = report.details, ""
            except UnderstudyError as error:
                opened.problem = str(error)
            opened.looked = time.monotonic()

    # ------------------------------------------------------------------ what happens by itself

    async def run(self) -> None:
        """Keep the queue going until cancelled."""
        try:
            while True:
                self.jobs.tick()
                await asyncio.sleep(_TICK_SECONDS)
        finally:
            self.jobs.close()


def ask(step: str, /, **values: Any) -> Report:
    """The report of a step that only looks, run here and now.

    Raises:
        UnderstudyError: it can't tell.
    """
    kind = STEPS[step]
    return kind.function(parse(kind.options, values), Job(step, workers=1))


async def answered(work: Callable[[], T], fallback: Callable[[UnderstudyError], T]) -> T:
    """What `work` gives in a thread, or what the fallback makes of the user's error."""
    try:
        return await asyncio.to_thread(work)
    except UnderstudyError as error:
        return fallback(error)


def _memory() -> Path:
    return data_dir() / "studio" / "workspaces.json"


def _remembered() -> list[str]:
    if not _memory().exists():
        return []
    content = read_json(_memory())
    names = content.get("workspaces", []) if isinstance(content, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise OptionError(
            _memory().name,
            expected="a list of workspaces",
            found="something else",
            remedy=f"Remove {_memory()}.",
        )
    return names
