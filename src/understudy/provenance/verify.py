"""Says whether a file is as its signer left it, and who that was; offline.

A path in, a `Verdict` out. "altered" covers the picture, the sound and the manifest itself; a file
whose manifest is broken is altered, not unmarked. Judges integrity and identity only: whether what
the manifest tells is true, it can't know.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from understudy.errors import FileError, FormatError
from understudy.files import read_bytes, sha256_file
from understudy.provenance.container import Container, container_of, sidecar_path
from understudy.provenance.frame_list import LIST_NAME, list_path, misfits, read_frame_list
from understudy.provenance.ingredients import MANIFEST_LIMIT
from understudy.provenance.keys import trusted_roots
from understudy.provenance.mark import ASSERTION
from understudy.provenance.offline import (
    BrokenManifestError,
    NoManifestError,
    RemoteManifestError,
    read_manifest,
)
from understudy.provenance.store import blemish, find_store, has_remains
from understudy.provenance.unhashed import unhashed_sha256

_SHOWN = 300  # characters of what a manifest tells
_TRUSTED = "signingCredential.trusted"
_SIGNED = "claimSignature.validated"
_BOUND = {
    "assertion.dataHash.match",
    "assertion.bmffHash.match",
    "assertion.boxesHash.match",
    "assertion.collectionHash.match",
    "assertion.multiAssetHash.match",
}
# These doubt who signed, not what was signed.
_ABOUT_SIGNER = ("signingCredential.", "timeStamp.", "claimSignature.outsideValidity")


class Integrity(StrEnum):
    """Whether the file is as it was signed."""

    INTACT = "intact"
    ALTERED = "altered"
    ABSENT = "absent"


class SignerStatus(StrEnum):
    """Whether the signer's certificate leads to a root in the user's trust list."""

    KNOWN = "known"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a file's manifest proves, and what it tells.

    `reasons` are the codes behind "altered" and "unknown" (C2PA's own, or "understudy.*"). The
    rest is what the manifest says of itself; believe it only if `integrity` is "intact".
    """

    integrity: Integrity
    signer: SignerStatus = SignerStatus.UNKNOWN
    reasons: tuple[str, ...] = ()
    place: str = ""  # "file" or "sidecar"
    issuer: str = ""
    tool: str = ""
    actions: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    consent: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "integrity": str(self.integrity),
            "signer": str(self.signer),
            "reasons": list(self.reasons),
            "place": self.place,
            "issuer": self.issuer,
            "tool": self.tool,
            "actions": list(self.actions),
            "ingredients": list(self.ingredients),
            "consent": self.consent,
            "record": dict(self.record),
        }

    def sentence(self) -> str:
        """One line for people."""
        if self.integrity is Integrity.ABSENT:
            return "absent: the file carries no provenance"
        if self.integrity is Integrity.ALTERED:
            return f"altered: not as it was signed ({self.reasons[0]}); signer {self.signer}"
        return f"intact: as it was signed; signer {self.signer}{self._called()}"

    def _called(self) -> str:
        if not self.issuer:
            return ""
        return (
            f" ({self.issuer})"
            if self.signer is SignerStatus.KNOWN
            else (f", calls itself {self.issuer}")
        )


def verify(path: Path | str) -> Verdict:
    """Whether `path` is intact, altered or without provenance, and whether its signer is known.

    Looks for a manifest in the file and, if there is none, in `<name>.c2pa` beside it. A folder is
    judged by its signed list of frames, and all of them are looked at; a picture without a manifest
    of its own by the list of its folder, where that names it.

    Raises:
        FileError: it can't be read.
        FormatError: it is neither a picture nor a video, or too damaged to look for a manifest.
        ProvenanceError: the user's trust list is damaged.
    """
    path = Path(path)
    if path.suffix.lower() == ".c2pa":
        raise FormatError(
            path,
            expected="a picture or a video",
            found="the manifest of one",
            remedy=f"Name the file it stands beside ({path.stem}).",
        )
    anchors = trusted_roots()
    if path.is_dir():
        return _folder(path, anchors)
    try:
        container = container_of(path)
    except FormatError:
        if has_remains(path) or sidecar_path(path).is_file():
            return _altered("understudy.container.unknown")
        raise
    verdict = _embedded(path, container, anchors) if container.may_hold else None
    if verdict is None:
        verdict = _beside(path, container, anchors)
    return verdict or _listed(path, anchors) or Verdict(Integrity.ABSENT)


def _folder(folder: Path, anchors: str) -> Verdict:
    """The verdict on a sequence of pictures: on its list, and on each of them by the list."""
    listing = list_path(folder)
    if not listing.is_file():
        raise FileError(
            folder,
            expected=f"a delivered sequence with its {LIST_NAME}",
            found="a folder without that list",
            remedy="Name a file, or the folder that video or deliver wrote.",
        )
    verdict = _beside(listing, container_of(listing), anchors)
    if verdict is None:
        return Verdict(Integrity.ABSENT)
    return _altered_by(verdict, misfits(folder))


def _listed(path: Path, anchors: str) -> Verdict | None:
    """The verdict on one picture of a sequence; None if no list names it."""
    for folder in (path.parent, path.parent.parent):  # packages have folders inside
        name = path.relative_to(folder).as_posix()
        listing = list_path(folder)
        if listing.is_file() and name in read_frame_list(folder):
            break
    else:
        return None
    verdict = _beside(listing, container_of(listing), anchors)
    if verdict is None:
        return None
    same = read_frame_list(folder)[name] == sha256_file(path)
    return _altered_by(verdict, [] if same else [f"understudy.frames.changed: {name}"])


