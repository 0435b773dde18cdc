"""What a save says of itself: its files with sizes and hashes, and the numbers that are no tensors.

A folder in, a checked `SaveMark` out. Knows nothing of what the files hold.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from understudy import files
from understudy.errors import FormatError, StateError
from understudy.training.plan.phases import Plan

TENSORS, OPTIONS, SAVE = "state.safetensors", "options.json", "save.json"


class FileMark(BaseModel):
    """Size and hash of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    sha256: str
    bytes: int


class SaveMark(BaseModel):
    """Content of save.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int
    iteration: int
    seconds: float
    attempt: int
    optimizer_iteration: int
    history_bytes: int
    history_measures: int
    files: dict[str, FileMark]
    plan: Plan | None = None


def read_mark(folder: Path) -> SaveMark:
    """What the save in `folder` says of itself.

    Raises:
        FileError: there is no save.json.
        StateError: it is damaged.
    """
    try:
        return SaveMark.model_validate(files.read_json(folder / SAVE, limit=1 << 20))
    except (ValidationError, FormatError) as error:
        raise StateError(
            folder / SAVE,
            expected="the list of the save's files",
            found="text that is none",
            remedy="Take one of the model's backups.",
        ) from error


def check_file(path: Path, expected: FileMark) -> None:
    """Nothing, if the file is the one that was saved.

    Raises:
        StateError: it is missing, or its size or hash differs.
    """
    if path.name not in (TENSORS, OPTIONS):
        found = f"an unknown file {path.name!r}"
    elif not path.exists():
        found = "no such file"
    elif path.stat().st_size != expected.bytes:
        found = f"{path.stat().st_size} bytes instead of {expected.bytes}"
    elif files.sha256_file(path) != expected.sha256:
        found = "other bytes than those saved"
    else:
        return
    raise StateError(
        path, expected="the file that was saved", found=found, remedy="Take one of the backups."
    )
