"""The measurement of sorting measures sorting."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.bench.sort import make_faceset, source_faces
from understudy.cli.main import main
from understudy.facesets.faceset import Faceset
from understudy.job import Job
from understudy.steps.demo import CLIPS


def test_made_faces_differ_and_are_alike(tmp_path: Path) -> None:
    sources = source_faces(None, CLIPS / "dst.mp4", 96)
    make_faceset(sources, tmp_path / "a", count=45, job=Job("bench", workers=1))
    faces = Faceset.open(tmp_path / "a")
    assert len(faces) == 45
    pictures = [face.image for face in faces]
    assert len({picture.tobytes() for picture in pictures}) == 45
    small = [cv2.resize(p, (8, 8), interpolation=cv2.INTER_AREA) for p in pictures]
    assert np.abs(small[0] - small[len(sources)]).mean() < 0.15


def test_bench_sort(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "sort", "--by", "hist", "--faces", "20"]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[0])
    assert row["items"] == 20 and row["item"] == "face"
    assert row["settings"] == {"by": "hist", "faceset": "clip"}
    assert row["list_cached_seconds"] < row["wall_seconds"]
