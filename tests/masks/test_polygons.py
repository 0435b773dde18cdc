"""Polygons become the predecessor's pixels, whatever was drawn."""

import json
from pathlib import Path

import numpy as np
import pytest

from understudy.errors import FormatError
from understudy.masks.polygons import is_labelled, rasterize
from understudy.types import Polygon


def outline(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, np.float32).reshape(-1, 2)


SQUARE = outline((2, 2), (12, 2), (12, 12), (2, 12))


def test_golden_masks_are_met_pixel_by_pixel(shared: Path) -> None:
    folder = shared / "golden" / "imaging"
    cases = json.loads((folder / "xseg_polys.json").read_text())
    masks = np.load(folder / "xseg_polys.npz")
    assert len(cases) == 8
    for number, case in enumerate(cases):
        size = case["size"]
        drawn = [(bool(p["type"]), outline(*p["pts"])) for p in case["polys_in_creation_order"]]
        expected = np.unpackbits(masks[str(number)])[: size * size].reshape(size, size)
        np.testing.assert_array_equal(rasterize(drawn, (size, size)), expected)


def test_what_excludes_cuts_whatever_was_drawn_after_it() -> None:
    hole = outline((5, 5), (8, 5), (8, 8), (5, 8))
    drawn = [Polygon(False, hole), Polygon(True, SQUARE), (True, SQUARE + 4)]
    mask = rasterize(drawn, (20, 20))
    assert mask.dtype == np.float32 and set(np.unique(mask)) == {0.0, 1.0}
    assert mask[5:9, 5:9].sum() == 0
    assert mask.sum() == 11 * 11 + 11 * 11 - 7 * 7 - 4 * 4


def test_coordinates_are_truncated_towards_zero() -> None:
    whole = rasterize([(True, SQUARE)], (20, 20))
    np.testing.assert_array_equal(rasterize([(True, SQUARE + 0.99)], (20, 20)), whole)
    at_the_rim = outline((-0.9, -0.9), (3.9, -0.9), (3.9, 3.9), (-0.9, 3.9))
    assert rasterize([(True, at_the_rim)], (20, 20)).sum() == 16


def test_what_lies_outside_is_cut_off() -> None:
    assert rasterize([(True, SQUARE + 100)], (20, 20)).sum() == 0
    assert rasterize([(True, SQUARE - 100)], (20, 20)).sum() == 0
    assert rasterize([(True, SQUARE - 7)], (20, 20)).sum() == 36
    for far in (1e5, 1e12, 3e38):  # numbers that no picture's pixel has
        band = outline((-far, 5), (far, 5), (far, 7), (-far, 7))
        assert rasterize([(True, band)], (20, 20)).sum() == 60


def test_two_points_make_a_line_and_one_a_dot() -> None:
    line = rasterize([(True, outline((3, 4), (9, 4)))], (20, 20))
    assert line.sum() == 7 and line[4, 3:10].all()
    assert rasterize([(True, outline((3, 4)))], (20, 20)).sum() == 1
    cut = rasterize([(True, SQUARE), (False, outline((7, 0), (7, 19)))], (20, 20))
    assert cut.sum() == 11 * 10 and not cut[:, 7].any()


def test_what_crosses_itself_is_filled_by_the_even_odd_rule() -> None:
    bow = rasterize([(True, outline((0, 0), (40, 40), (40, 0), (0, 40)))], (41, 41))
    assert bow[20, 2] == bow[20, 38] == 1 and bow[2, 20] == bow[38, 20] == 0
    angles = np.arange(5) * (4 * np.pi / 5) - np.pi / 2
    star = np.stack([50 + 45 * np.cos(angles), 50 + 45 * np.sin(angles)], 1).astype(np.float32)
    mask = rasterize([(True, star)], (100, 100))
    assert mask[50, 50] == 0 and mask[12, 50] == 1


def test_nothing_drawn_is_an_empty_mask() -> None:
    nothing = np.zeros((0, 2), np.float32)
    for polygons in ([], [(True, nothing)], [(False, SQUARE)]):
        mask = rasterize(polygons, (20, 30))
        assert mask.shape == (20, 30) and mask.dtype == np.float32 and not mask.any()
    assert not is_labelled([]) and not is_labelled([(True, nothing)])
    assert is_labelled([(False, SQUARE)])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_told(value: float) -> None:
    broken = SQUARE.copy()
    broken[1, 0] = value
    with pytest.raises(FormatError, match="finite"):
        rasterize([(True, SQUARE), (False, broken)], (20, 20))


def test_the_polygons_stay_as_they_are() -> None:
    before = SQUARE.copy()
    rasterize([(True, SQUARE), (False, SQUARE)], (20, 20))
    np.testing.assert_array_equal(SQUARE, before)
