"""Record on whose authority the faces are used, and whether results are marked."""

import datetime
from pathlib import Path
from typing import Literal

from understudy.errors import OptionError
from understudy.job import Job
from understudy.options import option, parse
from understudy.provenance.consent import Basis, Consent, Corner, Marking, Preset
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.workspace import Workspace


class ConsentOptions(StepOptions):
    """Options of `consent`; without any the record is shown."""

    subject: str | None = option(None, "Whose face it is: an id of your project, not a name.")
    basis: Basis | None = option(None, "What allows the use of the face.")
    scope: str = option("", "What it may be used for, in a sentence.")
    licence: str = option("", "Name of the licence or document.")
    document: Path | None = option(None, "The signed document; only its hash is kept.")
    expires: datetime.date | None = option(None, "Last day it holds (YYYY-MM-DD).")
    marking: Literal["on", "off"] | None = option(
        None, "Whether this workspace's results carry signed provenance.", group="Marking"
    )
    preset: Preset | None = option(
        None,
        "What a mark is made of: default is in the file; studio is signed with your own "
        "certificate, beside the file; cn-gb45438 adds China's implicit label.",
        group="Marking",
    )
    producer: str | None = option(
        None, "Who is named as the producer in cn-gb45438.", group="Marking"
    )
    label: str | None = option(
        None, 'A visible label in every film, such as "AI generated"; "" for none.', group="Label"
    )
    label_corner: Corner | None = option(None, "Where the label stands.", group="Label")
    label_seconds: float | None = option(
        None, "How long the label shows from the start; 0 = throughout.", group="Label", ge=0
    )
    label_as: Literal["burned", "subtitle"] | None = option(
        None, "Burned into the picture, or a subtitle that players can switch off.", group="Label"
    )


def consent(options: ConsentOptions, job: Job) -> Report:
    """The workspace's record: shown, or written anew if a subject is given.

    Raises:
        OptionError: only one of subject and basis is given.
        FileError: the document can't be read.
    """
    from understudy.provenance import consent as room

    workspace = Workspace.open(options.workspace)
    written = 0
    if (options.subject is None) != (options.basis is None):
        raise OptionError(
            "consent",
            expected="--subject and --basis together",
            found="only one of them",
            remedy="Give both.",
        )
    if options.subject is not None:
        document = room.document_sha256(options.document) if options.document else None
        values = {
            "subject": options.subject,
            "basis": options.basis,
            "scope": options.scope,
            "licence": options.licence,
            "document_sha256": document,
            "expires": options.expires,
            "recorded": room.now(),
        }
        room.write_consent(workspace.root, parse(room.Consent, values))
        written += 1
    marking = _marking(options, workspace.root)
    if marking is not None:
        room.write_marking(workspace.root, marking)
        written += 1
    marking = room.read_marking(workspace.root)
    marked = "on" if marking.enabled else "off"
    record = room.read_consent(workspace.root)
    status = room.status_sentence(record)
    return Report(
        "consent",
        done=written,
        outputs=[workspace.root / room.CONSENT_FILE] if written else [],
        details={
            "summary": f"{status}, marking {marked}",
            "marking": marked,
            "lines": _lines(record, marking),
            "record": None if record is None else record.model_dump(mode="json"),
            "marking_settings": marking.model_dump(mode="json"),
        },
    )


def _marking(options: ConsentOptions, root: Path) -> Marking | None:
    """The marking settings with what was asked for; None if nothing was."""
    from understudy.provenance.consent import read_marking

    names = ("preset", "producer", "label", "label_corner", "label_seconds", "label_as")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.marking is not None:
        given["enabled"] = options.marking == "on"
    if not given:
        return None
    return parse(Marking, read_marking(root).model_dump() | given)


def _lines(record: Consent | None, marking: Marking) -> list[str]:
    """What is recorded, one fact per line."""
    facts: dict[str, object] = {}
    if record is not None:
        facts = record.model_dump(mode="json", exclude_none=True)
    facts["marking"] = f"{'on' if marking.enabled else 'off'}, preset {marking.preset}"
    if marking.label:
        how_long = f"{marking.label_seconds:g} s" if marking.label_seconds else "throughout"
        facts["label"] = (
            f"{marking.label!r}, {marking.label_corner}, {how_long}, {marking.label_as}"
        )
    return [f"  {name.replace('_', ' '):<16} {fact}" for name, fact in facts.items() if fact != ""]
