"""The bank: what it holds of each face, where it keeps it, and what it refuses."""

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.errors import Cancelled, FileError, MaterialError
from understudy.job import Job
from understudy.training.samples.bank import build_bank
from understudy.training.samples.paging import FaceList, PagedPlanes
from understudy.types import FaceType

CPU = torch.device("cpu")


def test_faces_that_are_too_tight_are_refused_by_name(make_faces) -> None:
    faces = make_faces(2) + make_faces(1, face_type=FaceType.HALF, first=7)
    with pytest.raises(MaterialError, match=r"00007_0\.jpg.*full_face or wider.*1 of 3"):
        build_bank(faces, resolution=32, face_type=FaceType.FULL, device=CPU, job=Job("t"))


def test_an_empty_faceset_is_refused() -> None:
    with pytest.raises(MaterialError, match="src: expected faces"):
        build_bank([], resolution=32, face_type=FaceType.FULL, device=CPU, job=Job("t"), side="src")


def test_the_bank_gathers_what_was_put_in(make_faces) -> None:
    faces = make_faces(5, size=64)
    bank = build_bank(faces, resolution=32, face_type=FaceType.FULL, device=CPU, job=Job("t"))
    assert bank.planes.shape == (5, 4, 48, 48)
    assert len(bank) == 5
    assert bank.planes.dtype == torch.uint8
    chosen = bank.gather(np.array([3, 0]))
    torch.testing.assert_close(chosen, bank.planes[[3, 0]].float() / 255)


@pytest.mark.parametrize("host_bytes", [0, 1 << 30])
def test_angles_are_told(make_faces, host_bytes: int) -> None:
    rest = {"resolution": 32, "face_type": FaceType.FULL, "device": CPU, "job": Job("t")}
    bank = build_bank(make_faces(2), host_bytes=host_bytes, **rest)
    assert np.abs(bank.yaw).max() < 0.1


def test_faces_read_when_needed_are_those_in_memory(make_faces, tmp_path: Path) -> None:
    rest = {"resolution": 32, "face_type": FaceType.FULL, "device": CPU, "eyes_mouth": True}
    resident = build_bank(make_faces(9), job=Job("t"), **rest)
    events = []
    job = Job("t", sinks=[events.append])
    paged = build_bank(make_faces(9), job=job, host_bytes=0, cache_dir=tmp_path, **rest)
    assert paged.is_paged
    assert isinstance(paged.planes, PagedPlanes)
    assert "too much for memory" in events[-1].data["text"]
    for drawn in ([3, 0, 3], [8, 1], [0, 8, 5]):
        paged.expect(np.array(drawn[:1]))
        indices = np.array(drawn)
        assert torch.equal(paged.gather(indices), resident.gather(indices))
    assert list(tmp_path.iterdir()) == []  # nothing to be left behind


@pytest.mark.parametrize("room", [1 << 40, 0])
def test_a_face_is_made_once_if_the_disk_has_room(monkeypatch, tmp_path: Path, room: int) -> None:
    usage = type("Usage", (), {"free": room})
    monkeypatch.setattr("understudy.training.samples.paging.shutil.disk_usage", lambda _: usage)
    made = []

    def make(index: int) -> np.ndarray:
        made.append(index)
        return np.full((4, 2, 2), index % 256, np.uint8)

    planes = PagedPlanes(make, count=700, channels=4, size=2, folder=tmp_path, workers=3)
    everything = np.arange(700)
    planes.expect(everything[:600])  # more than are kept ahead
    for _ in range(2):
        assert (planes.gather(everything)[:, 0, 0, 0] == everything % 256).all()
    assert sorted(set(made)) == everything.tolist()
    assert (len(made) < 2 * 700) == bool(room)


@pytest.mark.parametrize("host_bytes", [0, 1 << 30])
def test_a_face_that_is_gone_is_told_once_and_another_stands_in(make_faces, host_bytes) -> None:
    faces = make_faces(4)
    gone = threading.Event()

    def load() -> np.ndarray:
        gone.set()
        raise FileError("1.jpg", expected="a file", found="nothing", remedy="Check the path.")

    faces[1] = dataclasses.replace(faces[1], load=load)
    job = Job("t")
    bank = build_bank(
        faces,
        resolution=32,
        face_type=FaceType.FULL,
        device=CPU,
        job=job,
        side="src",
        host_bytes=host_bytes,
    )
    chosen = bank.gather(np.array([1, 2, 1]))
    assert gone.is_set()
    assert torch.equal(chosen[0], chosen[1])
    assert [failure.item for failure in job.failures] == ["src, 00001_0.jpg"]


def test_a_faceset_that_is_gone_ends_the_run(make_faces) -> None:
    def load() -> np.ndarray:
        raise FileError("x.jpg", expected="a file", found="nothing", remedy="Check the path.")

    faces = [dataclasses.replace(face, load=load) for face in make_faces(3)]
    with pytest.raises(MaterialError, match=r"none of which can be read.*last save is kept"):
        build_bank(faces, resolution=32, face_type=FaceType.FULL, device=CPU, job=Job("t"))


def test_a_list_of_faces_keeps_no_mask_in_memory(make_faces) -> None:
    mask = np.ones((64, 64), np.float32)
    faces = [dataclasses.replace(face, mask=mask) for face in make_faces(3)]
    known = FaceList(faces)
    assert [face.mask for face in known] == [None] * 3
    assert known[2].mask is mask
    assert [face.name for face in known[1:]] == ["00001_0.jpg", "00002_0.jpg"]


def test_loading_can_be_cancelled(make_faces) -> None:
    job = Job("t")
    job.cancel()
    with pytest.raises(Cancelled):
        build_bank(make_faces(3), resolution=32, face_type=FaceType.FULL, device=CPU, job=job)


@pytest.mark.parametrize("host_bytes", [None, 0])
def test_a_bank_of_some_faces_has_those_alone(make_faces, host_bytes) -> None:
    rest = {"resolution": 32, "face_type": FaceType.FULL, "device": CPU, "job": Job("t")}
    whole = build_bank(make_faces(6), **rest)
    held = np.array([1, 4, 5])
    part = build_bank(make_faces(6), held=held, host_bytes=host_bytes, **rest)
    assert len(part) == 6
    np.testing.assert_array_equal(part.yaw, whole.yaw)
    assert torch.equal(part.gather(held[::-1].copy()), whole.gather(held[::-1].copy()))
    with pytest.raises(ValueError, match="another process"):
        part.gather(np.array([1, 2]))
