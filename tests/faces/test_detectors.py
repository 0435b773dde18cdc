"""The detection networks against the original, and what the detector finds in real pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy import weights
from understudy.errors import OptionError
from understudy.faces.detectors.blazeface import build_full_range, build_short_range
from understudy.faces.detectors.pyramid import levels_of, unturn
from understudy.faces.detectors.registry import DETECTORS, Detection, Detector
from understudy.faces.detectors.suppression import merge_overlapping

OUTPUTS = Path(__file__).parent / "data" / "network_outputs.npz"


def wave_picture(size: int) -> np.ndarray:
    """A smooth picture, 0..1, the reference outputs were made from by the original runtime."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float64) / size
    waves = [np.sin(9 * x + 5 * y * y), np.cos(7 * y - 3 * x), np.sin(11 * x * y + 1)]
    return np.stack([0.5 + 0.5 * w for w in waves], -1)


@pytest.mark.parametrize("name", ["full_range", "short_range"])
def test_networks_agree_with_the_original(name: str, face_models: Path) -> None:
    build = {"full_range": build_full_range, "short_range": build_short_range}[name]
    net = build(weights.load("mediapipe", f"detector_{name}"))
    picture = (wave_picture(net.size) * 2 - 1).astype(np.float32)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None]
    with torch.inference_mode():
        scores, boxes = net(torch.cat([torch.zeros_like(x), x]))
    reference = np.load(OUTPUTS)
    every = {"full_range": (16, 64), "short_range": (8, 32)}[name]
    # The original runs other kernels; its float32 rounding grows to about 1e-4 over 40 layers.
    np.testing.assert_allclose(scores[1, :: every[0]], reference[f"{name}_scores"], atol=4e-4)
    np.testing.assert_allclose(boxes[1, :: every[1]], reference[f"{name}_boxes"], atol=4e-4)


def test_finds_a_face_wherever_it_is_turned(detector: Detector, read_clip) -> None:
    (frame,) = read_clip("media/image_astronaut.png")
    upright = detector.detect([frame])[0][0]
    left, top, right, bottom = upright.box
    assert (150 < left < 190) and (45 < top < 85) and (260 < right < 300) and (150 < bottom < 190)
    for quarters in (1, 2, 3):
        turned = np.ascontiguousarray(np.rot90(frame, quarters))
        found = detector.detect([turned], quarter_turns=quarters)[0][0]
        # The turned frame is the upright one turned clockwise by the other quarters.
        back = unturn(found, turned.shape[:2], 4 - quarters)
        np.testing.assert_allclose(back.box, upright.box, atol=1.0)
        np.testing.assert_allclose(back.keypoints, upright.keypoints, atol=1.0)
        assert found.roll == pytest.approx(upright.roll - quarters * np.pi / 2, abs=0.05) or (
            found.roll == pytest.approx(upright.roll + (4 - quarters) * np.pi / 2, abs=0.05)
        )


def test_same_answer_in_any_depth_batch_and_twice(detector: Detector, read_clip) -> None:
    (frame,) = read_clip("media/image_speaker_on_stage.jpg")
    before = frame.copy()
    alone = detector.detect([frame])[0]
    deep = (frame.astype(np.uint16) * 257, (frame / np.float32(255)).astype(np.float32))
    together = detector.detect([frame, *deep])
    assert np.array_equal(frame, before)
    for found in together:
        assert len(found) == len(alone)
        np.testing.assert_allclose(found[0].box, alone[0].box, atol=0.5)
    assert detector.detect([frame])[0][0].box == alone[0].box


def test_small_faces_are_found_in_large_frames(detector: Detector, read_clip) -> None:
    frame = read_clip("media/asl_man2_please.mkv", count=1)[0]
    canvas = np.full((720, 1280, 3), 90, np.uint8)
    small = frame[::2, ::2]  # the face is about 37 px high
    canvas[400 : 400 + small.shape[0], 700 : 700 + small.shape[1]] = small
    found = detector.detect([canvas], min_face_px=24)[0]
    left, top, right, bottom = max(found, key=lambda d: d.score).box
    assert 20 < bottom - top < 50
    assert 700 < left and right < 1020 and 400 < top and bottom < 640


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 501, 3), (63, 40, 3), (129, 3, 3)])
def test_odd_and_tiny_frames_pass(shape: tuple[int, ...], detector: Detector) -> None:
    noise = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    assert len(detector.detect([noise])) == 1
    assert detector.detect([]) == []


@given(height=st.integers(1, 3000), width=st.integers(1, 3000), face=st.integers(12, 400))
@settings(max_examples=200, deadline=None)
def test_every_face_is_seen_at_a_size_the_network_knows(height: int, width: int, face: int) -> None:
    levels = levels_of((height, width), face, 192)
    longer = max(height, width)
    for size in np.geomspace(min(face, longer), longer, 12):
        seen = [size * max(level.content_hw) / longer for level in levels]
        assert any(18 <= px <= 130 for px in seen)
    for level in levels:
        (h, w), (canvas_h, canvas_w) = level.content_hw, level.canvas_hw
        assert 0 <= canvas_h - h < 32 and 0 <= canvas_w - w < 32
        assert canvas_h % 32 == canvas_w % 32 == 0


def _detection(left: float, top: float, side: float, score: float) -> Detection:
    points = np.full((6, 2), (left, top), np.float32)
    points[1, 0] += side
    box = (float(left), float(top), float(left + side), float(top + side))
    return Detection(box, score, points, 0.0)


def test_suppression_blends_one_face_and_keeps_two() -> None:
    near = [_detection(10, 10, 40, 0.9), _detection(12, 10, 40, 0.6), _detection(20, 20, 10, 0.5)]
    far = _detection(100, 10, 40, 0.7)
    first, second = merge_overlapping([near[2], far, near[1], near[0]])
    assert first.box[0] == pytest.approx(10.8) and first.score == 0.9
    assert second.box == far.box
    assert merge_overlapping([]) == []


def test_an_unknown_detector_is_refused_with_the_list() -> None:
    with pytest.raises(OptionError, match="blazeface"):
        DETECTORS["s3fd"]
