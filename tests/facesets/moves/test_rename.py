"""Faces get the names they were extracted under."""

import json
from pathlib import Path

import pytest

from face_files import make_face
from understudy.errors import UnsafeFileError
from understudy.facesets.dfl import read_face
from understudy.facesets.moves.rename import Origin, origin_of, original_names


@pytest.fixture(scope="module")
def by_hue(shared: Path) -> tuple[list[Origin], dict[str, str], dict[str, str]]:
    """Golden faces in their order after a sort, their old names, DFL's names after recovering."""
    folder = shared / "golden" / "imaging"
    orders = json.loads((folder / "sort" / "sort_orders.json").read_text())
    old_names, new_names = orders["hue"]["kept_order"], orders["hue"]["kept_new_names"]
    origins, before = [], {}
    for old, new in zip(old_names, new_names, strict=True):
        if old == "00902_0.jpg":  # no metadata
            continue
        origins.append(origin_of(new, read_face(folder / "faceset" / old)))
        before[new] = old
    return origins, before, orders["recover_after_hue"]


def test_golden_order_of_dfl(by_hue: tuple) -> None:
    origins, before, expected = by_hue
    names = original_names(origins, dfl_parity=True)
    assert len(names) == 61
    assert {before[new]: recovered for new, recovered in names.items()} == {
        old: name for old, name in expected.items() if old != "00902_0.jpg"
    }


def test_numbers_of_extraction_come_back(by_hue: tuple) -> None:
    origins, before, _ = by_hue
    assert original_names(origins) == before


def test_persons_endings_and_clashes() -> None:
    faces = [
        Origin("b/1.png", "a.png", 0.0),
        Origin("c/1.jpg", "a.png", 4.0),
        Origin("c/2.jpg", "a.png", 9.0),
        Origin("3.jpg", None, 0.0),
        Origin("4.jpg", "a.png", 0.0),
        Origin("5.jpg", "a.tif", 0.0),
    ]
    assert original_names(faces) == {
        "b/1.png": "b/a_0.png",
        "c/2.jpg": "c/a_0.jpg",
        "c/1.jpg": "c/a_1.jpg",
        "4.jpg": "a_0.jpg",
        "5.jpg": "a_1.jpg",
    }


@pytest.mark.parametrize("name", ["../../etc/passwd", "/x.png", "c:\\x.png"])
def test_a_name_that_leads_away_is_refused(name: str) -> None:
    with pytest.raises(UnsafeFileError, match="plain file names"):
        origin_of("1.jpg", make_face(source_name=name))
