"""What a clip came with, kept when its frames are taken out, for when the clip is gone at signing.

A clip in; its hash and inbound manifest in a folder of the workspace, and back as the `Source` a
mark names. A clip that changed since counts as gone: the frames are of the one that was there.
Knows nothing of frames.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from understudy.errors import FormatError
from understudy.files import make_dir, read_bytes, read_json, remove_files, write_bytes, write_json
from understudy.provenance.ingredients import MANIFEST_LIMIT, Source, source
from understudy.provenance.offline import read_manifest
from understudy.provenance.store import find_store

VERSION = 1


def keep_sources(clips: Sequence[Path], folder: Path, *, side: str) -> None:
    """Write down what these clips of a side are and came with, in place of what was kept before.

    Raises:
        FileError: a clip can't be read, or the folder can't be written.
    """
    make_dir(folder)
    rows = [_kept(clip, folder) for clip in clips]
    write_json(_list_path(folder, side), {"version": VERSION, "clips": rows})
    wanted = {row["sha256"] for name in ("src", "dst") for row in _rows(folder, name)}
    remove_files(path for path in folder.glob("*.c2pa") if path.stem not in wanted)


def _kept(clip: Path, folder: Path) -> dict[str, Any]:
    item = source(clip, role="clip")
    store, validated = item.sidecar, item.validated
    if item.manifest == "carried" and store is None and item.container is not None:
        found = find_store(clip)
        if found is not None and found.framed:
            store, validated = found.data, read_manifest(clip, item.container)
    row: dict[str, Any] = {"sha256": item.sha256, "manifest": item.manifest}
    if store is not None and validated is not None:
        write_bytes(folder / f"{item.sha256}.c2pa", store)
        row["validated"] = {
            key: validated[key] for key in ("active_manifest", "validation_results")
        }
    return row


def kept_source(clip: Path, folder: Path, *, side: str, index: int, role: str) -> Source | None:
    """The clip as it was when its frames were taken out; None if it is gone and nothing was kept.

    Raises:
        FileError, FormatError: what was kept can't be read.
    """
    rows = _rows(folder, side)
    row = rows[index] if index < len(rows) else None
    there = source(clip, role=role) if clip.exists() else None
    if row is None or (there is not None and there.sha256 == row["sha256"]):
        return there
    gone = Source(role, clip, row["sha256"], None, row["manifest"])
    stored = folder / f"{row['sha256']}.c2pa"
    if "validated" not in row or not stored.is_file():
        return gone
    data = read_bytes(stored, limit=MANIFEST_LIMIT)
    return replace(gone, sidecar=data, validated=row["validated"])


def _list_path(folder: Path, side: str) -> Path:
    return folder / f"{side}.json"


def _rows(folder: Path, side: str) -> list[dict[str, Any]]:
    path = _list_path(folder, side)
    if not path.is_file():
        return []
    content = read_json(path)
    try:
        rows = [{"manifest": str(row["manifest"]), **row} for row in content["clips"]]
        sound = all(isinstance(row["sha256"], str) for row in rows)
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise FormatError(
            path,
            expected="a list of clips and what they came with",
            found="something else",
            remedy="Remove it; the clips are looked at where they lie.",
        )
    return rows
