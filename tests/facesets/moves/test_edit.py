"""Moves of faces: all or none, nothing lost by a kill, everything undone."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from understudy.errors import FileError, FormatError, MaterialError, StorageError, UnsafeFileError
from understudy.facesets.faceset import Faceset
from understudy.facesets.moves import edit, edit_plan, transaction
from understudy.facesets.moves.edit import (
    Move,
    apply_moves,
    operations,
    recover,
    trash_moves,
    undo,
)


class Killed(BaseException):
    """What no handler of the program catches, like a kill."""


def fill(aligned: Path, *names: str) -> None:
    for name in names:
        (aligned / name).parent.mkdir(parents=True, exist_ok=True)
        (aligned / name).write_text(name)


def tree(aligned: Path) -> dict[str, str]:
    """Content by path of all that a user sees beside and in the faceset."""
    root = aligned.resolve().parent
    files = (p for p in root.rglob("*") if p.is_file())
    shown = (p for p in files if not p.relative_to(root).parts[0].startswith("."))
    return {p.relative_to(root).as_posix(): p.read_text() for p in shown}


def swap(aligned: Path) -> list[Move]:
    """A ring of three names, a person, a mask and a face for the trash."""
    ring = [Move(aligned / a, aligned / b) for a, b in (("1.jpg", "2.jpg"), ("2.jpg", "3.jpg"))]
    ring.append(Move(aligned / "3.jpg", aligned / "1.jpg"))
    ring.append(Move(aligned / "bob/1.jpg", aligned / "bob/4.jpg"))
    return ring + trash_moves(aligned, [aligned / "9.jpg"])


NAMES = ("1.jpg", "2.jpg", "2.mask.png", "3.jpg", "bob/1.jpg", "9.jpg", "stays.png")


def test_moves_and_their_masks_and_back(tmp_path: Path) -> None:
    aligned = tmp_path / "data/aligned"
    fill(aligned, *NAMES)
    before = tree(aligned)
    assert apply_moves(aligned, swap(aligned), operation="sort blur") == 5
    assert tree(aligned) == {
        "aligned/1.jpg": "3.jpg",
        "aligned/2.jpg": "1.jpg",
        "aligned/3.jpg": "2.jpg",
        "aligned/3.mask.png": "2.mask.png",
        "aligned/bob/4.jpg": "bob/1.jpg",
        "aligned/stays.png": "stays.png",
        "aligned_trash/9.jpg": "9.jpg",
    }
    assert operations(aligned) == ("sort blur",)
    assert undo(aligned) == edit.Undone("sort blur", 5, 1, 4, (), ())
    assert tree(aligned) == before
    assert not edit.trash_dir(aligned).exists()
    with pytest.raises(MaterialError, match="operation to undo"):
        undo(aligned)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_undo_goes_all_the_way_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    aligned = tmp_path_factory.mktemp("w") / "aligned"
    folders = st.sampled_from(["", "alice/", "bob/"])
    stems = st.sampled_from(["1", "2", "3", "含", "a b", "x~2"])
    names = st.builds("{}{}{}".format, folders, stems, st.sampled_from([".jpg", ".png", ".JPEG"]))
    fill(aligned, *data.draw(st.sets(names, min_size=1)))
    for face in [p for p in aligned.rglob("*.jpg") if data.draw(st.booleans())]:
        fill(aligned, edit.sidecar_path(face).relative_to(aligned).as_posix())
    states = [tree(aligned)]
    for round_number in range(data.draw(st.integers(1, 4))):
        faces = sorted(p for p in aligned.rglob("*") if p.is_file() and "mask" not in p.name)
        order = data.draw(st.permutations(faces))
        cut = data.draw(st.integers(0, len(order)))
        targets = [f.with_name(f"{i:05d}{f.suffix}") for i, f in enumerate(order[:cut])]
        moves = [Move(f, t) for f, t in zip(order[:cut], targets, strict=True)]
        moves += trash_moves(aligned, order[cut:])
        if apply_moves(aligned, moves, operation=str(round_number)):
            states.append(tree(aligned))
        assert sorted(states[-1].values()) == sorted(states[0].values())
    for state in reversed(states):
        assert tree(aligned) == state
        if operations(aligned):
            undo(aligned)


@pytest.mark.parametrize("undoing", [False, True])
def test_a_kill_at_every_step_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undoing: bool
) -> None:
    """Stop at each call that changes the disk, before it and after it, until none is left."""
    aligned = tmp_path / "w/aligned"
    fill(aligned, *NAMES)
    states = [tree(aligned)]
    apply_moves(aligned, swap(aligned), operation="sort blur")
    states.append(tree(aligned))
    if not undoing:
        undo(aligned)
    shutil.copytree(aligned.parent, tmp_path / "saved")
    ends = []
    for step in range(200):
        shutil.rmtree(aligned.parent)
        shutil.copytree(tmp_path / "saved", aligned.parent)
        killed = killed_at(step, monkeypatch, aligned, undoing=undoing)
        told = recover(aligned)
        assert tree(aligned) in states, step
        assert not list(aligned.parent.rglob("*.moving")), step
        assert recover(aligned) is None
        ends.append((told is not None, states.index(tree(aligned))))
        if not killed:
            break
    assert len(ends) > 40, "each of 8 files moves twice"
    assert ends[0] == (False, int(undoing)), "killed before the plan: nothing happened"
    assert ends[-1] == (False, int(not undoing)), "not killed: all happened"
    assert (True, int(not undoing)) in ends, "killed after the plan: finished by the next"
    if not undoing:
        assert undo(aligned).moved == 5
        assert tree(aligned) == states[0]


def test_faces_made_since_change_places_with_those_that_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole before and after, whatever call a kill comes at; masks and persons go along."""
    aligned = tmp_path / "w/aligned"
    fill(aligned, *NAMES)
    old = tree(aligned)
    faces = [p for p in aligned.rglob("*.*") if p.is_file() and ".mask" not in p.name]
    apply_moves(aligned, trash_moves(aligned, faces), operation="restart")
    new = ("1.jpg", "1.mask.png", "2.jpg", "bob/1.jpg", "new.jpg")
    for name in new:
        (aligned / name).write_text(f"new {name}")
    replaced = [aligned / name for name in new if ".mask" not in name]
    gone = {f"aligned_trash/{name}": f"new {name}" for name in new}
    shutil.copytree(aligned.parent, tmp_path / "saved")
    real = Path.rename
    with monkeypatch.context() as patch:
        for step in range(200):
            shutil.rmtree(aligned.parent)
            shutil.copytree(tmp_path / "saved", aligned.parent)
            halves = [step]

            def rename(path: Path, target: Path, halves: list[int] = halves) -> Path:
                halves[0] -= 1
                if halves[0] == -1:
                    raise Killed
                return real(path, target)

            patch.setattr(Path, "rename", rename)
            try:
                undone = undo(aligned, replaced=replaced)
                break
            except Killed:
                patch.setattr(Path, "rename", real)
                recover(aligned)
                assert tree(aligned) == {**old, **gone}, step
    assert step > 20 and undone == edit.Undone("restart", 6, 6, 0, (), ())
    assert tree(aligned) == {**old, **gone}


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch, aligned: Path, *, undoing: bool) -> bool:
    """Whether the work was stopped after `step` halves of calls: before a call, after it, ..."""
    halves = [step]

    def pass_half() -> None:
        halves[0] -= 1
        if halves[0] == -1:
            raise Killed

    with monkeypatch.context() as patch:
        for name in ("rename", "replace", "mkdir", "unlink", "rmdir", "write_bytes"):
            real = getattr(Path, name)

            def call(*args: Any, real: Any = real, **kwargs: Any) -> Any:
                pass_half()
                result = real(*args, **kwargs)
                pass_half()
                return result

            patch.setattr(Path, name, call)
        moves = swap(aligned)
        try:
            undo(aligned) if undoing else apply_moves(aligned, moves, operation="sort blur")
        except Killed:
            return True
        return False


