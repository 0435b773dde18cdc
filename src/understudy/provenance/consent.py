"""On whose authority a workspace uses its faces, and whether its results are marked.

Two small JSON files in the workspace: `consent.json` (who, on what basis, within what scope, until
when) and `provenance.json` (marking on or off). They are recorded and repeated in reports and
manifests; nothing is ever refused because of them. The subject is an id of the project, not a
name: it is published with every deliverable. Knows nothing of signing.
"""

import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ValidationError

from understudy.errors import FileError, FormatError, WorkspaceError, from_os_error
from understudy.files import read_json, sha256_file, write_json
from understudy.options import Options, option

VERSION = 1
CONSENT_FILE = "consent.json"
MARKING_FILE = "provenance.json"
_LIMIT = 1 << 20
_ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
_SHA256 = r"^[0-9a-f]{64}$"

RecordT = TypeVar("RecordT", bound=BaseModel)


class Basis(StrEnum):
    """What allows the use of a face."""

    CONSENT = "consent"
    CONTRACT = "contract"
    OWN_FACE = "own-face"
    PUBLIC_DOMAIN = "public-domain"
    RESEARCH_LICENCE = "research-licence"
    SYNTHETIC = "synthetic"


class Consent(Options):
    """One statement about the face that is put on."""

    subject: str = option(
        ...,
        "Whose face it is: an id of your project, not a name.",
        min_length=1,
        max_length=64,
        pattern=_ONE_LINE,
    )
    basis: Basis = option(..., "What allows the use of the face.")
    scope: str = option("", "What it may be used for, in a sentence.", max_length=2000)
    licence: str = option("", "Name of the licence or document.", max_length=200, pattern=_ONE_LINE)
    document_sha256: str | None = option(
        None, "SHA-256 of the signed document or licence.", pattern=_SHA256
    )
    expires: datetime.date | None = option(None, "Last day it holds (YYYY-MM-DD).")
    recorded: AwareDatetime = option(..., "When this was written down.")


class Preset(StrEnum):
    """What a mark is made of: see docs/provenance.md."""

    DEFAULT = "default"
    STUDIO = "studio"
    CN_GB45438 = "cn-gb45438"


class Corner(StrEnum):
    """Where a visible label stands."""

    TOP_LEFT = "top-left"
    TOP_RIGHT = "top-right"
    BOTTOM_LEFT = "bottom-left"
    BOTTOM_RIGHT = "bottom-right"


class Marking(Options):
    """Whether results carry signed provenance, of which kind, and whether a visible label."""

    enabled: bool = option(True, "Sign every delivered video and picture with C2PA.")
    preset: Preset = option(Preset.DEFAULT, "What the mark is made of.")
    producer: str = option(
        "",
        "Who is named as the producer in cn-gb45438: a name or registration number.",
        max_length=200,
        pattern=_ONE_LINE,
    )
    label: str = option(
        "", "Text of a visible label; empty = none.", max_length=80, pattern=_ONE_LINE
    )
    label_corner: Corner = option(Corner.BOTTOM_RIGHT, "Where the label stands.")
    label_seconds: float = option(0.0, "How long from the start; 0 = throughout.", ge=0)
    label_as: Literal["burned", "subtitle"] = option(
        "burned", "Burned into the picture, or a subtitle track that players can switch off."
    )


def now() -> datetime.datetime:
    """The time to put into `Consent.recorded`."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def document_sha256(path: Path) -> str:
    """Hash that ties a consent to a document without storing the document.

    Raises:
        FileError: it can't be read.
    """
    if path.is_dir():
        raise FileError(path, expected="a document", found="a folder", remedy="Name a file.")
    try:
        return sha256_file(path)
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error


def read_consent(workspace_dir: Path) -> Consent | None:
    """What a workspace says of its faces; None if it says nothing.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no consent record.
        WorkspaceError: a newer version wrote it.
    """
    return _read(workspace_dir / CONSENT_FILE, Consent)


def write_consent(workspace_dir: Path, consent: Consent) -> None:
    """Put `consent` in place of what the workspace said before.

    Raises:
        StorageError: it can't be written.
    """
    _write(workspace_dir / CONSENT_FILE, consent)


def status_sentence(consent: Consent | None, *, today: datetime.date | None = None) -> str:
    """What reports and manifests say: recorded, not recorded, or expired."""
    if consent is None:
        return "consent: not recorded"
    today = today or datetime.datetime.now(datetime.UTC).date()
    who = f"subject {consent.subject}, basis {consent.basis}"
    if consent.expires is not None and consent.expires < today:
        return f"consent: expired on {consent.expires.isoformat()} ({who})"
    return f"consent: recorded ({who})"


def marking_enabled(workspace_dir: Path) -> bool:
    """Whether results of this workspace are signed: yes, unless it says otherwise.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no marking setting.
        WorkspaceError: a newer version wrote it.
    """
    return read_marking(workspace_dir).enabled


def read_marking(workspace_dir: Path) -> Marking:
    """How results of this workspace are marked; the usual way, unless it says otherwise.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no marking setting.
        WorkspaceError: a newer version wrote it.
    """
    return _read(workspace_dir / MARKING_FILE, Marking) or Marking()


def write_marking(workspace_dir: Path, marking: Marking) -> None:
    """Switch marking of this workspace's results on or off.

    Raises:
        StorageError: it can't be written.
    """
    _write(workspace_dir / MARKING_FILE, marking)


def _write(path: Path, record: BaseModel) -> None:
    write_json(path, {"version": VERSION, **record.model_dump(mode="json")})


def _read(path: Path, kind: type[RecordT]) -> RecordT | None:
    if not path.exists():
        return None
    value = read_json(path, limit=_LIMIT)
    values = _versioned(path, value)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise FormatError(
            path,
            expected=f"a sound {name or 'record'}",
            found=" ".join(first["msg"].split()),
            remedy="Restore it from a backup, or record it anew.",
        ) from error


def _versioned(path: Path, value: Any) -> dict[str, Any]:  # any JSON value
    """The fields of a record without its version number, which must be one we know."""
    version = value.get("version") if isinstance(value, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FormatError(
            path,
            expected=f"a record of version {VERSION}",
            found="one without a version",
            remedy="Restore it from a backup, or record it anew.",
        )
    if version > VERSION:
        raise WorkspaceError(
            path,
            expected=f"a record of version {VERSION} or before",
            found=f"version {version}",
            remedy="Update Understudy.",
        )
    return {name: each for name, each in value.items() if name != "version"}
