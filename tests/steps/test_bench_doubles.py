"""The whole way against a known truth, with a tiny budget."""

from pathlib import Path

import pytest

from tiny_model import TINY
from understudy.cli.main import main
from understudy.errors import MaterialError
from understudy.facesets.faceset import Faceset
from understudy.job import Job
from understudy.steps.bench_doubles import measure_doubles

SIZES = TINY[1:]  # the first is a word alone
NAMES = [flag.removeprefix("--").replace("-", "_") for flag in SIZES[::2]]
TRAINING = dict(zip(NAMES, map(int, SIZES[1::2]), strict=True)) | {"target_iter": 2}


@pytest.mark.slow
@pytest.mark.parametrize("landmarks", ["exact", "detected"])
def test_both_kinds_of_landmarks_give_a_score(landmarks: str, shared: Path, tmp_path: Path) -> None:
    doubles = shared / "doubles" / "data"
    row = measure_doubles(
        doubles, tmp_path / "w", landmarks=landmarks, training=dict(TRAINING), job=Job("bench")
    )
    assert row["items"] == 2
    assert row["score"]["frames"] == 150
    assert row["score"]["likeness"] < 0.3  # two iterations make no likeness
    assert row["score"]["outside_psnr"] > 30


@pytest.mark.slow
def test_masks_of_the_renderer_are_learned_and_placed_by(shared: Path, tmp_path: Path) -> None:
    row = measure_doubles(
        shared / "doubles" / "data",
        tmp_path / "w",
        landmarks="exact",
        masks="exact",
        training=dict(TRAINING),
        merging={"place": "hair-line"},
        job=Job("bench"),
    )
    painted = Faceset.open(tmp_path / "w" / "data_dst" / "aligned")
    means = [float(face.mask.mean()) for face in painted if face.mask is not None]
    assert len(means) == 150
    assert all(0.1 < mean < 0.6 for mean in means)
    assert row["settings"]["merging"] == {"place": "hair-line"}


def test_a_missing_clip_is_named(tmp_path: Path) -> None:
    with pytest.raises(MaterialError, match="src_a"):
        measure_doubles(tmp_path, tmp_path / "w", landmarks="exact", training={}, job=Job("bench"))
    assert not (tmp_path / "w").exists()


def test_the_folder_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "doubles"]) == 2
    assert "--doubles" in capsys.readouterr().err
