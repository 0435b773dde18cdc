"""Measures are kept: over sorting, copies and kills, and never for another picture."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import StorageError
from understudy.facesets.sorting import cache, table
from understudy.facesets.sorting.cache import cache_path
from understudy.facesets.sorting.table import list_files, measure
from understudy.job import Job


@pytest.fixture
def aligned(shared: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "w/aligned"
    shutil.copytree(shared / "golden/files/aligned", folder)
    return folder


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were looked into."""
    names: list[str] = []
    real = table.Look

    def look(path: Path) -> table.Look:
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(table, "Look", look)
    return names


def test_nothing_is_measured_twice(aligned: Path, measured: list[str]) -> None:
    first = measure(aligned, ("record", "light"), Job("sort"))
    assert sorted(measured) == list(first.names)
    measured.clear()
    again = measure(aligned, ("light", "record", "histograms", "thumb"), Job("sort"))
    assert not measured, "histograms came with the light"
    for column in first.columns:
        np.testing.assert_array_equal(first[column], again[column])
    measure(aligned, ("sharpness",), Job("sort"))
    assert len(measured) == 8


def test_names_and_places_may_change(aligned: Path, tmp_path: Path, measured: list[str]) -> None:
    first = measure(aligned, ("record",), Job("sort"))
    measured.clear()
    for path in sorted(aligned.iterdir(), reverse=True):
        path.rename(path.with_name(f"{9 - int(path.name[4])}_turned.jpg"))
    turned = measure(aligned, ("record",), Job("sort"))
    assert not measured
    np.testing.assert_array_equal(turned["yaw"], first["yaw"][::-1])
    shutil.copytree(aligned.parent, tmp_path / "copy")
    copied = measure(tmp_path / "copy/aligned", ("record",), Job("sort"))
    assert not measured
    np.testing.assert_array_equal(copied["yaw"], turned["yaw"])


def test_another_picture_is_measured(aligned: Path, measured: list[str]) -> None:
    measure(aligned, ("record",), Job("sort"))
    measured.clear()
    names = [key.name for key in list_files(aligned)]
    shutil.copyfile(aligned / names[0], aligned / names[1])
    shutil.copyfile(aligned / names[2], aligned / "new.jpg")
    found = measure(aligned, ("record",), Job("sort"))
    assert sorted(measured) == [names[1], "new.jpg"]
    assert found["yaw"][1] == found["yaw"][0]
    (aligned / names[0]).unlink()
    assert len(measure(aligned, ("record",), Job("sort"))) == 8


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "middle"])
def test_a_damaged_cache_is_begun_anew(aligned: Path, damage: str) -> None:
    first = measure(aligned, ("record", "light"), Job("sort"))
    path = cache_path(aligned)
    data = path.read_bytes()
    middle = data[:4096] + bytes(len(data) - 4096)
    kinds = {"cut": data[:5000], "text": b"no data base", "empty": b"", "middle": middle}
    path.write_bytes(kinds[damage])
    again = measure(aligned, ("record", "light"), Job("sort"))
    for column in first.columns:
        np.testing.assert_array_equal(first[column], again[column])


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW x AS WITH RECURSIVE a(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM a)"
        " SELECT * FROM a",
        "CREATE TRIGGER t AFTER UPDATE ON files BEGIN DELETE FROM files; END",
        "ALTER TABLE record_2 ADD COLUMN more TEXT",
    ],
)
def test_a_strangers_cache_is_begun_anew(aligned: Path, statement: str) -> None:
    first = measure(aligned, ("record",), Job("sort"))
    with contextlib.closing(sqlite3.connect(cache_path(aligned))) as sql:
        sql.execute("UPDATE record_2 SET value = zeroblob(length(value))")
        sql.execute(statement)
        sql.commit()
    again = measure(aligned, ("record",), Job("sort"))
    np.testing.assert_array_equal(first["yaw"], again["yaw"])


def test_measures_of_an_older_version_are_dropped(aligned: Path) -> None:
    measure(aligned, ("record",), Job("sort"))
    with contextlib.closing(sqlite3.connect(cache_path(aligned))) as sql:
        sql.execute("CREATE TABLE record_1 (id INTEGER PRIMARY KEY, value BLOB)")
        sql.commit()
    measure(aligned, ("record",), Job("sort"))
    with contextlib.closing(sqlite3.connect(cache_path(aligned))) as sql:
        names = {row[0] for row in sql.execute("SELECT name FROM sqlite_master")}
    assert "record_1" not in names and "record_2" in names


def test_where_nothing_can_be_written(aligned: Path) -> None:
    (aligned.parent / ".aligned_measures").write_text("in the way")
    assert len(measure(aligned, ("record",), Job("sort"))) == 8
    assert (aligned.parent / ".aligned_measures").read_text() == "in the way"


def test_faces_long_gone_are_forgotten(aligned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_FORGOTTEN_AT_LEAST", 2)
    measure(aligned, ("record",), Job("sort"))
    for path in sorted(aligned.iterdir())[:6]:
        path.unlink()
    measure(aligned, ("record",), Job("sort"))
    with cache.MeasureCache(aligned) as kept:
        rows = kept._sql.execute("SELECT COUNT(*) FROM files").fetchone()
        records = kept._sql.execute("SELECT COUNT(*) FROM record_2").fetchone()
    assert rows == records == (2,)


def test_what_counts_as_a_picture(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.mask.png", ".hidden.png", "c.txt", "bob/x.png", ".cache/y.png", "jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [key.name for key in list_files(tmp_path)] == ["b.JPG", "bob/x.png"]


def test_two_may_measure_the_same_faces(aligned: Path, measured: list[str]) -> None:
    with contextlib.ExitStack() as stack:
        caches = [stack.enter_context(cache.MeasureCache(aligned)) for _ in range(2)]
        for one in caches:
            one.know(list_files(aligned))
        rows = {
            k.name: {"record": bytes(cache.KINDS["record"].dtype.itemsize)}
            for k in list_files(aligned)
        }
        caches[1].store(rows)
        caches[1].commit()
        assert caches[0].missing(cache.KINDS["record"]) == []
    measure(aligned, ("record",), Job("sort"))
    assert not measured


def test_a_cache_that_is_held_is_told_and_kept(
    aligned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(aligned, ("record",), Job("sort"))
    before = cache_path(aligned).read_bytes()
    monkeypatch.setattr(cache, "_PATIENCE_SECONDS", 0.1)
    with contextlib.closing(sqlite3.connect(cache_path(aligned))) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="other process"):
            measure(aligned, ("record",), Job("sort"))
    assert cache_path(aligned).read_bytes() == before


def test_a_cache_that_can_only_be_read_is_used_and_stays(
    aligned: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(aligned, ("record",), Job("sort"))
    cache_path(aligned).chmod(0o444)
    monkeypatch.setattr(
        cache.os, "access", lambda path, mode: False
    )  # as root sees a protected disk
    before = cache_path(aligned).read_bytes()
    measured.clear()
    measure(aligned, ("record",), Job("sort"))
    assert not measured
    assert len(measure(aligned, ("light",), Job("sort"))) == 8
    assert cache_path(aligned).read_bytes() == before
