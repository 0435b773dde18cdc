"""Consent and the marking switch: kept, repeated, never in the way."""

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import FileError, FormatError, OptionError, WorkspaceError
from understudy.options import parse
from understudy.provenance.consent import (
    Basis,
    Consent,
    Marking,
    document_sha256,
    marking_enabled,
    now,
    read_consent,
    status_sentence,
    write_consent,
    write_marking,
)


def consent(**changes: Any) -> Consent:
    values = {"subject": "p1", "basis": Basis.CONTRACT, "recorded": now(), **changes}
    return parse(Consent, values)


def test_nothing_recorded_is_said_and_marks_are_on(tmp_path: Path) -> None:
    assert read_consent(tmp_path) is None
    assert status_sentence(None) == "consent: not recorded"
    assert marking_enabled(tmp_path)


def test_round_trip(tmp_path: Path) -> None:
    document = tmp_path / "Vertrag é.pdf"
    document.write_bytes(b"signed")
    written = consent(
        scope="One short film,\nfestivals only",
        licence="release form 7",
        document_sha256=document_sha256(document),
        expires=datetime.date(2031, 5, 1),
    )
    write_consent(tmp_path, written)
    assert read_consent(tmp_path) == written
    assert written.document_sha256 == hashlib.sha256(b"signed").hexdigest()


@given(
    st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=64),
    st.sampled_from(Basis),
    st.dates(),
)
def test_sentence_is_one_line_and_names_subject_and_basis(
    subject: str, basis: Basis, day: datetime.date
) -> None:
    said = status_sentence(consent(subject=subject, basis=basis, expires=day), today=day)
    assert said == f"consent: recorded (subject {subject}, basis {basis})"
    if day < datetime.date.max:
        after = day + datetime.timedelta(days=1)
        expired = status_sentence(consent(subject=subject, basis=basis, expires=day), today=after)
        assert expired.startswith(f"consent: expired on {day.isoformat()}")


def test_marking_is_switched_and_stays(tmp_path: Path) -> None:
    write_marking(tmp_path, Marking(enabled=False))
    assert not marking_enabled(tmp_path)
    write_marking(tmp_path, Marking())
    assert marking_enabled(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": ""},
        {"subject": "two\nlines"},
        {"basis": "because"},
        {"document_sha256": "abc"},
        {"expires": "tomorrow"},
        {"recorded": "2024-01-01T00:00:00"},
        {"unknown": 1},
    ],
)
def test_unsound_values_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        consent(**changes)


def test_damaged_and_newer_files_are_told(tmp_path: Path) -> None:
    write_consent(tmp_path, consent())
    path = tmp_path / "consent.json"
    sound = json.loads(path.read_text())
    path.write_text(json.dumps({**sound, "version": 2}))
    with pytest.raises(WorkspaceError, match="Update Understudy"):
        read_consent(tmp_path)
    for broken in ({**sound, "basis": "?"}, {**sound, "extra": 1}, {"subject": "p1"}, [1]):
        path.write_text(json.dumps(broken))
        with pytest.raises(FormatError, match=r"consent\.json"):
            read_consent(tmp_path)
    path.write_text("{")
    with pytest.raises(FormatError, match="JSON"):
        read_consent(tmp_path)
    (tmp_path / "provenance.json").write_text(json.dumps({"version": 9}))
    with pytest.raises(WorkspaceError, match="version 9"):
        marking_enabled(tmp_path)


def test_document_must_be_a_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nothing"):
        document_sha256(tmp_path / "gone.pdf")
    with pytest.raises(FileError, match="folder"):
        document_sha256(tmp_path)
