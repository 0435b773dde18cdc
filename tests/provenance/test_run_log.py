"""The log of runs: each line is tied to the one before, and to its report."""

import json
from pathlib import Path

import pytest

from understudy.errors import FormatError
from understudy.provenance.run_log import RunLog


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    log = RunLog(tmp_path)
    assert log.head() == ""
    for number in range(4):
        report = tmp_path / f"{'frames' if number % 2 else 'merge'}.json"
        report.write_text(json.dumps({"run": number}))
        log.add(report.stem, report, done=number, marking="on")
    return tmp_path


def test_a_whole_chain_has_no_complaints(folder: Path) -> None:
    log = RunLog(folder)
    assert log.complaints() == []
    assert len(log.hashes()) == 4
    assert log.head() == log.hashes()[-1]
    rows = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [row["previous"] for row in rows[1:]] == log.hashes()[:-1]


@pytest.mark.parametrize("change", ["edit", "remove", "swap"])
def test_a_changed_line_breaks_it(folder: Path, change: str) -> None:
    log = RunLog(folder)
    lines = log.path.read_text().splitlines(keepends=True)
    if change == "edit":
        lines[1] = lines[1].replace('"marking": "on"', '"marking": "no"')
    if change == "remove":
        del lines[1]
    if change == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    log.path.write_text("".join(lines))
    assert "understudy.log.broken" in log.complaints()[0]


def test_reports_belong_to_it(folder: Path) -> None:
    (folder / "merge.json").write_text("{}")
    (folder / "frames.json").unlink()
    assert RunLog(folder).complaints() == [
        "understudy.log.report-changed: merge.json",
        "understudy.log.report-missing: frames.json",
    ]


def test_a_line_cut_off_by_a_kill_is_dropped(folder: Path) -> None:
    log = RunLog(folder)
    with log.path.open("ab") as file:
        file.write(b'{"previous": "12')
    assert log.complaints() == []
    log.add("merge", folder / "merge.json")
    assert log.complaints() == []
    assert len(log.hashes()) == 5
    log.path.write_bytes(b"nonsense\n")
    with pytest.raises(FormatError, match="line 1"):
        log.complaints()
