"""Filters against the golden arrays, and palettes."""

import re
from pathlib import Path

import numpy as np
import pytest

from understudy.imaging.filters import (
    bicubic_degrade,
    hist_match,
    median_denoise,
    motion_blur,
    pre_sharpen,
    reduce_colors,
    sharpen,
)
from understudy.imaging.histograms import fit_histogram

MODES = ("none", "box", "gaussian")


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "golden/imaging/filters.npz") as data:
        return {name: data[name] for name in data.files}


@pytest.fixture(scope="module")
def colors(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "golden/imaging/color.npz") as data:
        return {name: data[name] for name in data.files}


def picture(levels: np.ndarray) -> np.ndarray:
    return levels.astype(np.float32) / np.float32(255)


def test_motion_blur_matches_the_golden(golden):
    cases = [name for name in golden if name.startswith("mblur") and name.endswith("out")]
    for name in cases:
        length, angle = re.fullmatch(r"mblur_(\d+)_(-?[\d.]+)/out", name).groups()
        made = motion_blur(picture(golden["img"]), int(length), angle_deg=float(angle))
        # a 32nd of a pixel is how finely the golden's OpenCV turned the line
        assert np.abs(made - golden[name]).max() < 4e-3, name
    assert len(cases) == 6


def test_sharpening_matches_the_golden(golden):
    cases = [name for name in golden if name.startswith("blursharpen")]
    for name in cases:
        mode, kernel, amount = map(int, re.findall(r"-?\d+", name))
        made = sharpen(picture(golden["img"]), float(amount), mode=MODES[mode], kernel=kernel)
        assert np.abs(made - golden[name]).max() < 1e-4, name
    assert len(cases) == 11


def test_degrading_matches_the_golden(golden):
    image = picture(golden["img"])
    for power in (3.0, 10.0, 55.0, 100.0, 230.0, 500.0):
        assert np.abs(median_denoise(image, power) - golden[f"denoise_{power:.0f}"]).max() < 1e-6
    for power in (1.0, 20.0, 60.0, 95.0):
        assert np.abs(bicubic_degrade(image, power) - golden[f"bicubic_{power:.0f}"]).max() < 1e-5


def test_a_degraded_picture_of_few_pixels_keeps_its_size():
    small = np.random.default_rng(0).random((40, 7, 3)).astype(np.float32)
    assert bicubic_degrade(small, 100.0).shape == small.shape


def test_palettes_match_the_golden(golden):
    made = reduce_colors(np.ascontiguousarray(picture(golden["img"][..., ::-1]))) * 255
    wanted = golden["reduce_colors_256"][..., ::-1].astype(np.float64)
    # boxes of equal counts are cut in an order that is left open
    assert np.abs(made - wanted).mean() < 0.05


@pytest.mark.parametrize("num_colors", [1, 2, 7, 256])
def test_no_more_colors_than_asked_for(num_colors):
    image = np.random.default_rng(1).random((64, 50, 3)).astype(np.float32)
    made = reduce_colors(image, num_colors)
    assert len(np.unique(made.reshape(-1, 3), axis=0)) <= num_colors
    assert np.abs(made.mean((0, 1)) - image.mean((0, 1))).max() < 0.05


def test_a_picture_of_few_colors_is_kept():
    rng = np.random.default_rng(2)
    palette = rng.integers(0, 256, (40, 3))
    image = picture(palette[rng.integers(0, 40, (30, 30))])
    assert np.allclose(reduce_colors(image), image)


@pytest.mark.parametrize("case", [0, 1, 2])
@pytest.mark.parametrize("threshold", [255.0, 238.0, 128.0])
def test_histograms_match_the_golden(colors, case, threshold):
    face, plate = picture(colors[f"{case}/src"]), picture(colors[f"{case}/trg"])
    wanted = colors[f"{case}/hist_match_{threshold:.0f}"]
    assert np.abs(hist_match(face, plate, threshold=threshold) - wanted).max() < 1e-6
    fitted = fit_histogram(face, plate, threshold=threshold)(face)
    # the exact one takes a level to the upper end of its share, the table to the middle
    assert np.abs(fitted - wanted).mean() < 8e-3


def test_a_fitted_histogram_changes_nothing_where_they_are_equal():
    image = np.random.default_rng(3).uniform(0.1, 0.9, (50, 60, 3)).astype(np.float32)
    assert np.abs(fit_histogram(image, image.copy())(image) - image).max() < 2e-3


def test_pre_sharpening_grows_with_its_power():
    image = np.random.default_rng(4).uniform(0.3, 0.7, (40, 40, 3)).astype(np.float32)
    spreads = [pre_sharpen(image, power).std() for power in (0.0, 5.0, 10.0)]
    assert spreads[0] < spreads[1] < spreads[2]
    assert pre_sharpen(image, 200.0).max() <= 1
