"""Questions whose answer needs heavy libraries, asked of a child process.

The server stays small, and a fault of a device can't take it down.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any  # details of a report

from understudy.errors import OptionError
from understudy.studio.command_lines import words_of


async def ask_child(step: str, /, **values: Any) -> dict[str, Any]:
    """Details of the report of a step that only looks.

    Raises:
        OptionError: it could not tell; the last line it printed says why.
    """
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.jsonl"
        words = [*words_of(step, values), f"--events={events}"]
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "understudy.cli.main",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await child.communicate()
        lines = events.read_bytes().splitlines() if events.exists() else []
    for line in reversed(lines):
        event = json.loads(line)
        if event["event"] == "finished":
            details: dict[str, Any] = event["report"]["details"]
            return details
    said = printed.decode(errors="replace").strip().splitlines()
    raise OptionError(
        step, expected="an answer", found=said[-1] if said else "none", remedy="See the log."
    )
