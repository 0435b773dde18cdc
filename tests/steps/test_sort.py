"""Sorting as a user does it: names by place, the trash, undo, going on after a stop."""

import json
import shutil
from pathlib import Path

import pytest

from understudy.cli.main import main
from understudy.errors import Cancelled, FileError, MaterialError
from understudy.facesets.faceset import Faceset
from understudy.job import Event, Job
from understudy.options import parse
from understudy.steps.perform import perform
from understudy.steps.sort import SortOptions
from understudy.workspace import Workspace


@pytest.fixture
def workspace(shared: Path, tmp_path: Path) -> Workspace:
    """A workspace whose src is the golden faceset."""
    made = Workspace.create(tmp_path / "Ünï 片段")
    made.src.aligned_dir.rmdir()
    shutil.copytree(shared / "golden/imaging/faceset", made.src.aligned_dir)
    return made


def content(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def run(workspace: Workspace, *tokens: str) -> int:
    return main([*tokens, "--workspace", str(workspace.root)])


def test_sort_and_undo(shared: Path, workspace: Workspace) -> None:
    aligned = workspace.src.aligned_dir
    before = content(aligned)
    expected = json.loads((shared / "golden/imaging/sort/sort_orders.json").read_text())["blur"]
    assert run(workspace, "sort", "src", "--by", "blur") == 0
    after = content(aligned)
    assert sorted(after) == expected["kept_new_names"]
    assert [after[n] for n in sorted(after)] == [before[n] for n in expected["kept_order"]]
    trash = content(aligned.with_name("aligned_trash"))
    assert trash == {name: before[name] for name in expected["trash"]}
    report = json.loads((workspace.reports_dir / "sort.json").read_text())
    assert report["done"] == 60
    assert report["details"]["sorted_out"] == 2
    assert run(workspace, "sort", "src", "--by", "hue", "--reverse") == 0
    assert content(aligned) != after
    assert run(workspace, "faceset", "undo", "src") == 0
    assert content(aligned) == after
    assert run(workspace, "faceset", "undo", "src") == 0
    assert content(aligned) == before
    assert run(workspace, "faceset", "undo", "src") == 2


def test_persons_are_sorted_apart(workspace: Workspace) -> None:
    aligned = workspace.src.aligned_dir
    for number, path in enumerate(sorted(aligned.iterdir())):
        person = aligned / ("alice" if number % 3 else "bob")
        person.mkdir(exist_ok=True)
        path.rename(person / path.name)
    assert run(workspace, "sort", "src", "--by", "face-yaw") == 0
    assert Faceset.open(aligned).names == (
        *(f"alice/{i:05d}.jpg" for i in range(40)),
        *(f"bob/{i:05d}.jpg" for i in range(21)),
    )
    assert [*content(aligned.with_name("aligned_trash"))] == ["alice/00902_0.jpg"]


def test_keep_leaves_the_unfit_at_the_end(workspace: Workspace) -> None:
    aligned = workspace.src.aligned_dir
    before = content(aligned)
    assert run(workspace, "sort", "src", "--by", "final-by-blur", "--target", "20", "--keep") == 0
    after = content(aligned)
    assert sorted(after.values()) == sorted(before.values())
    assert after["00061.jpg"] == before["00902_0.jpg"]


def test_a_damaged_picture_goes_to_the_trash_and_is_told(workspace: Workspace) -> None:
    aligned = workspace.src.aligned_dir
    (aligned / "00000.jpg").write_bytes(b"\xff\xd8 nothing")
    assert run(workspace, "sort", "src", "--by", "hist") == 3
    assert (aligned.with_name("aligned_trash") / "00000.jpg").read_bytes().endswith(b"nothing")
    assert len(content(aligned)) == 62


def test_debug_pictures_are_not_sorted_among_the_faces(workspace: Workspace) -> None:
    aligned = workspace.src.aligned_dir
    before = content(aligned)
    (aligned / "00003_0.jpg").rename(aligned / "mine_debug.jpg")  # a face in spite of its name
    assert run(workspace, "faceset", "debug", "src") == 0
    assert run(workspace, "sort", "src", "--by", "hist") == 0
    assert sorted(content(aligned).values()) == sorted(before.values())
    trash = content(aligned.with_name("aligned_trash"))
    assert len(trash) == 61 and all(name.endswith("_debug.jpg") for name in trash)
    assert run(workspace, "faceset", "undo", "src") == 0
    assert "mine_debug.jpg" in content(aligned) and len(content(aligned)) == 62 + 61


def test_a_stopped_sort_goes_on(workspace: Workspace) -> None:
    aligned = workspace.src.aligned_dir
    before = content(aligned)
    options = parse(SortOptions, {"faces": "src", "workspace": workspace.root, "by": "blur"})
    seen: list[int] = []

    def stop_at_ten(event: Event) -> None:
        if event.kind == "progress":
            seen.append(event.data["done"])
            if event.data["done"] >= 10:
                job.cancel()

    job = Job("sort", sinks=[stop_at_ten], workers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("understudy.job.PROGRESS_SECONDS", 0)
        with pytest.raises(Cancelled):
            perform("sort", options, job)
        assert content(aligned) == before
        totals: list[int] = []
        job = Job("sort", sinks=[lambda e: totals.append(e.data.get("total", 0))], workers=1)
        assert perform("sort", options, job).done == 60
    assert 0 < max(totals) <= 62 - 10, "what was measured is not measured again"


def test_what_can_not_be_sorted(workspace: Workspace, shared: Path, tmp_path: Path) -> None:
    def sort(faces: Path, by: str) -> None:
        values = {"faces": str(faces), "workspace": workspace.root, "by": by}
        perform("sort", parse(SortOptions, values), Job("sort"))

    shutil.copytree(shared / "golden/files/pak_plain", tmp_path / "packed")
    with pytest.raises(FileError, match="faceset unpack"):
        sort(tmp_path / "packed", "blur")
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(MaterialError, match="faces to sort"):
        sort(plain, "hist")
    shutil.copy(workspace.src.aligned_dir / "00902_0.jpg", plain)
    with pytest.raises(MaterialError, match=r"1 pictures that blur would all sort out"):
        sort(plain, "blur")
    assert [p.name for p in plain.iterdir()] == ["00902_0.jpg"]


def test_like_goes_with_identity_only(workspace: Workspace) -> None:
    face = str(workspace.src.aligned_dir / "00001_0.jpg")
    assert run(workspace, "sort", "src", "--by", "hist", "--like", face) == 2
    assert run(workspace, "sort", "src", "--by", "identity", "--like", face) == 0
    assert len(content(workspace.src.aligned_dir.with_name("aligned_trash"))) >= 1


def test_oneface_of_single_faces_renames_nothing(workspace: Workspace) -> None:
    aligned = workspace.src.aligned_dir
    for path in aligned.glob("*_1.jpg"):
        path.unlink()
    before = content(aligned)
    assert run(workspace, "sort", "src", "--by", "oneface") == 0
    assert content(aligned) == before
