"""The compositor's package: its layers give the merged frame back, its transforms fit the plate."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from merged_by_hand import workspace_with_merged, write_plate
from understudy.cli.main import main
from understudy.media.images import read_pixels
from understudy.media.stills import read_still
from understudy.provenance.verify import verify

Told = Callable[..., str]


@pytest.fixture(scope="module")
def package(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("comp") / "für Nuke"
    assert main(["deliver", "--workspace", str(merged), "--for", "comp", "--out", str(out)]) == 0
    return out


def test_final_over_plate_is_the_merged_frame(merged: Path, package: Path) -> None:
    frames = sorted((merged / "data_dst" / "merged").glob("*.png"))
    assert len(frames) == 5
    changed = 0
    for frame in frames:
        plate = read_pixels(merged / "data_dst" / frame.name) / 255
        final = read_still(package / "final" / f"{frame.stem}.exr")
        matte = read_still(package / "matte" / f"{frame.stem}.exr")
        assert np.array_equal(final[..., 3:], matte)
        over = plate * (1 - final[..., 3:].astype(float)) + final[..., :3]
        assert np.abs(over * 255 - read_pixels(frame)).max() < 0.25
        untouched = matte[..., 0] == 0
        assert not final[untouched].any()
        assert untouched.mean() > 0.3
        changed += int((matte > 0.2).sum())
    assert changed > 1000


def test_the_prediction_lies_where_the_transforms_say(merged: Path, package: Path) -> None:
    told = json.loads((package / "transforms.json").read_text())
    assert (told["width"], told["height"], told["frame_rate"]) == (256, 256, "30000/1001")
    assert [frame["name"] for frame in told["frames"]] == [f"{n:05d}" for n in range(1, 6)]
    for frame in told["frames"]:
        (face,) = frame["faces"]
        to_face = np.array(face["frame_to_face"])
        corners = np.array(face["corners"])
        last = face["size"] - 1
        square = np.array([(0, 0), (last, 0), (last, last), (0, last)])
        assert np.allclose(corners @ to_face[:, :2].T + to_face[:, 2], square, atol=1e-6)
        assert np.allclose(np.mean(corners, axis=0), face["centre"], atol=1e-6)
        side = np.linalg.norm(corners[1] - corners[0])
        assert side == pytest.approx(face["scale"] * last)
        prediction = read_still(package / "prediction" / f"{frame['name']}.exr")
        assert prediction.shape == (256, 256, 4)
        landmarks = np.array(face["landmarks"])
        x, y = np.rint(landmarks[27:36].mean(axis=0)).astype(int)
        assert prediction[y, x, 3] == pytest.approx(1, abs=1e-3)
        area = prediction[..., 3].sum()
        inside = np.clip(corners, 0, 255)
        assert area > 0.5 * np.ptp(inside[:, 0]) * np.ptp(inside[:, 1])
        assert (prediction[..., :3].max(axis=-1) <= prediction[..., 3] + 1e-3).all()
    assert "final over plate" in (package / "README.txt").read_text()


def test_one_list_vouches_for_all_of_it(package: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(package, tmp_path / "copy"))
    verdict = verify(copy)
    assert (verdict.integrity, verdict.place) == ("intact", "sidecar")
    assert verify(copy / "final" / "00002.exr").integrity == "intact"
    (copy / "matte" / "00009.exr").write_bytes((copy / "matte" / "00002.exr").read_bytes())
    (copy / "transforms.json").write_text("{}")
    assert verify(copy).reasons[:2] == (
        "understudy.frames.changed: transforms.json",
        "understudy.frames.added: matte/00009.exr",
    )
    (copy / "frames.sha256").write_text(f"{'0' * 64}  ../../etc/passwd\n")
    assert main(["verify", str(copy)]) in (2, 3)


def test_a_second_start_replaces_the_first(merged: Path, package: Path) -> None:
    before = {path.name: path.read_bytes() for path in (package / "final").iterdir()}
    out = ["--workspace", str(merged), "--out", str(package)]
    assert main(["deliver", *out]) == 0
    assert {path.name: path.read_bytes() for path in (package / "final").iterdir()} == before
    assert main(["deliver", *out, "--bit-depth", "32"]) == 0
    final = read_still(package / "final" / "00001.exr")
    plate = read_pixels(merged / "data_dst" / "00001.png") / 255
    over = plate * (1 - final[..., 3:].astype(float)) + final[..., :3]
    merged_frame = read_pixels(merged / "data_dst" / "merged" / "00001.png")
    assert np.abs(over * 255 - merged_frame).max() < 1e-3
    assert main(["deliver", *out]) == 0


def test_without_a_model_there_is_nothing_to_deliver(tmp_path: Path, told: Told) -> None:
    workspace = workspace_with_merged(tmp_path / "w", write_plate(tmp_path / "plate.mp4"))
    line = told("deliver", "--workspace", workspace, "--out", tmp_path / "comp")
    assert "understudy merge" in line
    assert not (tmp_path / "comp").exists()


def test_each_frame_is_predicted_with_its_own_settings(merged: Path, tmp_path: Path) -> None:
    """A keyframe in the middle: what it says holds from there on, in the package too."""
    work = Path(shutil.copytree(merged, tmp_path / "w"))
    at = ["--workspace", str(work)]

    def predictions(name: str) -> list[np.ndarray]:
        assert main(["deliver", *at, "--out", str(tmp_path / name)]) == 0
        return [read_still(p) for p in sorted((tmp_path / name / "prediction").glob("*.exr"))]

    once = predictions("once")
    assert main(["merge", *at, "--at", "1", "--two-pass", "none"]) == 0
    assert main(["merge", *at, "--at", "3", "--two-pass", "face"]) == 0
    keyed = predictions("keyed")
    assert main(["merge", *at, "--two-pass", "face", "--replace-keys"]) == 0
    twice = predictions("twice")
    assert not any(map(np.array_equal, once, twice))
    for got, wanted in zip(keyed, once[:2] + twice[2:], strict=True):
        assert np.array_equal(got, wanted)
