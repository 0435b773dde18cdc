"""What a deliverable was made from, as C2PA ingredients: the plate and the clips of the new face.

Paths in; content hashes and ingredients out, each with the manifest the clip itself came with.
Titles are roles ("plate", "src 1"): file names would publish whatever people write into them.
Knows nothing of the deliverable.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import c2pa

from understudy.errors import FileError, FormatError, from_os_error
from understudy.files import read_bytes, sha256_file
from understudy.provenance.container import Container, container_of, sidecar_path
from understudy.provenance.offline import (
    BrokenManifestError,
    NoManifestError,
    RemoteManifestError,
    read_manifest,
)

MANIFEST_LIMIT = 256 << 20
_OPAQUE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Source:
    """One clip, picture or folder of frames, and the manifest it brings along, if any.

    `manifest` is "none", "carried", "remote" (it lies on the network, where nobody goes) or
    "unreadable" (it, or the clip, can't be taken apart); only "carried" ones are taken over.
    """

    role: str
    path: Path
    sha256: str
    container: Container | None
    manifest: str
    sidecar: bytes | None = None
    validated: Mapping[str, Any] | None = None  # the library's JSON about the sidecar's manifest

    def record(self) -> dict[str, str]:
        """What our own assertion says of it."""
        return {"role": self.role, "sha256": self.sha256, "manifest": self.manifest}


def source(path: Path, *, role: str) -> Source:
    """`path` looked at: hash, kind and inbound manifest.

    Raises:
        FileError: it can't be read.
    """
    container = _container(path)
    inbound = _inbound(path, container)
    return Source(role, path, content_sha256(path), container, *inbound)


def earlier_version(path: Path) -> Source | None:
    """`path` as the source of itself, if it carries a manifest that belongs to it.

    Raises:
        FileError: it can't be read.
    """
    container = _container(path)
    manifest, sidecar, validated = _inbound(path, container)
    stale = validated is not None and validated.get("validation_state") == "Invalid"
    if manifest == "none" or stale:  # stale: made for other content that had the same name
        return None
    digest = content_sha256(path)
    return Source("earlier version", path, digest, container, manifest, sidecar, validated)


def _container(path: Path) -> Container | None:
    if path.is_dir():
        return None
    try:
        return container_of(path)
    except FormatError:  # a source of a kind we don't know is still a source
        return None


def _inbound(
    path: Path, container: Container | None
) -> tuple[str, bytes | None, dict[str, Any] | None]:
    """State of the manifest a clip came with; its sidecar and what the library says of that."""
    if container is None:
        return "none", None, None
    if container.may_hold:
        try:
            read_manifest(path, container)
            return "carried", None, None
        except RemoteManifestError:
            return "remote", None, None
        except BrokenManifestError:
            return "unreadable", None, None
        except NoManifestError:
            pass  # it may lie beside the clip
    beside = sidecar_path(path)
    if not beside.is_file():
        return "none", None, None
    sidecar = read_bytes(beside, limit=MANIFEST_LIMIT)
    try:
        return "carried", sidecar, read_manifest(path, container, sidecar=sidecar)
    except (BrokenManifestError, NoManifestError):
        return "unreadable", None, None


def content_sha256(path: Path) -> str:
    """Hash of a file, or of the list of names and hashes of a folder's files.

    Raises:
        FileError: it can't be read, or is neither.
    """
    try:
        if path.is_dir():
            return hashlib.sha256(_listing(path)).hexdigest()
        if not path.exists():
            raise FileError(
                path, expected="a clip", found="nothing", remedy="Check the path of the source."
            )
        return sha256_file(path)
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error


def _listing(folder: Path) -> bytes:
    files = sorted(each for each in folder.iterdir() if each.is_file())
    return "".join(f"{sha256_file(each)}  {each.name}\n" for each in files).encode()


def add_ingredients(
    builder: c2pa.Builder, parent: Source | None, *, inputs: Sequence[Source]
) -> None:
    """Add the edited clip as the parent and the clips the new face was learned from as inputs."""
    if parent is not None:
        _add(builder, parent, relationship="parentOf")
    for each in inputs:
        _add(builder, each, relationship="inputTo")


def _add(builder: c2pa.Builder, item: Source, *, relationship: str) -> None:
    ingredient: dict[str, Any] = {
        "title": item.role,
        "relationship": relationship,
        "instance_id": ingredient_id(item),
    }
    if item.sidecar is not None and item.validated is not None:
        identifier = f"{item.role.replace(' ', '-')}.c2pa"
        builder.add_resource(identifier, io.BytesIO(item.sidecar))
        ingredient["manifest_data"] = {"format": "application/c2pa", "identifier": identifier}
        ingredient["active_manifest"] = item.validated["active_manifest"]
        ingredient["validation_results"] = item.validated["validation_results"]
    if item.manifest == "unreadable" or item.container is None:
        builder.add_ingredient(ingredient, _OPAQUE, io.BytesIO(item.sha256.encode()))
        return
    try:
        with item.path.open("rb") as file:
            builder.add_ingredient(ingredient, item.container.media_type, file)
    except OSError as error:
        raise from_os_error(error, item.path, doing="read") from error


def ingredient_id(item: Source) -> str:
    """Name of an ingredient inside the manifest: its content, so that equal clips are equal."""
    return f"sha256:{item.sha256}:{item.role}"
