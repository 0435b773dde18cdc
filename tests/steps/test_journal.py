"""What a step has finished survives a kill, a full disk and damage, or says that it did not."""

import errno
import os
from pathlib import Path

import pytest

from understudy.errors import FileError, FormatError, StorageError
from understudy.steps.journal import Journal


def begun(path: Path) -> Journal:
    journal = Journal(path)
    journal.begin({"made with": "a"})
    return journal


def test_items_come_back_and_a_cut_off_line_does_not(tmp_path: Path) -> None:
    path = tmp_path / "manifests" / "steps.jsonl"
    with begun(path) as journal:
        journal.add("00001.png", faces=1)
        journal.add("片.png", faces=0)
    with path.open("ab") as file:
        file.write(b'{"item": "0000')
    again = Journal(path)
    assert again.header == {"made with": "a"}
    assert list(again.items) == ["00001.png", "片.png"]
    with again:
        again.add("00003.png", faces=2)
    assert list(Journal(path).items) == ["00001.png", "片.png", "00003.png"]


def test_a_name_that_is_no_text_comes_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff 1.png")
    with begun(tmp_path / "steps.jsonl") as journal:
        journal.add(name, files=[name])
    again = Journal(tmp_path / "steps.jsonl")
    assert again.items[name]["files"] == [name]
    again.forget([])
    again.forget([name])
    assert Journal(tmp_path / "steps.jsonl").items == {}


def test_half_a_line_on_a_full_disk_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "steps.jsonl"
    write = os.write
    with begun(path) as journal:
        monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:5]))
        with pytest.raises(StorageError, match="full disk"):
            journal.add("00001.png")
        monkeypatch.undo()
    with Journal(path) as again:
        assert again.items == {}
        again.add("00001.png")
    assert list(Journal(path).items) == ["00001.png"]


def test_damage_is_told_unless_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_bytes(b"{}\n\x00\x00\x00\n")
    with pytest.raises(FormatError, match=r"steps\.jsonl"):
        Journal(path)
    assert Journal(path, anew=True).items == {}


def test_missing_folder_is_told(tmp_path: Path) -> None:
    journal = begun(tmp_path / "steps.jsonl")
    journal.path.unlink()
    with pytest.raises(FileError) as told, journal:
        pass
    assert isinstance(told.value.__cause__, OSError)
    assert told.value.__cause__.errno == errno.ENOENT
