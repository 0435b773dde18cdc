"""Whole merges in parity mode against pictures DFL made."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from understudy.imaging.color import idt, sot
from understudy.merging.merge import merge_face, merge_into
from understudy.merging.motion import Motion
from understudy.merging.predict import Networks
from understudy.merging.settings import MergeSettings, from_dfl
from understudy.types import FaceType, Prediction


class Golden:
    """The cases, their plates and the answers of the predictor DFL was run with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listing = json.loads((folder / "cases.json").read_text())
        self.frames = listing["frames"]
        self.cases: list[dict[str, Any]] = listing["cases"]
        with np.load(folder / "io.npz") as data:
            self.io = {name: data[name] for name in data.files}

    def plate(self, case: dict[str, Any]) -> np.ndarray:
        return np.ascontiguousarray(cv2.imread(str(self.folder / case["frame"]))[..., ::-1])

    def expected(self, case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        stored = cv2.imread(str(self.folder / case["file"]), cv2.IMREAD_UNCHANGED)
        picture = stored[..., 2::-1]
        if case["delta"]:
            picture = picture + self.plate(case)  # modulo 256, as stored
        return picture, stored[..., 3]

    def predictor(self, case: dict[str, Any]) -> Callable[[np.ndarray], Prediction]:
        calls = iter(case["predictor_calls"])

        def answer(face: np.ndarray) -> Prediction:
            key = next(calls)
            assert np.abs(face - self.io[f"{key}/in"][..., ::-1]).max() < 1e-3
            picture = np.ascontiguousarray(self.io[f"{key}/bgr"][..., ::-1])
            return Prediction(picture, self.io[f"{key}/mask_prd"], self.io[f"{key}/mask_dst"])

        return answer

    def networks(self, case: dict[str, Any]) -> Networks:
        """The mask model's answers in the order of its calls, and a network that only enlarges."""
        calls = iter(case["xseg_calls"])

        def paint(face: np.ndarray, landmarks: np.ndarray, face_type: FaceType) -> np.ndarray:
            key = next(calls)
            assert np.abs(face * 255 - self.io[f"{key}/in"][..., ::-1]).max() < 1
            return np.asarray(self.io[f"{key}/mask"], np.float32).reshape(256, 256)

        def enlarge(face: np.ndarray) -> np.ndarray:
            size = 4 * len(face)
            return cv2.resize(face, (size, size), interpolation=cv2.INTER_CUBIC)

        return Networks(paint, enlarge)


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared / "golden/imaging/merge")


def read(case: dict[str, Any]) -> MergeSettings:
    return from_dfl(case["config"] | {"face_type": case["face_type"], "resolution": case["res"]})


def assert_close(levels: np.ndarray, expected: np.ndarray, name: str) -> None:
    # The golden README's: single pixels may differ where a weight falls on either side of a level,
    # and colours where a palette's boxes are cut between equal counts.
    error = np.abs(levels.astype(int) - expected.astype(int))
    assert error.mean() < 0.05, name
    if "colordeg" not in name:
        assert np.percentile(error, 99.9) <= 2, name


def use_draws(monkeypatch: pytest.MonkeyPatch, golden: Golden, file: str) -> None:
    """Lets random colour transfers draw what was drawn for this file, axes of BGR there."""
    key = f"draws_{file}/"
    if f"{key}rotations" in golden.io:
        rotations = golden.io[f"{key}rotations"][:, :, ::-1]
        monkeypatch.setattr(idt, "draw_rotations", lambda rng: rotations)
    if f"{key}normals" in golden.io:
        normals = golden.io[f"{key}normals"].reshape(10, -1, 3)[..., ::-1]
        directions = normals / np.linalg.norm(normals, axis=2, keepdims=True)
        monkeypatch.setattr(sot, "draw_directions", lambda steps, rng, *, batch: directions)


def test_all_merges_match_the_golden(golden, monkeypatch):
    for case in golden.cases:
        plate, faces = golden.plate(case), [np.array(f) for f in golden.frames[case["frame"]]]
        kept = plate.copy()
        motion = Motion(case["motion_power"], case["motion_deg"])
        with monkeypatch.context() as patch:
            use_draws(patch, golden, case["file"])
            picture, mask = merge_into(
                plate,
                faces,
                golden.predictor(case),
                read(case),
                motions=[motion] * len(faces),
                networks=golden.networks(case),
            )
        expected_picture, expected_mask = golden.expected(case)
        assert_close(picture, expected_picture, case["file"])
        assert_close(np.rint(mask * 255), expected_mask, case["file"])
        assert np.array_equal(plate, kept)
    assert len(golden.cases) == 93


def test_a_float_frame_gives_the_same_levels(golden):
    case = next(c for c in golden.cases if c["file"].startswith("047"))
    settings = read(case)
    plate = golden.plate(case)
    landmarks = np.array(golden.frames[case["frame"]][0])
    levels, mask = merge_into(plate, [landmarks], golden.predictor(case), settings)
    frame = plate.astype(np.float32) / np.float32(255)
    picture, same_mask = merge_face(frame, landmarks, golden.predictor(case), settings)
    assert np.array_equal((picture * np.float32(255)).astype(np.uint8), levels)
    assert np.array_equal(mask, same_mask)


def test_a_plain_function_needs_no_resolution(golden):
    case = next(c for c in golden.cases if c["file"].startswith("001"))
    settings = from_dfl(case["config"] | {"face_type": case["face_type"]})
    landmarks = np.array(golden.frames[case["frame"]][0])
    key = case["predictor_calls"][0]
    answer = Prediction(
        np.ascontiguousarray(golden.io[f"{key}/bgr"][..., ::-1]),
        golden.io[f"{key}/mask_prd"],
        golden.io[f"{key}/mask_dst"],
    )
    picture, _ = merge_into(golden.plate(case), [landmarks], lambda face: answer, settings)
    assert_close(picture, golden.expected(case)[0], case["file"])
