"""A kill or a full disk in the middle of mask training, painting or import loses nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from labelled import content, labelled_workspace, pixels_of
from made_faceset import make_workspace
from understudy.cli.main import main
from understudy.errors import Cancelled
from understudy.facesets.dfl import read_face
from understudy.facesets.faceset import Faceset
from understudy.job import Event, Job
from understudy.masks.outlines import iou_of
from understudy.media.mask_images import encode_mask
from understudy.steps.mask.changed import Changed, change_faces
from understudy.training.state.model_folder import open_model
from understudy.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills and limits are POSIX")

TINY = ["--resolution", "64", "--base-dims", "2", "--batch-size", "2", "--threads", "1"]
LIMITED = """
import resource, signal, sys
from understudy.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(main(sys.argv[2:]))
"""
KILLED_WHILE_WRITING = """
import os, signal, sys
from understudy.facesets import dfl
from understudy.facesets.dfl import face_file
from understudy.cli.main import main
os.cpu_count = lambda: 1
write, count = face_file.write_face, 0
def write_face(path, sample, **rest):
    global count
    count += 1
    if count > int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, sample, **rest)
face_file.write_face = dfl.write_face = write_face
main(sys.argv[2:])
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = labelled_workspace(tmp_path / "w", src=6, labelled=(1, 3, 4, 5, 6))
    (workspace.src.aligned_dir / "00002_0.jpg").unlink()  # it has a mask from elsewhere
    train = ["mask", "train", "--workspace", str(workspace.root), *TINY, "--target-iter", "2"]
    assert main(train) == 0
    return workspace


def run(code: str, *tokens: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *tokens], capture_output=True, text=True, check=False
    )


def num_masked(folder: Path) -> int:
    return sum(face.mask is not None for face in Faceset.open(folder))


def test_painting_goes_on_after_a_kill(workspace: Workspace) -> None:
    src = workspace.src.aligned_dir
    pixels = {p: pixels_of(p) for p in src.glob("*.jpg")}
    tokens = ["mask", "apply", "src", "--workspace", str(workspace.root)]
    assert run(KILLED_WHILE_WRITING, "2", *tokens).returncode == -signal.SIGKILL
    masked = num_masked(src)
    assert 0 < masked < 5
    assert main(tokens) == 0, "the masks painted before the kill are not taken for another's"
    assert num_masked(src) == 5
    assert {p: pixels_of(p) for p in src.glob("*.jpg")} == pixels
    assert [p.name for p in src.iterdir() if p.name.startswith(".")] == []
    again = {p: p.read_bytes() for p in src.glob("*.jpg")}
    assert main([*tokens, "--restart"]) == 0
    for path, data in again.items():
        assert path.read_bytes() == data, "in one go the same masks come out"


def test_masks_a_killed_run_was_to_replace_are_still_known(workspace: Workspace) -> None:
    src = workspace.src.aligned_dir
    tokens = ["mask", "apply", "src", "--workspace", str(workspace.root)]
    assert main(tokens) == 0
    soft = [*tokens, "--soft"]
    assert run(KILLED_WHILE_WRITING, "2", *soft).returncode == -signal.SIGKILL
    assert main(soft) == 0, "neither the old nor the new ones are another's"
    report = json.loads((workspace.reports_dir / "mask_apply.json").read_text())
    assert (report["done"], report["skipped"]) == (3, 2)
    assert num_masked(src) == 5
    assert not (workspace.src.frames_dir / "aligned_trash").exists()


