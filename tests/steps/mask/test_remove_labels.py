"""Labels are taken off and come back, and nothing else changes."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelled import LABEL, content, label_faces, labelled_workspace, pixels_of
from understudy.cli.main import main
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.faceset import Faceset


def test_labels_go_and_come_back_byte_for_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = labelled_workspace(tmp_path / "w")  # the second has an applied mask, too
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    before, pixels = content(aligned), pixels_of(aligned / "00002_0.jpg")
    mask = read_face(aligned / "00002_0.jpg").mask
    assert main(["mask", "remove-labels", "src", *at]) == 0
    assert "labels removed from 2 of 4 faces" in capsys.readouterr().out
    assert [bool(face.polygons) for face in Faceset.open(aligned)] == [False] * 4
    assert np.array_equal(read_face(aligned / "00002_0.jpg").mask, mask)
    assert pixels_of(aligned / "00002_0.jpg") == pixels
    now = content(aligned)
    assert {name for name in now if now[name] != before[name]} == {"00002_0.jpg", "00003_0.jpg"}
    assert main(["faceset", "undo", "src", *at]) == 0
    assert content(aligned) == before
    assert main(["mask", "remove-labels", "src", *at]) == 0
    assert content(aligned) == now
    assert main(["mask", "remove-labels", "src", *at]) == 0
    assert "labels removed from 0 of 4 faces" in capsys.readouterr().out


def test_what_was_drawn_after_it_survives_the_undo(tmp_path: Path) -> None:
    workspace = labelled_workspace(tmp_path / "w")
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    assert main(["mask", "remove-labels", "src", *at]) == 0
    path = aligned / "00002_0.jpg"
    write_face(path, replace(read_face(path), polygons=LABEL[:1]), durable=False)
    drawn = path.read_bytes()
    assert main(["faceset", "undo", "src", *at]) == 0
    assert len(read_face(path).polygons) == 2
    trash = content(workspace.src.frames_dir / "aligned_trash")
    assert drawn in trash.values()
    assert main(["mask", "remove-labels", "src", *at]) == 0
    assert drawn in content(workspace.src.frames_dir / "aligned_trash").values()


def test_persons_and_a_large_mask(tmp_path: Path) -> None:
    workspace = labelled_workspace(tmp_path / "w")
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    (aligned / "alice").mkdir()
    (aligned / "00001_0.jpg").rename(aligned / "alice" / "00002_0.jpg")
    label_faces(aligned, ["alice/00002_0.jpg"])
    noise = np.random.default_rng(1).integers(0, 256, (400, 400)).astype(np.float32) / 255
    path = aligned / "alice" / "00002_0.jpg"
    write_face(path, replace(read_face(path), mask=noise), durable=False)
    before = content(aligned)
    assert main(["mask", "remove-labels", "src", *at]) == 0
    np.testing.assert_array_equal(read_face(path).mask, noise)
    assert not read_face(path).polygons
    assert main(["faceset", "undo", "src", *at]) == 0
    assert content(aligned) == before


def test_a_pak_is_left_alone_with_the_remedy(tmp_path: Path, told: object) -> None:
    workspace = labelled_workspace(tmp_path / "w")
    at = ["--workspace", str(workspace.root)]
    assert main(["faceset", "pack", "src", "--delete-originals", *at]) == 0
    before = content(workspace.src.frames_dir)
    line = told("mask", "remove-labels", "src", *at)  # type: ignore[operator]
    assert "understudy faceset unpack src" in line
    assert content(workspace.src.frames_dir) == before


KILLED = """
import os, sys
from understudy.cli.main import main
from understudy.facesets.dfl import face_file
from understudy.facesets.moves import transaction
kill_at, count, put, rename = int(sys.argv[2]), 0, face_file.files.write_bytes, transaction._rename
def dying(work):
    def wrapped(*args, **named):
        global count
        count += 1
        if count == kill_at:
            os._exit(9)
        return work(*args, **named)
    return wrapped
face_file.files.write_bytes, transaction._rename = dying(put), dying(rename)
sys.exit(main(["mask", "remove-labels", "src", "--workspace", sys.argv[1]]))
"""


@pytest.mark.parametrize("kill_at", [1, 2, 3, 4, 5, 7, 8, 11])
def test_a_kill_leaves_all_labels_or_a_move_that_is_finished(kill_at: int, tmp_path: Path) -> None:
    """Two faces: a record and two files are written, then four are moved aside and into place."""
    workspace = labelled_workspace(tmp_path / "w")
    aligned, at = workspace.src.aligned_dir, ["--workspace", str(workspace.root)]
    before = content(aligned)
    command = [sys.executable, "-c", KILLED, str(workspace.root), str(kill_at)]
    assert subprocess.run(command, env=os.environ, check=False).returncode == 9
    labels = [bool(face.polygons) for face in Faceset.open(aligned)]
    assert labels == ([False] * 4 if kill_at > 3 else [False, True, True, False])
    assert main(["mask", "remove-labels", "src", *at]) == 0
    assert not any(face.polygons for face in Faceset.open(aligned))
    assert main(["faceset", "undo", "src", *at]) == 0
    assert content(aligned) == before


LIMITED = """
import resource, signal, sys
from understudy.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
def test_a_full_disk_leaves_all_labels(tmp_path: Path) -> None:
    workspace = labelled_workspace(tmp_path / "w")
    aligned = workspace.src.aligned_dir
    before = content(workspace.src.frames_dir)
    smallest = min(path.stat().st_size for path in aligned.iterdir())
    tokens = ["mask", "remove-labels", "src", "--workspace", str(workspace.root)]
    command = [sys.executable, "-c", LIMITED, str(smallest // 2), *tokens]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 2, done.stderr
    assert "understudy: " in done.stderr and "Traceback" not in done.stderr
    assert content(workspace.src.frames_dir) == before
    assert main(tokens) == 0
