"""Signs a delivered video or picture with C2PA: what was done, with what, on whose authority.

A finished file in, the same file with a manifest out (or a sidecar where the format holds none).
Sound and picture data pass through untouched. The manifest holds random salts and a fresh id, so
two signings of the same file differ inside the manifest and nowhere else. Nothing is fetched or
sent. Knows nothing of how the file was made.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import c2pa

import understudy
from understudy.errors import ProvenanceError, from_os_error
from understudy.files import replacing, write_bytes
from understudy.provenance.container import Container, container_of, sidecar_path
from understudy.provenance.ingredients import (
    Source,
    add_ingredients,
    earlier_version,
    ingredient_id,
    source,
)
from understudy.provenance.keys import Identity, install_identity
from understudy.provenance.offline import Tap, Unwritten, context
from understudy.provenance.unhashed import unhashed_sha256

ASSERTION = "org.understudy.settings"
TOOL = "Understudy"
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that was done, by C2PA's name, in words, and IPTC's source type if it has one."""

    name: str
    description: str
    source_type: str = ""


SWAP = (Action("c2pa.edited", "face replaced", COMPOSITE),)
"""What is done to a plate."""


@dataclass(frozen=True, slots=True)
class MarkDetails:
    """What the manifest says beside the material: hashes in hex, the consent sentence."""

    consent: str
    model_sha256: str = ""
    settings_sha256: str = ""
    run_log_sha256: str = ""
    actions: tuple[Action, ...] = SWAP
    tool: str = TOOL
    version: str = understudy.__version__


@dataclass(frozen=True, slots=True)
class Mark:
    """What signing left: the signed file, its sidecar if one was needed, sizes and signer."""

    path: Path
    sidecar: Path | None
    manifest_bytes: int
    signer: str

    def sentence(self) -> str:
        """One line for the report."""
        where = f"in {self.sidecar.name}" if self.sidecar else "in the file"
        return f"provenance: signed by {self.signer}, {self.manifest_bytes} bytes {where}"


def sign(
    path: Path,
    out: Path | None = None,
    *,
    details: MarkDetails,
    plate: Path | Source | None = None,
    sources: Sequence[Path | Source] = (),
    identity: Identity | None = None,
    sidecar_only: bool = False,
) -> Mark:
    """Sign `path` in place, or to `out`; sign last, after sound was added.

    `plate` becomes the parent ingredient and `sources` (the clips of the new face) inputs; clips
    or folders of frames; looked at beforehand (`source`) if many files share them. Manifests they
    came with are carried over. If `path` has a manifest of its own already, that one is the parent,
    so that no mark is ever lost. Without `identity` the installation's own key signs. With
    `sidecar_only` the file stays as it is, bit for bit, whatever its kind.

    Raises:
        FileError: something can't be read or written.
        FormatError: `path` is neither a picture nor a video.
        ProvenanceError: the identity can't sign.
    """
    target = out or path
    container = container_of(path)
    embeds = container.embeds and not sidecar_only
    signer = identity or install_identity()
    parent, inputs = _material(path, plate, sources)
    definition = _definition(target.name, parent, inputs, details)
    if container.is_bmff and embeds:
        definition["assertions"][-1]["data"]["unhashed_sha256"] = unhashed_sha256(path)
    with context() as offline, c2pa.Builder(definition, offline) as builder:
        add_ingredients(builder, parent, inputs=inputs)
        if embeds:
            size = _embed(builder, signer, container, path, target)
            return Mark(target, None, size, signer.name)
        beside = sidecar_path(target)
        manifest = _detach(builder, signer, container, path)
        if target != path:
            _copy(path, target)
        write_bytes(beside, manifest)
        return Mark(target, beside, len(manifest), signer.name)


def _material(
    path: Path, plate: Path | Source | None, sources: Sequence[Path | Source]
) -> tuple[Source | None, list[Source]]:
    inputs = [_looked_at(each, role=f"src {i}") for i, each in enumerate(sources, start=1)]
    original = None if plate is None else _looked_at(plate, role="plate")
    before = earlier_version(path)
    if before is None:
        return original, inputs
    return before, ([] if original is None else [original]) + inputs


def _looked_at(item: Path | Source, *, role: str) -> Source:
    return item if isinstance(item, Source) else source(item, role=role)


def _definition(
    title: str, parent: Source | None, inputs: Sequence[Source], details: MarkDetails
) -> dict[str, Any]:
    tool = {"name": details.tool, "version": details.version}
    actions = [_done(each, tool) for each in details.actions]
    if inputs:
        ids = [ingredient_id(each) for each in inputs]
        actions[0]["parameters"] = {"ingredientIds": ids}
    if parent is None:  # a claim must begin with "opened" or "created"
        actions[0]["action"] = "c2pa.created"
    else:
        opened = {"ingredientIds": [ingredient_id(parent)]}
        actions.insert(0, {"action": "c2pa.opened", "parameters": opened})
    material = ([] if parent is None else [parent]) + list(inputs)
    record = {
        "tool": details.tool,
        "version": details.version,
        "model_sha256": details.model_sha256,
        "settings_sha256": details.settings_sha256,
        "sources": [each.record() for each in material],
        "consent": details.consent,
    }
    if details.run_log_sha256:
        record["run_log_sha256"] = details.run_log_sha256
    return {
        "title": title.encode(errors="replace").decode(),  # a file name need not be text
        "claim_generator_info": [tool],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {"label": ASSERTION, "data": record},
        ],
    }


def _done(action: Action, tool: dict[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "action": action.name,
        "softwareAgent": tool,
        "description": action.description,
    }
    return told | ({"digitalSourceType": action.source_type} if action.source_type else {})


def _signer(identity: Identity) -> c2pa.Signer:
    try:
        return c2pa.Signer.from_info(
            # No time-stamping authority: that would send a hash of the work to a stranger.
            c2pa.C2paSignerInfo(identity.algorithm, identity.chain_pem, identity.key_pem, None)
        )
    except c2pa.C2paError as error:
        raise _refused(identity.name, error) from error


def _refused(thing: str | Path, error: c2pa.C2paError) -> ProvenanceError:
    return ProvenanceError(
        thing,
        expected="a file and a certificate that can be signed with C2PA",
        found=str(error).replace("\n", " ") or type(error).__name__,
        remedy="Check that the file plays and the certificate may sign; "
        "or turn marking off in the workspace.",
    )


def _embed(
    builder: c2pa.Builder, identity: Identity, container: Container, path: Path, target: Path
) -> int:
    with replacing(target) as temporary:
        with path.open("rb") as read, temporary.open("w+b") as written:
            size = len(_run(builder, identity, container.media_type, path, Tap(read), Tap(written)))
        shutil.copymode(path, temporary)
    return size


def _detach(builder: c2pa.Builder, identity: Identity, container: Container, path: Path) -> bytes:
    builder.set_no_embed()
    try:
        with path.open("rb") as read, path.open("rb") as unchanged:
            kind = container.detached_type
            return _run(builder, identity, kind, path, Tap(read), Unwritten(unchanged))
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error


def _run(
    builder: c2pa.Builder,
    identity: Identity,
    media_type: str,
    path: Path,
    read: Tap,
    written: Tap,
) -> bytes:
    with _signer(identity) as signer:
        try:
            return bytes(builder.sign(signer, media_type, read, written))
        except c2pa.C2paError as error:
            failure = written.failure or read.failure
            if failure is not None:
                raise failure from error
            raise _refused(path, error) from error


def _copy(path: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(path, temporary)
