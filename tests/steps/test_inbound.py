"""What the clips came with is carried into the film, though they are gone when it is signed."""

import shutil
from pathlib import Path

import pytest

from merged_by_hand import workspace_with_merged, write_plate
from understudy.cli.main import main
from understudy.files import sha256_file
from understudy.provenance.mark import MarkDetails, sign
from understudy.provenance.verify import verify


@pytest.mark.parametrize("what", ["there", "gone", "changed"])
@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".avi"])
def test_manifests_come_through_the_frames(what: str, ending: str, tmp_path: Path) -> None:
    plate = write_plate(tmp_path / f"plate{ending}")
    sign(plate, details=MarkDetails(consent="consent: of the camera", tool="Camera"))
    digest = sha256_file(plate)
    workspace = workspace_with_merged(tmp_path / "w", plate)
    if what == "gone":
        plate.unlink()
        plate.with_name(f"{plate.name}.c2pa").unlink(missing_ok=True)
    if what == "changed":
        write_plate(plate, timecode="09:00:00:00")
    out = tmp_path / "film.mp4"
    tokens = ["video", "--workspace", str(workspace), "--out", str(out)]
    assert main([*tokens, "--encoder-preset", "ultrafast"]) == 0
    verdict = verify(out)
    assert verdict.integrity == "intact"
    assert verdict.ingredients == ("plate (parentOf, with provenance)",)
    assert verdict.record["sources"][0]["sha256"] == digest
    assert b"Camera" in out.read_bytes()


def test_without_a_manifest_the_hash_alone_is_kept(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "plate.mp4")
    digest = sha256_file(plate)
    workspace = workspace_with_merged(tmp_path / "w", plate)
    plate.unlink()
    out = tmp_path / "film.mp4"
    assert main(["video", "--workspace", str(workspace), "--out", str(out)]) == 0
    verdict = verify(out)
    assert verdict.ingredients == ("plate (parentOf, without provenance)",)
    assert verdict.record["sources"][0]["sha256"] == digest
    shutil.rmtree(workspace / "manifests" / "ingredients")
    assert main(["video", "--workspace", str(workspace), "--out", str(tmp_path / "b.mp4")]) == 0
    assert verify(tmp_path / "b.mp4").ingredients == ()
