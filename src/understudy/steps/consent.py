"""Record on whose authority the faces are used, and whether results are marked."""

import datetime
from pathlib import Path
from typing import Literal

from understudy.errors import OptionError
from understudy.job import Job
from understudy.options import option, parse
from understudy.provenance.consent import Basis
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
    if options.marking is not None:
        room.write_marking(workspace.root, room.Marking(enabled=options.marking == "on"))
        written += 1
    marked = "on" if room.marking_enabled(workspace.root) else "off"
    status = room.status_sentence(room.read_consent(workspace.root))
    return Report(
        "consent",
        done=written,
        outputs=[workspace.root / room.CONSENT_FILE] if written else [],
        details={"summary": f"{status}, marking {marked}", "marking": marked},
    )
