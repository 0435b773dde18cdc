"""The mesh network against the original, and the 68 points against exact ones."""

from pathlib import Path

import numpy as np
import torch

from understudy import weights
from understudy.faces.landmarkers.facemesh import (
    LEFT_EYE,
    LEFT_IRIS,
    LIPS,
    RIGHT_EYE,
    RIGHT_IRIS,
    build_attention_mesh,
)

OUTPUTS = Path(__file__).parent / "data" / "network_outputs.npz"


def wave_picture(size: int) -> np.ndarray:
    """The picture the reference outputs were made from by the original runtime, in 8 bit."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float64) / size
    waves = [np.sin(9 * x + 5 * y * y), np.cos(7 * y - 3 * x), np.sin(11 * x * y + 1)]
    return np.round(np.stack([0.5 + 0.5 * w for w in waves], -1) * 255) / 255


def test_network_agrees_with_the_original(face_models: Path) -> None:
    net = build_attention_mesh(weights.load("mediapipe", "mesh_attention"))
    x = torch.from_numpy(wave_picture(192).astype(np.float32)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        points, presence = net(torch.cat([torch.zeros_like(x), x]))
    reference = np.load(OUTPUTS)
    expected = np.full((478, 2), np.nan)
    expected[:468] = reference["attention_mesh"]
    parts = {
        "lips": LIPS,
        "right_eye": RIGHT_EYE,
        "left_eye": LEFT_EYE,
        "right_iris": RIGHT_IRIS,
        "left_iris": LEFT_IRIS,
    }
    for name, index in parts.items():
        expected[list(index)] = reference[f"attention_{name}"].reshape(-1, 2)
    # In pixels of 192; float32 rounding of other kernels.
    np.testing.assert_allclose(points[1], expected, atol=4e-4)
    np.testing.assert_allclose(presence[1], reference["attention_presence"][0], atol=4e-4)