def test_a_real_kill(tmp_path: Path) -> None:
    aligned = tmp_path / "aligned"
    fill(aligned, *(f"{i:04d}.jpg" for i in range(3000)))
    code = (
        "import sys; from pathlib import Path; from understudy.facesets.moves.edit import *\n"
        "a = Path(sys.argv[1]); names = sorted(a.iterdir())\n"
        "print('go', flush=True)\n"
        "apply_moves(a, [Move(p, t) for p, t in zip(names, reversed(names))], operation='turn')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(aligned)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == b"go\n"
        while not any(aligned.glob("*.moving")) and child.poll() is None:
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
    assert len(list(aligned.iterdir())) == 3000
    assert recover(aligned) == "turn"
    assert {p.name: p.read_text() for p in aligned.iterdir()} == {
        f"{i:04d}.jpg": f"{2999 - i:04d}.jpg" for i in range(3000)
    }


def test_opening_a_faceset_finishes_what_was_begun(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligned = tmp_path / "aligned"
    shutil.copytree(shared / "golden/files/aligned", aligned)
    names = sorted(p.name for p in aligned.iterdir())
    moves = [Move(aligned / name, aligned / f"new_{name}") for name in names]
    step = 12
    with monkeypatch.context() as patch:
        patch.setattr(transaction, "_place", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            apply_moves(aligned, moves, operation=f"sort {step}")
    assert not [p for p in aligned.iterdir() if p.suffix == ".jpg"]
    assert Faceset.open(aligned).names == tuple(f"new_{name}" for name in names)


def test_a_move_that_fails_brings_all_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aligned = tmp_path / "aligned"
    fill(aligned, *NAMES)
    before = tree(aligned)
    real, calls = Path.rename, []

    def failing(self: Path, target: Path) -> Path:
        calls.append(target)
        if target.name == "4.jpg":
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(StorageError, match="full disk"):
        apply_moves(aligned, swap(aligned), operation="sort blur")
    assert len(calls) > 8
    assert tree(aligned) == before
    assert recover(aligned) is None and not operations(aligned)


def test_a_name_taken_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligned = tmp_path / "aligned"
    fill(aligned, "1.jpg", "2.jpg")
    moves = [Move(aligned / "1.jpg", aligned / "8.jpg"), Move(aligned / "2.jpg", aligned / "1.jpg")]
    real = edit_plan.begin_placing

    def another_program(folder: Path) -> None:
        real(folder)
        (aligned / "1.jpg").write_text("another")

    monkeypatch.setattr(edit_plan, "begin_placing", another_program)
    with pytest.raises(StorageError, match="put there meanwhile"):
        apply_moves(aligned, moves, operation="sort blur")
    assert tree(aligned) == {
        "aligned/1.jpg": "another",
        "aligned/1~2.jpg": "1.jpg",
        "aligned/2.jpg": "2.jpg",
    }


def test_what_is_refused_moves_nothing(tmp_path: Path) -> None:
    aligned = tmp_path / "w/aligned"
    fill(aligned, "1.jpg", "2.jpg", "3.jpg", "3.mask.png", "7.jpg", "7.mask.png")
    (tmp_path / "else").mkdir()
    before = tree(aligned)
    wrong = {
        "the same file twice": [("1.jpg", "5.jpg"), ("1.jpg", "6.jpg")],
        "nothing to move|found none": [("4.jpg", "5.jpg")],
        "there already": [("1.jpg", "2.jpg")],
        "two files that want it": [("1.jpg", "5.jpg"), ("2.jpg", "5.jpg")],
        r"7\.mask\.png.*there already": [("3.jpg", "7.png")],
        "one elsewhere": [("1.jpg", "../../else/1.jpg")],
    }
    for message, pairs in wrong.items():
        moves = [Move(aligned / a, aligned / b) for a, b in pairs]
        with pytest.raises(FileError, match=message):
            apply_moves(aligned, moves, operation="sort blur")
        assert tree(aligned) == before
    assert apply_moves(aligned, [Move(aligned / "1.jpg", aligned / "1.jpg")], operation="x") == 0
    assert not operations(aligned)


def test_undo_after_the_user_changed_things(tmp_path: Path) -> None:
    aligned = tmp_path / "aligned"
    fill(aligned, *NAMES)
    apply_moves(aligned, swap(aligned), operation="sort blur")
    (aligned / "1.jpg").unlink()  # was 3.jpg
    fill(aligned, "2.mask.png", "new.jpg")
    (aligned / "new.jpg").rename(aligned / "bob/1.jpg")
    undone = undo(aligned)
    assert undone.missing == ("aligned/1.jpg",)
    assert undone.renamed == (
        ("aligned/2.jpg", "aligned/2~2.jpg"),
        ("aligned/bob/1.jpg", "aligned/bob/1~2.jpg"),
        ("aligned/2.mask.png", "aligned/2~2.mask.png"),
    )
    assert tree(aligned) == {
        "aligned/1.jpg": "1.jpg",
        "aligned/2~2.jpg": "2.jpg",
        "aligned/2~2.mask.png": "2.mask.png",
        "aligned/2.mask.png": "2.mask.png",
        "aligned/9.jpg": "9.jpg",
        "aligned/bob/1.jpg": "new.jpg",
        "aligned/bob/1~2.jpg": "bob/1.jpg",
        "aligned/stays.png": "stays.png",
    }


def test_an_orphaned_mask_makes_room(tmp_path: Path) -> None:
    aligned = tmp_path / "aligned"
    fill(aligned, "2.jpg", "2.mask.png", "5.mask.png")
    before = tree(aligned)
    apply_moves(aligned, [Move(aligned / "2.jpg", aligned / "5.jpg")], operation="sort blur")
    assert tree(aligned) == {
        "aligned/5.jpg": "2.jpg",
        "aligned/5.mask.png": "2.mask.png",
        "aligned/orphan_5.mask.png": "5.mask.png",
    }
    undo(aligned)
    assert tree(aligned) == before


def test_a_mask_that_is_moved_by_its_own_name_moves_once(tmp_path: Path) -> None:
    aligned = tmp_path / "aligned"
    fill(aligned, "2.jpg", "2.mask.png")
    before = tree(aligned)
    moves = [Move(aligned / f"2{end}", aligned / f"5{end}") for end in (".jpg", ".mask.png")]
    apply_moves(aligned, moves, operation="sort blur")
    assert tree(aligned) == {"aligned/5.jpg": "2.jpg", "aligned/5.mask.png": "2.mask.png"}
    undo(aligned)
    assert tree(aligned) == before


def test_trash_keeps_what_is_in_it(tmp_path: Path) -> None:
    aligned = tmp_path / "aligned"
    for _ in range(2):
        fill(aligned, "1.jpg", "bob/1.jpg")
        faces = [aligned / "1.jpg", aligned / "bob/1.jpg"]
        apply_moves(aligned, trash_moves(aligned, faces), operation="trash")
    assert sorted(tree(aligned)) == [
        "aligned_trash/1.jpg",
        "aligned_trash/1~2.jpg",
        "aligned_trash/bob/1.jpg",
        "aligned_trash/bob/1~2.jpg",
    ]


@pytest.mark.parametrize(
    "line", ['["aligned/1.jpg", "../x.jpg"]', '["/etc/x", "aligned/1.jpg"]', '["aligned/1.jpg"]',
             '["aligned/1.jpg", 5]', '["aligned/1.jpg", "link/x.jpg"]', "[" * 100000, '["", ""]']
)  # fmt: skip
def test_a_strangers_plan_leads_nowhere(tmp_path: Path, line: str) -> None:
    aligned = tmp_path / "w/aligned"
    fill(aligned, "1.jpg")
    (tmp_path / "x.jpg").write_text("precious")
    (tmp_path / "w/link").symlink_to(tmp_path)
    edits = edit_plan.edits_dir(aligned)
    edits.mkdir()
    edit_plan.write(edits, edit_plan.Plan(tmp_path / "w", "sort", ()))
    with (edits / "plan.jsonl").open("a") as plan:
        plan.write(line + "\n")
    kinds = FormatError if "x" not in line else UnsafeFileError
    with pytest.raises(kinds):
        recover(aligned)
    assert (aligned / "1.jpg").read_text() == "1.jpg"
    assert (tmp_path / "x.jpg").read_text() == "precious"
