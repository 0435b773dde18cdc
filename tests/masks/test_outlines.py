"""Traced polygons draw the mask again, with as few points as can be."""

from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.masks.outlines import iou_of, trace_polygons
from understudy.masks.polygons import rasterize
from understudy.masks.simplify import MAX_POINTS, simplify


def distances(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """How far each point is from the closed polygon."""
    nearest = np.full(len(points), np.inf)
    for start, end in zip(corners, np.roll(corners, -1, 0), strict=True):
        along = end - start
        part = np.clip((points - start) @ along / max(along @ along, 1e-12), 0, 1)
        nearest = np.minimum(
            nearest, np.linalg.norm(points - start - part[:, None] * along, axis=1)
        )
    return nearest


def blob(seed: int, size: int = 96) -> np.ndarray:
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(rng.normal(0, 1, (size, size)).astype(np.float32), (0, 0), size / 12)
    oval = cv2.ellipse(np.zeros((size, size), np.float32), (size // 2, size // 2),
                       (int(size * 0.3), int(size * 0.38)), 0, 0, 360, 1.0, -1)  # fmt: skip
    mixed = cv2.GaussianBlur(oval, (0, 0), 4) + 0.25 * soft / soft.std()
    return (mixed > 0.5).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.004, 0.01, 0.03]))
def test_every_outline_point_is_within_the_tolerance(seed: int, tolerance: float) -> None:
    mask = blob(seed)
    loops, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(loops, key=len)[:, 0].astype(np.float64)
    corners = simplify(outline, tolerance * 96)
    assert len(corners) >= 3
    assert {tuple(c) for c in corners} <= {tuple(p) for p in outline}
    assert distances(outline, corners).max() <= tolerance * 96 + 1e-6
    plain = cv2.approxPolyDP(outline.astype(np.float32)[:, None], tolerance * 96, True)
    assert len(corners) <= len(plain)


@pytest.mark.parametrize("seed", range(6))
def test_no_polygon_of_fewer_corners_is_within_the_tolerance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 13))
    radius = rng.uniform(8, 12, 13)
    outline = np.stack([radius * np.cos(angles), radius * np.sin(angles)], 1)
    corners = simplify(outline, 1.5)

    def strays(chosen: tuple[int, ...]) -> bool:
        """Whether a point is too far from the edge that passes over it."""
        for start, end in zip(chosen, (*chosen[1:], chosen[0] + 13), strict=True):
            over = outline[np.arange(start, end + 1) % 13]
            if distances(over, over[[0, -1]]).max() > 1.5:
                return True
        return False

    fewer = combinations(range(13), len(corners) - 1)
    assert len(corners) == 3 or all(strays(chosen) for chosen in fewer)


def test_a_face_takes_a_few_dozen_points() -> None:
    for size in (256, 512):
        mask = blob(3, size)
        traced = trace_polygons(mask)
        assert traced.iou > 0.99
        assert 10 <= traced.num_points <= 60
        finer, coarser = trace_polygons(mask, tolerance=0.001), trace_polygons(mask, tolerance=0.01)
        assert finer.num_points > traced.num_points > coarser.num_points
        assert finer.iou > traced.iou > coarser.iou > 0.95


def test_holes_exclude_and_what_lies_in_them_stays() -> None:
    """A ring cut into a face, as the frames of glasses: the lens is face again."""
    mask = cv2.circle(np.zeros((256, 256), np.float32), (128, 128), 100, 1.0, -1)
    cv2.circle(mask, (90, 110), 24, 0.0, 4)
    cv2.circle(mask, (170, 110), 14, 0.0, -1)
    mask[230:, :] = 0
    cv2.circle(mask, (20, 20), 9, 1.0, -1)
    traced = trace_polygons(mask)
    assert [p.include for p in traced.polygons] == [True, True, False, False]
    assert traced.iou > 0.99 and traced.num_points < 110
    drawn = rasterize(traced.polygons, (256, 256))
    assert drawn[110, 90] == 1 and drawn[110, 114] == 0 and drawn[110, 170] == 0
    assert iou_of(drawn, mask) == traced.iou


def test_specks_and_small_holes_are_left_out() -> None:
    mask = np.zeros((100, 100), np.float32)
    mask[20:80, 20:80] = 1
    mask[90:93, 90:93] = 1
    mask[50:53, 50:53] = 0
    traced = trace_polygons(mask, least_area=0.002)
    assert [len(p.points) for p in traced.polygons] == [4]
    whole = trace_polygons(mask, least_area=0.0)
    assert len(whole.polygons) == 3 and whole.iou > traced.iou


@pytest.mark.parametrize("mask", [
    np.zeros((40, 50), np.float32), np.full((40, 50), 0.49, np.float32),
])  # fmt: skip
def test_an_empty_mask_has_no_polygons(mask: np.ndarray) -> None:
    traced = trace_polygons(mask)
    assert traced.polygons == () and traced.iou == 1.0 and traced.num_points == 0


def test_a_full_mask_is_one_rectangle() -> None:
    traced = trace_polygons(np.ones((40, 50), np.float32))
    assert [len(p.points) for p in traced.polygons] == [4] and traced.iou == 1.0


def test_an_endless_outline_is_thinned() -> None:
    angles = np.linspace(0, 2 * np.pi, 3 * MAX_POINTS + 1)[:-1]
    circle = 3000 + 2000 * np.stack([np.cos(angles), np.sin(angles)], 1)
    corners = simplify(circle, 8.0)
    assert 20 < len(corners) < 80
    assert distances(circle, corners).max() < 8.1
