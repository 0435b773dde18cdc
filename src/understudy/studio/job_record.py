"""A job as it lies on disk: its record, its events, its log; and what they say.

    <workspace>/studio/jobs/0007/job.json        step, values, state, process
                                 events.jsonl    what the command tells
                                 log.txt         what it prints
                                 input           a named pipe: commands to it
                                 alive           locked by the process as long as it lives

Reads and writes one job's folder. Starts nothing.
"""

import json
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal  # Any: JSON values

from understudy.errors import FormatError
from understudy.files import make_dir, read_json, write_json

State = Literal["waiting", "running", "done", "partly", "failed", "cancelled", "lost"]
ENDED = ("done", "partly", "failed", "cancelled", "lost")
EXIT_STATES: dict[int, State] = {0: "done", 3: "partly", 130: "cancelled"}

_CHUNK = 1 << 20
_KEPT_MESSAGES = 300
_LOG_TAIL = 64 << 10


@dataclass(slots=True)
class Heard:
    """What the events of a job said so far, bounded however long it runs."""

    done: int = 0
    total: int | None = None
    text: str = ""
    seconds_left: float | None = None
    step: str = ""
    metrics: dict[str, tuple[int | None, float]] = field(default_factory=dict)
    messages: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=_KEPT_MESSAGES))
    preview: str = ""
    report: dict[str, Any] | None = None
    error: str = ""
    end: str = ""
    started: float = 0.0
    last: float = 0.0

    def take(self, event: dict[str, Any], step: str) -> None:
        """One more event; those of a step within this one end nothing."""
        kind, own = event.get("event"), event.get("step", "").split(" src")[0].split(" dst")[0]
        self.last = float(event.get("time", 0.0))
        self.started = self.started or self.last
        if kind == "progress":
            self.done, self.total = event["done"], event["total"]
            self.text, self.step = event["message"], event.get("step", "")
            self.seconds_left = event.get("seconds_left")
        elif kind == "metric":
            self.metrics[event["name"]] = (event["step"], event["value"])
        elif kind == "message":
            self.messages.append((self.last, event["text"]))
        elif kind == "preview":
            self.preview = event["path"]
        elif kind in ("finished", "failed", "cancelled") and own == step:
            self.end = kind
            self.report = event.get("report")
            self.error = event.get("error", "")


class JobRecord:
    """One job. Its folder is written by the studio alone; its events by the command."""

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self.folder = folder
        self.step: str = content["step"]
        self.values: dict[str, Any] = content["values"]
        self.workspace = Path(content["workspace"])
        self.created: float = content["created"]
        self.state: State = content["state"]
        self.pid: int | None = content.get("pid")
        self.ended: float | None = content.get("ended")
        self.heard = Heard()
        self._position = 0
        self._begun = b""

    @classmethod
    def create(
        cls, folder: Path, step: str, values: dict[str, Any], *, workspace: Path, now: float
    ) -> "JobRecord":
        """A new job that waits, in a new folder."""
        make_dir(folder)
        content = {"step": step, "values": values, "workspace": str(workspace)}
        record = cls(folder, {**content, "created": now, "state": "waiting"})
        record.save()
        return record

    @classmethod
    def read(cls, folder: Path) -> "JobRecord":
        """The job in `folder`.

        Raises:
            FormatError: it holds none.
        """
        path = folder / "job.json"
        content = read_json(path, limit=_CHUNK)
        try:
            return cls(folder, content)
        except (KeyError, TypeError) as error:
            raise FormatError(
                path, expected="a job", found=f"none ({error})", remedy="Move its folder away."
            ) from error

    @property
    def key(self) -> str:
        """Number of the job in its workspace."""
        return self.folder.name

    @property
    def events_path(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def log_path(self) -> Path:
        return self.folder / "log.txt"

    @property
    def input_path(self) -> Path:
        return self.folder / "input"

    @property
    def alive_path(self) -> Path:
        return self.folder / "alive"

    @property
    def is_over(self) -> bool:
        return self.state in ENDED

    def save(self) -> None:
        """Write the record."""
        content = {
            "step": self.step,
            "values": self.values,
            "workspace": str(self.workspace),
            "created": self.created,
            "state": self.state,
            "pid": self.pid,
            "ended": self.ended,
        }
        write_json(self.folder / "job.json", content)

    def listen(self) -> bool:
        """Take in what was told since the last call: whether anything was.

        A long file is read on from its last part.
        """
        if not self.events_path.exists():
            return False
        with self.events_path.open("rb") as file:
            size = file.seek(0, 2)
            if size - self._position > 4 * _CHUNK:
                self._position, self._begun = size - 2 * _CHUNK, b""
                file.seek(self._position)
                self._position += len(file.readline())
            file.seek(self._position)
            chunk = file.read(4 * _CHUNK)
        self._position += len(chunk)
        *lines, self._begun = (self._begun + chunk).split(b"\n")
        for line in lines:
            self._take(line)
        return bool(lines)

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            self.heard.take(event, self.step)
        except (ValueError, KeyError, TypeError, AttributeError):
            self.heard.messages.append((self.heard.last, f"unreadable event: {line[:120]!r}"))

    def log_tail(self) -> str:
        """The end of what the command printed."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _LOG_TAIL))
            return file.read().decode(errors="replace")

    def reason(self) -> str:
        """Why it failed, in a line: what it told, else the last thing it printed."""
        if self.heard.error:
            return self.heard.error
        lines = [line.strip() for line in self.log_tail().splitlines() if line.strip()]
        return lines[-1].removeprefix("understudy: ") if lines else ""
