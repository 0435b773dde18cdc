"""Numbers and charts of a faceset tell what is in it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from made_faceset import make_workspace
from understudy.facesets.sorting.table import measure
from understudy.facesets.survey.canvas import ALERT, DST, SRC
from understudy.facesets.survey.coverage_chart import draw_chart
from understudy.facesets.survey.statistics import (
    KINDS,
    PITCH_EDGES_DEG,
    YAW_EDGES_DEG,
    Traits,
    covered_share,
    lacking,
    pose_grid,
    summary_of,
    traits_of,
)
from understudy.job import Job


@pytest.fixture(scope="module")
def traits(tmp_path_factory: pytest.TempPathFactory) -> Traits:
    """Of seven faces that turn from -34 to 34 degrees, beside a picture that is no face."""
    workspace = make_workspace(tmp_path_factory.mktemp("stats") / "w", src=7, dst=0)
    folder = workspace.src.aligned_dir
    (folder / "00009.jpg").write_bytes(b"no picture")
    job = Job("stats")
    return traits_of(measure(folder, KINDS, job))


def test_traits_are_those_of_the_faces(traits: Traits) -> None:
    assert len(traits) == 7
    expected = np.degrees(np.linspace(-0.6, 0.6, 7))
    turned = traits.yaw_deg if traits.yaw_deg[0] < 0 else -traits.yaw_deg
    assert np.abs(turned - expected).max() < 5
    assert np.abs(traits.pitch_deg).max() < 8
    assert np.allclose(traits.size_px, 160)
    assert np.abs(traits.brightness - 127).max() < 12
    assert np.abs(traits.chroma).max() < 8
    assert (traits.sharpness >= 0).all()


def test_every_face_is_counted_once(traits: Traits) -> None:
    grid = pose_grid(traits)
    assert grid.shape == (len(PITCH_EDGES_DEG) - 1, len(YAW_EDGES_DEG) - 1)
    assert grid.sum() == 7
    wild = replace(traits, yaw_deg=traits.yaw_deg * 100, pitch_deg=traits.pitch_deg + 400)
    assert pose_grid(wild).sum() == 7, "what lies beyond counts at the rim"
    assert pose_grid(wild)[-1].sum() == 7


def test_coverage() -> None:
    src, dst = np.zeros((2, 3), np.int64), np.array([[3, 0, 1], [0, 0, 0]])
    src[0, 0], src[1, 1] = 9, 4
    assert lacking(src, dst).tolist() == [[False, False, True], [False, False, False]]
    assert covered_share(src, dst) == 0.75
    assert covered_share(src, np.zeros((2, 3), np.int64)) == 1.0


def test_summary(traits: Traits) -> None:
    found = summary_of(traits)
    assert found["count"] == 7
    assert found["size_px"]["p50"] == 160
    assert found["yaw_deg"]["p0"] < -20 < 20 < found["yaw_deg"]["p100"]


def share_of(chart: np.ndarray, color: tuple[int, int, int]) -> float:
    return float((chart == color).all(2).mean())


def test_chart_shows_what_src_lacks(traits: Traits, tmp_path: Path) -> None:
    alone = draw_chart(traits)
    assert share_of(alone, SRC) > 0.001
    assert not share_of(alone, DST)
    covered = draw_chart(traits, traits)
    assert share_of(covered, DST) > 0.001
    away = replace(traits, yaw_deg=traits.yaw_deg + 45)
    poor = draw_chart(traits, away)
    assert share_of(poor, ALERT) > 2 * share_of(covered, ALERT)
    # Seen as it is: who looks to the picture's left (yaw above 0) is on the left of the chart.
    left = draw_chart(replace(traits, yaw_deg=np.full(7, 55.0)))
    cell = np.argwhere((left[200:700, 104:968] == SRC).all(2))
    assert cell[:, 1].max() < 432
    up = draw_chart(replace(traits, pitch_deg=np.full(7, 35.0)))
    assert np.argwhere((up[176:716, 104:968] == SRC).all(2))[:, 0].max() < 270


def test_chart_of_one_face_and_of_long_names(traits: Traits) -> None:
    one = Traits(
        names=("a.jpg",),
        **{
            name: getattr(traits, name)[:1]
            for name in Traits.__dataclass_fields__
            if name != "names"
        },
    )
    chart = draw_chart(one, one, src_name="片段" * 60, dst_name="x" * 200)
    assert chart.shape == draw_chart(traits).shape