def test_masks_of_others_are_not_taken_for_ours_after_a_kill(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = ["mask", "apply", "src", "--workspace", str(workspace.root)]
    assert main(tokens) == 0
    shutil.rmtree(workspace.manifests_dir)  # nobody knows any more who painted
    replacing = [*tokens, "--replace"]
    assert run(KILLED_WHILE_WRITING, "0", *replacing).returncode == -signal.SIGKILL
    assert main([*tokens, "--soft"]) == 2
    assert "masks from elsewhere" in capsys.readouterr().err
    assert main(replacing) == 0


def painted(folder: Path, count: int) -> Path:
    """Masks of that many faces, each another."""
    folder.mkdir()
    for number in range(1, count + 1):
        mask = np.zeros((64, 64), np.float32)
        mask[: 8 * number] = 1
        (folder / f"{number:05d}_0.png").write_bytes(encode_mask(mask))
    return folder


def imports(at: list[str], *more: str) -> tuple[int, dict[str, object]]:
    """Exit code of an import, and what its report says."""
    rc = main(["mask", "import", "src", *at, *more])
    report = Path(at[-1]) / "reports" / "mask_import.json"
    return rc, json.loads(report.read_text())["details"]


@pytest.mark.parametrize("killed_after", [0, 2, 4])
def test_an_import_goes_on_after_a_kill(
    killed_after: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_workspace(tmp_path / "w", src=5, dst=0)
    aligned, masks = workspace.src.aligned_dir, painted(tmp_path / "m", 5)
    before = content(aligned)
    at = [str(masks), "--target", "polygons", "--workspace", str(workspace.root)]
    tokens = ["mask", "import", "src", *at]
    killed = run(KILLED_WHILE_WRITING, str(killed_after), *tokens)
    assert killed.returncode == -signal.SIGKILL
    assert content(aligned) == before, "until all are written nothing changes"
    (staged,) = (workspace.src.frames_dir / "aligned_trash").iterdir()
    written = {path: path.stat().st_mtime_ns for path in staged.glob("*.jpg")}
    assert len(written) == killed_after
    capsys.readouterr()
    rc, details = imports(at)
    assert rc == 0
    went_on = "written by a run that was stopped" in capsys.readouterr().err
    assert went_on == (killed_after > 0)
    kept = [aligned / path.name for path in written]
    assert [path.stat().st_mtime_ns for path in kept] == list(written.values())
    assert not staged.exists()
    assert str(details["summary"]).startswith("5 labels imported, IoU of the polygons 1.0000")
    for number, face in enumerate(Faceset.open(aligned), 1):
        (polygon,) = face.polygons
        assert np.ptp(polygon.points[:, 1]) == pytest.approx(16 * number, abs=2)
    assert main(["faceset", "undo", "src", "--workspace", str(workspace.root)]) == 0
    assert content(aligned) == before


def test_what_changed_since_the_kill_is_imported_anew(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", src=3, dst=0)
    aligned, masks = workspace.src.aligned_dir, painted(tmp_path / "m", 3)
    at = [str(masks), "--replace", "--workspace", str(workspace.root)]
    assert run(KILLED_WHILE_WRITING, "2", "mask", "import", "src", *at).returncode < 0
    (masks / "00001_0.png").write_bytes(encode_mask(np.ones((64, 64), np.float32)))
    rc, _ = imports(at, "--invert")
    assert rc == 0, "with other settings nothing is taken over"
    inverted = read_face(aligned / "00002_0.jpg").mask
    assert inverted is not None and not inverted[0].any()
    rc, _ = imports(at)
    assert rc == 0
    first, second = (read_face(aligned / f"0000{n}_0.jpg").mask for n in (1, 2))
    assert first is not None and second is not None
    assert first.all() and iou_of(second, np.float32(1) - inverted) > 0.99


def test_a_full_disk_stops_an_import_and_leaves_no_trace(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", src=3, dst=0)
    masks, everything = painted(tmp_path / "m", 3), content(workspace.src.frames_dir)
    tokens = ["mask", "import", "src", str(masks), "--workspace", str(workspace.root)]
    done = run(LIMITED, "4000", *tokens)
    assert done.returncode == 2, done.stderr
    assert content(workspace.src.frames_dir) == everything
    assert main(tokens) == 0


def test_what_the_user_stops_waits(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", src=12, dst=0)
    faceset = Faceset.open(workspace.src.aligned_dir)
    said: list[Event] = []
    made: list[int] = []

    def change(index: int) -> Changed:
        made.append(index)
        if index == 3:
            job.cancel()
        return Changed(faceset[index], {"index": index})

    job = Job("mask import", workers=1)
    with pytest.raises(Cancelled):
        change_faces(faceset, range(12), change, operation="mask import", job=job)
    assert 3 in made and 11 not in made
    before = set(made)
    job = Job("mask import", sinks=(said.append,), workers=1)
    facts = change_faces(faceset, range(12), change, operation="mask import", job=job)
    assert [told["index"] for told in facts.values()] == list(range(12))
    assert sorted(made) == list(range(12)), "none was made twice"
    text = [event.data["text"] for event in said if event.kind == "message"]
    assert text == [
        f"{len(before)} faces were written by a run that was stopped: it goes on from there"
    ]


def test_a_full_disk_stops_painting_and_keeps_the_faces(workspace: Workspace) -> None:
    src = workspace.src.aligned_dir
    before = {p: p.read_bytes() for p in src.glob("*.jpg")}
    tokens = ["mask", "apply", "src", "--workspace", str(workspace.root)]
    done = run(LIMITED, "4000", *tokens)
    assert done.returncode == 2, done.stderr
    assert {p: p.read_bytes() for p in src.glob("*.jpg")} == before
    assert main(tokens) == 0


def test_training_goes_on_after_a_kill_and_a_full_disk(workspace: Workspace) -> None:
    tokens = ["mask", "train", "--workspace", str(workspace.root), "--threads", "1"]
    command = [sys.executable, "-m", "understudy.cli.main", *tokens, "--save-minutes", "0.0001"]
    with subprocess.Popen(
        [*command, "--target-iter", "100000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    ) as training:
        saves = workspace.model_dir / "XSeg" / "current.json"
        first, deadline = saves.stat().st_mtime_ns, time.monotonic() + 120
        while saves.stat().st_mtime_ns == first and time.monotonic() < deadline:
            time.sleep(0.05)
        training.send_signal(signal.SIGKILL)
    state = open_model(workspace.model_dir / "XSeg").load(pytest.fail)
    assert state.iteration > 2
    assert np.isfinite(list(state.history.curves["mask"])).all()
    wanted = ["--target-iter", str(state.iteration + 1)]
    done = run(LIMITED, "20000", *tokens, *wanted)
    assert done.returncode == 2, done.stderr
    kept = open_model(workspace.model_dir / "XSeg").load(pytest.fail)
    assert kept.iteration == state.iteration
    assert main([*tokens, *wanted]) == 0
    assert (
        open_model(workspace.model_dir / "XSeg").load(pytest.fail).iteration == kept.iteration + 1
    )
