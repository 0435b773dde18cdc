"""The filters are those of the golden vectors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from understudy.training.samples import mask_filters as mf


@pytest.fixture(scope="module")
def golden(shared: Path) -> tuple[Any, dict[str, list[float]]]:
    folder = shared / "golden" / "imaging"
    calls = json.loads((folder / "augment_draws.json").read_text())
    return np.load(folder / "augment.npz"), {k: [c[2] for c in v] for k, v in calls.items()}


def face_of(golden: Any) -> torch.Tensor:
    picture = golden[0]["img"][..., ::-1].transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(picture)).float()[None] / 255


def difference(made: torch.Tensor, wanted: np.ndarray) -> float:
    array = made[0].permute(1, 2, 0).numpy()[..., ::-1]
    return float(np.abs(array - wanted).max())


def small(kernel: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(kernel)[None]


def _levels(x: torch.Tensor, draws: list[float]) -> torch.Tensor:
    table = torch.tensor(draws).view(1, 5, 3)
    return mf.levels(x, table.flip(2))  # drawn for blue, green, red


def _hsv(x: torch.Tensor, draws: list[float]) -> torch.Tensor:
    hue, saturation, value = draws
    return mf.shift_hsv(x, torch.tensor([[hue, saturation - 0.5, value - 0.5]]))


def _sharpen(x: torch.Tensor, draws: list[float]) -> torch.Tensor:
    size, _, mode, amount = draws
    odd = int(size) + 1 + int(size) % 2
    return mf.filter_small(x, small(mf.sharpen_kernel(odd, amount, box=mode == 0)))


def _motion(x: torch.Tensor, draws: list[float]) -> torch.Tensor:
    return mf.filter_small(x, small(mf.motion_kernel(int(draws[0]) + 1, int(draws[1]))))


def _blur(x: torch.Tensor, draws: list[float]) -> torch.Tensor:
    return mf.spread(x, small(mf.blurring(2 * int(draws[1]) + 1, x.shape[-1])))


def _small_side(draws: list[float]) -> int:
    return 96 - int(draws[1] * int(96 * 0.75))


def _nearest(x: torch.Tensor, draws: list[float]) -> torch.Tensor:
    return mf.spread(x, small(mf.down_up_nearest(_small_side(draws), 96)))


def _bilinear(x: torch.Tensor, draws: list[float]) -> torch.Tensor:
    return mf.spread(x, small(mf.down_up_bilinear(_small_side(draws), 96)))


def _jpeg(x: torch.Tensor, draws: list[float]) -> torch.Tensor:
    return mf.jpeg(x, [int(draws[1])])


FILTERS: dict[str, Callable[[torch.Tensor, list[float]], torch.Tensor]] = {
    "rgb_levels": _levels,
    "hsv_shift": _hsv,
    "sharpen": _sharpen,
    "motion_blur": _motion,
    "gaussian_blur": _blur,
    "nearest_resize": _nearest,
    "bilinear_resize": _bilinear,
    "jpeg_compress": _jpeg,
}


# float32 sums in another order; hue is a quotient of differences that may be small
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_gives_the_golden_picture(golden: Any, name: str, seed: int) -> None:
    arrays, draws = golden
    made = FILTERS[name](face_of(golden), draws[f"{name}/{seed}"])
    assert difference(made, arrays[f"{name}/{seed}"]) < 3e-5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_faded_circle_is_the_golden_one(golden: Any, seed: int) -> None:
    arrays, draws = golden
    inner, fade, y, x = draws[f"circle_faded/{seed}"]
    made = mf.faded_circles(torch.tensor([[inner, fade, y, x]], dtype=torch.float32), 96)
    np.testing.assert_allclose(
        made[0, 0].numpy(), arrays[f"circle_faded/{seed}"][..., 0], atol=1e-6
    )


def test_pictures_of_a_batch_keep_their_own_numbers() -> None:
    faces = torch.rand(3, 3, 16, 16)
    kernels = torch.stack([torch.from_numpy(mf.motion_kernel(k, 30)) for k in (1, 3, 5)])
    together = mf.filter_small(faces, kernels)
    apart = [mf.filter_small(faces[k : k + 1], kernels[k : k + 1]) for k in range(3)]
    torch.testing.assert_close(together, torch.cat(apart))
    torch.testing.assert_close(together[0], faces[0])
    matrices = torch.stack([torch.from_numpy(mf.blurring(k, 16)) for k in (1, 5, 15)])
    blurred = mf.spread(faces, matrices)
    torch.testing.assert_close(blurred[0], faces[0])
    torch.testing.assert_close(matrices.sum(2), torch.ones(3, 16))