def _altered_by(verdict: Verdict, reasons: list[str]) -> Verdict:
    if not reasons:
        return verdict
    return replace(
        verdict,
        integrity=Integrity.ALTERED,
        signer=SignerStatus.UNKNOWN,
        reasons=(*map(_printable, reasons), *verdict.reasons),
    )


def _embedded(path: Path, container: Container, anchors: str) -> Verdict | None:
    try:
        manifest = read_manifest(path, container, anchors_pem=anchors)
    except NoManifestError:
        return _altered("understudy.manifest.remains") if has_remains(path) else None
    except RemoteManifestError:
        return Verdict(Integrity.ABSENT, reasons=("understudy.manifest.remote",))
    except BrokenManifestError as error:
        if has_remains(path):
            return _altered(f"understudy.manifest.unreadable: {error}")
        raise FormatError(
            path,
            expected=f"a whole {container.name} file",
            found=f"a damaged one ({error})",
            remedy="Check that it plays and was copied completely.",
        ) from error
    store = find_store(path)
    verdict = _judge(manifest, blemish(store) if store else "", place="file")
    declared = verdict.record.get("unhashed_sha256")
    if declared and verdict.integrity is Integrity.INTACT and declared != unhashed_sha256(path):
        return _altered_by(verdict, ["understudy.padding.changed"])
    return verdict


def _beside(path: Path, container: Container, anchors: str) -> Verdict | None:
    sidecar = _sidecar_of(path, container)
    if sidecar is None:
        return None
    data = read_bytes(sidecar, limit=MANIFEST_LIMIT)
    if not data:
        return _altered("understudy.sidecar.empty", place="sidecar")
    try:
        manifest = read_manifest(path, container, sidecar=data, anchors_pem=anchors)
    except (BrokenManifestError, NoManifestError) as error:
        return _altered(f"understudy.sidecar.unreadable: {error}", place="sidecar")
    store = find_store(sidecar)
    return _judge(manifest, blemish(store) if store else "boxes", place="sidecar")


def _sidecar_of(path: Path, container: Container) -> Path | None:
    """Our sidecar, or, where the format can't embed, one named as other C2PA tools name it."""
    ours = sidecar_path(path)
    if ours.is_file() or container.embeds:
        return ours if ours.is_file() else None
    theirs = path.with_suffix(".c2pa")
    if not theirs.is_file():
        return None
    # "film.c2pa" beside "film.mkv" and "film.avi" may belong to either: no ground for a verdict.
    others = [each for each in path.parent.iterdir() if each.stem == path.stem]
    return theirs if set(others) == {path, theirs} else None


def _judge(manifest: Mapping[str, Any], complaint: str, *, place: str) -> Verdict:
    results = manifest.get("validation_results") or {}
    active = results.get("activeManifest") or {}
    good = _codes(active.get("success"))
    bad = _codes(active.get("failure"))
    for delta in results.get("ingredientDeltas") or ():
        bad += _codes(delta.get("validationDeltas", {}).get("failure"))
    altering = [code for code in bad if not code.startswith(_ABOUT_SIGNER)]
    if complaint:
        altering.append(f"understudy.manifest.{complaint}")
    if not altering and not (_SIGNED in good and _BOUND.intersection(good)):
        altering.append("understudy.manifest.unproven")
    known = _TRUSTED in good and not any(code.startswith(_ABOUT_SIGNER) for code in bad)
    told = (manifest.get("manifests") or {}).get(manifest.get("active_manifest")) or {}
    record = _record(told)
    return Verdict(
        Integrity.ALTERED if altering else Integrity.INTACT,
        SignerStatus.KNOWN if known and not altering else SignerStatus.UNKNOWN,
        reasons=tuple(dict.fromkeys(altering + [code for code in bad if code not in altering])),
        place=place,
        issuer=_printable((told.get("signature_info") or {}).get("issuer", "")),
        tool=_printable(_tool(told)),
        actions=tuple(map(_printable, _actions(told))),
        ingredients=tuple(map(_printable, _ingredients(told))),
        consent=_printable(record.get("consent", "")),
        record=record,
    )


def _altered(reason: str, *, place: str = "file") -> Verdict:
    return Verdict(Integrity.ALTERED, reasons=(_printable(reason),), place=place)


def _codes(entries: Iterable[Mapping[str, Any]] | None) -> list[str]:
    return [str(entry.get("code", "")) for entry in entries or ()]


def _printable(text: object) -> str:
    """A stranger's words without line breaks and terminal codes, and not without end."""
    shown = "".join(
        each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in str(text)
    )
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."


def _assertions(told: Mapping[str, Any], label: str) -> list[Mapping[str, Any]]:
    found = [each for each in told.get("assertions", ()) if each.get("label", "") == label]
    return [each["data"] for each in found if isinstance(each.get("data"), Mapping)]


def _record(told: Mapping[str, Any]) -> Mapping[str, Any]:
    found = _assertions(told, ASSERTION)
    return found[0] if found else {}


def _tool(told: Mapping[str, Any]) -> str:
    info = (told.get("claim_generator_info") or [{}])[0]
    return f"{info.get('name', '')} {info.get('version', '')}".strip()


def _actions(told: Mapping[str, Any]) -> Iterable[str]:
    for data in _assertions(told, "c2pa.actions.v2") + _assertions(told, "c2pa.actions"):
        for action in data.get("actions", ()):
            source = str(action.get("digitalSourceType", "")).rsplit("/", 1)[-1]
            yield f"{action.get('action', '')}{f' ({source})' if source else ''}"


def _ingredients(told: Mapping[str, Any]) -> Iterable[str]:
    for each in told.get("ingredients", ()):
        carried = "with provenance" if each.get("active_manifest") else "without provenance"
        yield f"{each.get('title', '')} ({each.get('relationship', '')}, {carried})"
