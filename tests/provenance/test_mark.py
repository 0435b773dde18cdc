"""Signing: what is recorded, what is carried over, what is left alone."""

import errno
import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from understudy.errors import FileError, FormatError
from understudy.media.encode import encode_video
from understudy.provenance.ingredients import source
from understudy.provenance.mark import MarkDetails, sign
from understudy.provenance.verify import verify

DETAILS = MarkDetails(
    consent="consent: recorded (subject p1, basis synthetic)",
    model_sha256="ab" * 32,
    settings_sha256="cd" * 32,
)


def packets(path: Path) -> list[tuple[int, int | None, bytes]]:
    with av.open(str(path)) as container:
        return [(p.stream_index, p.pts, bytes(p)) for p in container.demux() if p.size]


@pytest.mark.parametrize("name", ["film.mp4", "film.mov", "film.mkv"])
def test_signed_clip_verifies_and_its_packets_are_untouched(
    clips: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "Ergebnis é 中文.x".replace(".x", Path(name).suffix)
    mark = sign(
        clips / name,
        out,
        details=DETAILS,
        plate=clips / "plate.mp4",
        sources=[clips / "src.mkv"],
    )
    verdict = verify(out)
    assert (verdict.integrity, verdict.signer) == ("intact", "unknown")
    assert packets(out) == packets(clips / name)
    assert (mark.sidecar is None) == (name != "film.mkv")
    assert mark.manifest_bytes < 8000
    assert sorted(tmp_path.iterdir()) == sorted(filter(None, [out, mark.sidecar]))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' names are always text")
def test_a_name_that_is_no_text_is_signed(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / os.fsdecode(b"\xe9.mp4")
    sign(clips / "film.mp4", out, details=DETAILS, plate=clips / "plate.mp4")
    assert verify(out).integrity == "intact"


def test_manifest_says_what_was_done_with_what(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    sign(
        clips / "film.mp4",
        out,
        details=DETAILS,
        plate=clips / "plate.mp4",
        sources=[clips / "src.mkv"],
    )
    verdict = verify(out)
    assert verdict.tool.startswith("Understudy ")
    assert verdict.actions == ("c2pa.opened", "c2pa.edited (compositeWithTrainedAlgorithmicMedia)")
    assert verdict.ingredients == (
        "plate (parentOf, without provenance)",
        "src 1 (inputTo, without provenance)",
    )
    assert verdict.consent == DETAILS.consent
    assert verdict.record["model_sha256"] == DETAILS.model_sha256
    assert verdict.record["settings_sha256"] == DETAILS.settings_sha256
    assert [each["role"] for each in verdict.record["sources"]] == ["plate", "src 1"]
    assert json.loads(json.dumps(verdict.to_json()))["integrity"] == "intact"
    # File names can hold a person's name; the manifest is published.
    assert b"src.mkv" not in out.read_bytes()
    assert b"plate.mp4" not in out.read_bytes()


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_signed_picture_keeps_its_pixels(clips: Path, tmp_path: Path, ending: str) -> None:
    depth = np.uint16 if ending in {"png", "tif"} else np.uint8
    pixels = np.random.default_rng(0).integers(0, np.iinfo(depth).max, (40, 50, 3)).astype(depth)
    path = tmp_path / f"frame.{ending}"
    assert cv2.imwrite(str(path), pixels)
    before = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    sign(path, details=DETAILS, plate=clips / "plate.mp4")
    assert verify(path).integrity == "intact"
    after = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(after, before)


def test_without_plate_the_result_is_created(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    sign(clips / "film.mp4", out, details=DETAILS)
    assert verify(out).actions == ("c2pa.created (compositeWithTrainedAlgorithmicMedia)",)


def test_inbound_manifests_are_carried_over(clips: Path, tmp_path: Path) -> None:
    plate, sidecar_plate = tmp_path / "plate.mp4", tmp_path / "plate.mkv"
    sign(clips / "plate.mp4", plate, details=DETAILS)
    sign(clips / "film.mkv", sidecar_plate, details=DETAILS)
    for given in (plate, sidecar_plate):
        out = tmp_path / f"of_{given.suffix[1:]}.mp4"
        mark = sign(clips / "film.mp4", out, details=DETAILS, plate=given)
        verdict = verify(out)
        assert verdict.integrity == "intact"
        assert verdict.ingredients == ("plate (parentOf, with provenance)",)
        assert verdict.record["sources"][0]["manifest"] == "carried"
        assert mark.manifest_bytes > 6000


def test_altered_and_broken_plates_are_recorded_and_do_not_stop_signing(
    clips: Path, tmp_path: Path
) -> None:
    plate = tmp_path / "plate.mp4"
    sign(clips / "plate.mp4", plate, details=DETAILS)
    whole = plate.read_bytes()
    for name, position in (("altered", whole.index(b"mdat") + 2000), ("broken", 180 + 32)):
        data = bytearray(whole)
        data[position] ^= 1
        plate.write_bytes(data)
        out = tmp_path / f"{name}.mp4"
        sign(clips / "film.mp4", out, details=DETAILS, plate=plate)
        verdict = verify(out)
        assert verdict.integrity == "intact"
        state = verdict.record["sources"][0]["manifest"]
        assert state == ("carried" if name == "altered" else "unreadable")


def test_plate_looked_at_once_serves_many_frames(clips: Path, tmp_path: Path) -> None:
    plate = source(clips / "plate.mp4", role="plate")
    for index in range(3):
        path = tmp_path / f"{index}.png"
        cv2.imwrite(str(path), np.full((8, 8, 3), index, np.uint8))
        sign(path, details=DETAILS, plate=plate)
        assert verify(path).record["sources"] == [plate.record()]


def test_signing_twice_keeps_the_first_mark(clips: Path, tmp_path: Path) -> None:
    for name in ("film.mp4", "film.mkv"):
        path = tmp_path / name
        shutil.copy(clips / name, path)
        sign(path, details=DETAILS)
        sign(path, details=DETAILS, plate=clips / "plate.mp4")
        verdict = verify(path)
        assert verdict.integrity == "intact"
        assert verdict.ingredients[0] == "earlier version (parentOf, with provenance)"


def test_new_content_under_an_old_name_does_not_inherit_its_sidecar(
    clips: Path, tmp_path: Path
) -> None:
    path = tmp_path / "film.mkv"
    shutil.copy(clips / "film.mkv", path)
    sign(path, details=DETAILS)
    shutil.copy(clips / "src.mkv", path)
    assert verify(path).integrity == "altered"
    sign(path, details=DETAILS)
    verdict = verify(path)
    assert (verdict.integrity, verdict.ingredients) == ("intact", ())


def test_folder_of_frames_is_a_plate(clips: Path, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for index in range(3):
        cv2.imwrite(str(frames / f"{index:05d}.png"), np.full((8, 8, 3), index, np.uint8))
    hashes = []
    for name in ("a.mp4", "b.mp4"):
        sign(clips / "film.mp4", tmp_path / name, details=DETAILS, plate=frames)
        verdict = verify(tmp_path / name)
        assert verdict.integrity == "intact"
        hashes.append(verdict.record["sources"][0]["sha256"])
        cv2.imwrite(str(frames / "00001.png"), np.full((8, 8, 3), 77, np.uint8))
    assert hashes[0] != hashes[1]


def test_two_signings_differ_in_the_manifest_only(clips: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    for path in (one, two):
        sign(clips / "film.mp4", path, details=DETAILS)
    first, second = one.read_bytes(), two.read_bytes()
    start = first.index(b"mdat")
    assert first[start:] == second[start:]
    assert first != second


def test_errors_name_the_file_and_leave_it_as_it_was(clips: Path, tmp_path: Path) -> None:
    note = tmp_path / "note.mp4"
    note.write_text("not a film")
    with pytest.raises(FormatError, match=r"note\.mp4"):
        sign(note, details=DETAILS)
    with pytest.raises(FileError, match=r"gone\.mp4"):
        sign(tmp_path / "gone.mp4", details=DETAILS)
    film = tmp_path / "film.mp4"
    shutil.copy(clips / "film.mp4", film)
    with pytest.raises(FileError, match=r"nowhere\.mp4"):
        sign(film, details=DETAILS, plate=tmp_path / "nowhere.mp4")
    assert film.read_bytes() == (clips / "film.mp4").read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["film.mp4", "note.mp4"]


_TOO_LARGE = """
import resource, signal, sys
from pathlib import Path
from understudy.errors import StorageError
from understudy.provenance.keys import install_identity
from understudy.provenance.mark import MarkDetails, sign
install_identity()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    sign(Path(sys.argv[1]), details=MarkDetails(consent="consent: not recorded"))
except StorageError as error:
    print(error)
    sys.exit(7)
"""


def test_a_disk_that_takes_no_more_is_told_and_loses_nothing(clips: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    shutil.copy(clips / "film.mp4", film)
    run = subprocess.run(
        [sys.executable, "-c", _TOO_LARGE, str(film)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 7, run.stderr
    assert os.strerror(errno.EFBIG) in run.stdout
    assert film.read_bytes() == (clips / "film.mp4").read_bytes()
    assert list(tmp_path.iterdir()) == [film]


def test_an_avi_in_several_segments_gets_a_sidecar(clips: Path, tmp_path: Path) -> None:
    """AVI past a gigabyte goes on in further RIFF chunks, which no embedded manifest survives."""
    film = tmp_path / "film.avi"
    pixels = np.zeros((64, 64, 3), np.uint8)
    encode_video([pixels] * 3, film, timing=Fraction(25), format_name="ffv1")
    whole = tmp_path / "whole.avi"
    shutil.copyfile(film, whole)
    assert sign(whole, details=DETAILS).sidecar is None
    more = b"AVIX" + b"LIST" + (4).to_bytes(4, "little") + b"movi"
    with film.open("ab") as file:
        file.write(b"RIFF" + len(more).to_bytes(4, "little") + more)
    before = film.read_bytes()
    mark = sign(film, details=DETAILS)
    assert mark.sidecar == tmp_path / "film.avi.c2pa"
    assert film.read_bytes() == before
    assert (verify(film).integrity, verify(film).place) == ("intact", "sidecar")
    film.write_bytes(before[:-1] + b"I")
    assert verify(film).integrity == "altered"
