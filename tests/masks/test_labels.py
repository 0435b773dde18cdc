"""Labels go into face files and come back out, and the former ones are kept."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from face_files import same
from labelled import LABEL, OVAL, labelled_workspace, pixels_of
from understudy.errors import FileError, FormatError, MaterialError, UnsafeFileError
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.dfl.face_file import sidecar_path
from understudy.facesets.dfl.pack import write_pak
from understudy.facesets.moves.packing import look_at
from understudy.masks.labels import LabelHistory, read_labels, write_labels
from understudy.types import Polygon


@pytest.fixture
def aligned(tmp_path: Path) -> Path:
    return labelled_workspace(tmp_path / "w", src=3, labelled=[2]).src.aligned_dir


def test_labels_are_read_and_written_without_touching_pixels(aligned: Path) -> None:
    path = aligned / "00001_0.jpg"
    face, pixels = read_face(path), pixels_of(path)
    assert read_labels(path) == () and same(read_labels(aligned / "00002_0.jpg"), LABEL)
    assert write_labels(path, LABEL[::-1]) == ()
    assert same(read_labels(path), LABEL), "what includes comes first"
    assert pixels_of(path) == pixels
    assert same(read_face(path).landmarks, face.landmarks)
    assert same(write_labels(path, [(True, OVAL), (False, np.zeros((0, 2), np.float32))]), LABEL)
    assert same(read_labels(path), [Polygon(True, OVAL)])
    assert same(write_labels(path, []), [Polygon(True, OVAL)])
    assert read_labels(path) == ()


def test_the_same_labels_again_leave_the_file_alone(aligned: Path) -> None:
    path = aligned / "00002_0.jpg"
    before = path.stat().st_mtime_ns, path.stat().st_ino
    write_labels(path, LABEL)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_a_large_mask_stays_beside_its_face(aligned: Path) -> None:
    path = aligned / "00001_0.jpg"
    noise = np.random.default_rng(1).integers(0, 256, (400, 400)).astype(np.float32) / 255
    write_face(path, replace(read_face(path), mask=noise), durable=False)
    write_labels(path, LABEL)
    assert sidecar_path(path).is_file()
    np.testing.assert_array_equal(read_face(path).mask, noise)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_what_no_reader_takes_is_refused_before_the_file_is_touched(
    value: float, aligned: Path
) -> None:
    path = aligned / "00002_0.jpg"
    before, broken = path.read_bytes(), OVAL.copy()
    broken[3, 1] = value
    history = LabelHistory(aligned)
    for write in (lambda p: write_labels(path, p), lambda p: history.write(path.name, p)):
        with pytest.raises(FormatError, match=r"00002_0\.jpg.*finite"):
            write([(True, broken)])
    assert path.read_bytes() == before and not history.path.exists()


def test_labels_too_large_for_the_file_leave_it_alone(aligned: Path) -> None:
    path = aligned / "00002_0.jpg"
    before = path.read_bytes()
    outline = np.random.default_rng(0).uniform(0, 128, (9000, 2)).astype(np.float32)
    with pytest.raises(FormatError, match="65533"):
        write_labels(path, [(True, outline)])
    assert path.read_bytes() == before


def test_changes_are_taken_back_one_by_one(aligned: Path) -> None:
    history = LabelHistory(aligned)
    outside = (Polygon(True, OVAL + 900), Polygon(False, OVAL[:2]))
    assert history.write("00001_0.jpg", LABEL) == ()
    assert same(history.write("00001_0.jpg", LABEL), LABEL), "no change is no entry"
    assert same(history.write("00001_0.jpg", outside), LABEL)
    assert same(history.write("00002_0.jpg", []), LABEL)
    history = LabelHistory(aligned)  # of another day
    undone = history.undo()
    assert undone.name == "00002_0.jpg" and same(undone.labels, LABEL) and undone.replaced == ()
    assert same(read_labels(aligned / "00002_0.jpg"), LABEL)
    assert same(history.undo().replaced, outside)
    assert same(read_labels(aligned / "00001_0.jpg"), LABEL)
    assert history.undo().labels == () == read_labels(aligned / "00001_0.jpg")
    with pytest.raises(MaterialError, match="to undo"):
        history.undo()
    history.write("00001_0.jpg", outside)
    assert history.undo().labels == ()


def test_a_face_is_found_under_another_name(aligned: Path) -> None:
    history = LabelHistory(aligned)
    history.write("00001_0.jpg", LABEL)
    before = (aligned / "00002_0.jpg").read_bytes()
    (aligned / "00001_0.jpg").rename(aligned / "x.jpg")
    (aligned / "00002_0.jpg").rename(aligned / "00001_0.jpg")
    assert history.undo().name == "x.jpg"
    assert read_labels(aligned / "x.jpg") == ()
    assert (aligned / "00001_0.jpg").read_bytes() == before
    history.write("x.jpg", LABEL)
    (aligned / "x.jpg").unlink()
    with pytest.raises(MaterialError, match="none with its pixels"):
        history.undo()


def test_a_line_cut_off_by_a_kill_is_no_change(aligned: Path) -> None:
    history = LabelHistory(aligned)
    history.write("00001_0.jpg", LABEL)
    whole = history.path.read_bytes()
    history.path.write_bytes(whole + whole[:30])
    history.write("00003_0.jpg", LABEL)
    assert history.undo().name == "00003_0.jpg"
    assert history.undo().name == "00001_0.jpg"


def test_a_stranger_s_history_leads_nowhere_else(aligned: Path) -> None:
    history = LabelHistory(aligned)
    history.write("00001_0.jpg", LABEL)
    entry = json.loads(history.path.read_text())
    for name in ("../x.jpg", "/etc/x.jpg", "a/../../x.jpg"):
        history.path.write_text(json.dumps(entry | {"name": name}) + "\n")
        with pytest.raises(UnsafeFileError):
            history.undo()
    for line in ("nonsense", "[]", '{"name": 1}', json.dumps(entry | {"before": [3]})):
        history.path.write_text(line + "\n")
        with pytest.raises(FormatError, match="former labels"):
            history.undo()
    assert same(read_labels(aligned / "00001_0.jpg"), LABEL)


def test_a_pak_is_refused(aligned: Path) -> None:
    item = look_at("00002_0.jpg", aligned / "00002_0.jpg")
    write_pak(aligned / "faceset.pak", [item])
    for attempt in (lambda: LabelHistory(aligned).write("00001_0.jpg", LABEL),
                    lambda: LabelHistory(aligned).undo()):  # fmt: skip
        with pytest.raises(FileError, match="faceset unpack"):
            attempt()


KILLED = """
import os, sys
from pathlib import Path
from understudy.facesets.dfl import face_file
from understudy.masks.labels import LabelHistory
face_file.files.write_bytes = lambda *_, **__: os._exit(9)
LabelHistory(Path(sys.argv[1])).write("00002_0.jpg", [])
"""


def test_a_kill_between_record_and_face_loses_nothing(aligned: Path) -> None:
    before = (aligned / "00002_0.jpg").read_bytes()
    done = subprocess.run([sys.executable, "-c", KILLED, str(aligned)], env=os.environ, check=False)
    assert done.returncode == 9
    assert (aligned / "00002_0.jpg").read_bytes() == before
    assert same(LabelHistory(aligned).undo().labels, LABEL)
    assert (aligned / "00002_0.jpg").read_bytes() == before


HALF_MOVED = """
import os, sys
from pathlib import Path
from understudy.facesets.moves import edit, transaction
transaction._place = lambda *_: os._exit(9)
folder = Path(sys.argv[1])
moves = [edit.Move(folder / "00001_0.jpg", folder / "x.jpg")]
edit.apply_moves(folder, moves, operation="sort")
"""


def test_what_a_kill_left_half_moved_is_moved_first(aligned: Path) -> None:
    command = [sys.executable, "-c", HALF_MOVED, str(aligned)]
    assert subprocess.run(command, env=os.environ, check=False).returncode == 9
    assert not (aligned / "00001_0.jpg").exists() and not (aligned / "x.jpg").exists()
    assert LabelHistory(aligned).write("x.jpg", LABEL) == ()
    assert same(read_labels(aligned / "x.jpg"), LABEL)
