"""Cuts are found where a shot changes, and neither in motion nor in flashes."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.imaging.cuts import CutFinder


def scene(seed: int, *, shape: tuple[int, int] = (90, 160)) -> np.ndarray:
    coarse = np.random.default_rng(seed).random((5, 8, 3), np.float32)
    return np.clip(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), 0, 1)


def cuts(pictures: list[np.ndarray]) -> list[int]:
    finder = CutFinder()
    return [number for number, picture in enumerate(pictures) if finder.push(picture)]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_new_scene_is_a_cut_at_any_depth(dtype: type) -> None:
    white = 1 if dtype is np.float32 else np.iinfo(dtype).max
    pictures = [(scene(seed) * white).astype(dtype) for seed in (1, 1, 1, 2, 2, 3)]
    assert cuts(pictures) == [3, 5]


def test_a_flash_and_black_between_are_judged_by_content() -> None:
    flash = np.clip(scene(1) * 0.4 + 0.6, 0, 1).astype(np.float32)
    assert cuts([scene(1), scene(1), flash, flash, scene(1)]) == []


def test_a_pan_is_no_cut() -> None:
    wide = scene(4, shape=(90, 900))
    assert cuts([wide[:, 30 * i : 30 * i + 160] for i in range(24)]) == []


def test_the_cuts_of_a_film_and_none_in_one_shot(shared: Path) -> None:
    def read(name: str) -> list[np.ndarray]:
        capture, frames = cv2.VideoCapture(str(shared / "media" / name)), []
        while True:
            good, frame = capture.read()
            if not good:
                return frames
            frames.append(frame)

    assert cuts(read("film_tears_of_steel_10s.mp4")) == [21, 65, 185]
    assert cuts(read("asl_man1_again.mkv")) == []
