"""Opening, locking, versions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.errors import (
    FileError,
    FormatError,
    MaterialError,
    WorkspaceBusyError,
    WorkspaceError,
)
from understudy.workspace import VERSION, Workspace

HOLD = """
import sys
from pathlib import Path
from understudy.workspace import Workspace
with Workspace.open(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "Ünïcode 工作 space")


def test_create_makes_the_folders_dfl_users_know(workspace: Workspace) -> None:
    assert (workspace.root / "data_src" / "aligned").is_dir()
    assert (workspace.root / "data_dst" / "aligned").is_dir()
    assert (workspace.root / "model").is_dir()


def test_dfl_workspace_opens_untouched(tmp_path: Path) -> None:
    (tmp_path / "data_src" / "aligned").mkdir(parents=True)
    (tmp_path / "data_DST.MP4").write_bytes(b"x")
    (tmp_path / "data_src.avi").write_bytes(b"x")
    workspace = Workspace.open(tmp_path)
    assert workspace.src.video() == tmp_path / "data_src.avi"
    assert workspace.dst.video() == tmp_path / "data_DST.MP4"
    assert not (tmp_path / "workspace.json").exists()


def test_missing_and_wrong_paths_are_told(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="found nothing"):
        Workspace.open(tmp_path / "no")
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="found a file"):
        Workspace.open(tmp_path / "file")
    with pytest.raises(WorkspaceError, match="found a file"):
        Workspace.create(tmp_path / "file")


@pytest.mark.parametrize("version", [VERSION + 1, "x", None, 0])
def test_newer_or_broken_version_is_refused(workspace: Workspace, version: object) -> None:
    (workspace.root / "workspace.json").write_text(json.dumps({"version": version}))
    with pytest.raises(WorkspaceError):
        Workspace.open(workspace.root)


def test_damaged_workspace_file_is_an_error(workspace: Workspace) -> None:
    (workspace.root / "workspace.json").write_text('{"vers')
    with pytest.raises(FormatError, match=r"workspace\.json"):
        Workspace.open(workspace.root)


def test_second_process_is_refused_and_death_frees(workspace: Workspace) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(workspace.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout is not None and other.stdin is not None
    with other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(WorkspaceBusyError, match=str(other.pid)), workspace.lock():
            pass
        other.kill()
    with workspace.lock(), workspace.lock():  # free again, and a step may hold it within a step
        pass


def test_lock_in_a_read_only_folder_is_told(workspace: Workspace) -> None:
    if os.geteuid() == 0:
        (workspace.root / "workspace.lock").mkdir()  # root writes anywhere; a folder stops it
    else:
        workspace.root.chmod(0o500)
    with pytest.raises(FileError), workspace.lock():
        pass
    workspace.root.chmod(0o700)


def test_clear_keeps_clips_and_consent(workspace: Workspace) -> None:
    (workspace.root / "data_dst.mp4").write_bytes(b"clip")
    (workspace.root / "consent.json").write_text("{}")
    (workspace.src.aligned_dir / "a.jpg").write_bytes(b"face")
    workspace.clear()
    assert (workspace.root / "data_dst.mp4").exists()
    assert (workspace.root / "consent.json").exists()
    assert list(workspace.src.aligned_dir.iterdir()) == []


def test_the_clip_is_found_beside_its_provenance(workspace: Workspace) -> None:
    assert workspace.dst.video() is None
    for name in ("data_dst.c2pa", "data_dst.csv", "data_dst.mkv", "data_dst.mkv.c2pa"):
        (workspace.root / name).write_bytes(b"")
    assert workspace.dst.video() == workspace.root / "data_dst.mkv"


def test_what_cant_be_cleared_is_told(workspace: Workspace, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "face.jpg").write_bytes(b"face")
    workspace.model_dir.rmdir()
    workspace.model_dir.symlink_to(elsewhere)
    with pytest.raises(FileError, match="model"):
        workspace.clear()
    assert (elsewhere / "face.jpg").exists()


def test_manifest_round_trip(workspace: Workspace) -> None:
    assert workspace.read_manifest("frames_src") is None
    workspace.write_manifest("frames_src", {"count": 3})
    assert workspace.read_manifest("frames_src") == {"count": 3}
    workspace.manifest_path("frames_src").write_text("[1, 2]")
    with pytest.raises(FormatError, match=r"frames_src\.json.*a list"):
        workspace.read_manifest("frames_src")


def test_faceset_dir_is_a_side_or_a_folder(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    assert workspace.faceset_dir("src") == workspace.src.aligned_dir
    assert workspace.faceset_dir(str(tmp_path)) == tmp_path
    with pytest.raises(MaterialError, match="Check the path"):
        workspace.faceset_dir(str(tmp_path / "absent"))
