"""Where what belongs to the user lies, and to no workspace: keys, what the studio remembers."""

import os
import sys
from pathlib import Path


def data_dir() -> Path:
    """Folder of what belongs to the user and to no workspace; `UNDERSTUDY_HOME` overrides it."""
    override = os.environ.get("UNDERSTUDY_HOME")
    if override:
        return Path(override)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "Understudy"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Understudy"
    base = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not base.is_absolute():  # the standard says to ignore relative ones
        base = Path.home() / ".local" / "share"
    return base / "understudy"
