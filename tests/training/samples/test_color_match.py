"""Batched colour transfers against those of pictures, which the goldens hold."""

from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.imaging.color import COLOR_TRANSFERS
from understudy.training.plan.options import TrainOptions
from understudy.training.samples.color_match import COLOR_MATCHES

NAMES = list(COLOR_MATCHES)


@pytest.fixture(scope="module")
def pairs(shared: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Three src and three dst pictures of 96 pixels."""
    with np.load(shared / "golden/imaging/color.npz") as golden:
        sides = [
            np.stack([golden[f"{n}/{key}"][..., ::-1] for n in range(3)]) for key in ("src", "trg")
        ]
    src, dst = (torch.from_numpy(s.transpose(0, 3, 1, 2).copy()).float() / 255 for s in sides)
    return src, dst


def seeded(seed: int) -> list[torch.Generator]:
    """A generator for each of three faces."""
    return [torch.Generator().manual_seed(3 * seed + k) for k in range(3)]


def pictures(faces: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(faces.permute(0, 2, 3, 1).numpy())


def test_every_mode_of_the_option_is_there() -> None:
    choices = TrainOptions.model_fields["ct_mode"].annotation.__args__
    assert set(choices) == set(NAMES)


@pytest.mark.parametrize("name", ["rct", "lct", "mkl"])
def test_linear_ones_equal_those_of_pictures(pairs, name: str) -> None:
    src, dst = pairs
    made = pictures(COLOR_MATCHES[name](src, dst, seeded(0)))
    for ours, face, plate in zip(made, pictures(src), pictures(dst), strict=True):
        wanted = np.clip(COLOR_TRANSFERS[name](face, plate, None, None), 0, 1)
        apart = np.abs(ours - wanted)
        # OpenCV reads Lab from coarse tables: half an 8-bit level in the mean, more near black
        assert apart.mean() < (2e-3 if name == "rct" else 1e-6)
        assert apart.max() < (3e-2 if name == "rct" else 1e-4)


@pytest.mark.parametrize(("name", "key"), [("idt", "idt"), ("sot", "sot_10x30")])
def test_random_ones_lie_as_near_to_the_golden_mean_as_other_seeds(
    pairs, shared: Path, name: str, key: str
) -> None:
    # banks hold faces at 1.5 times the size that the original recolours: where pixels lie matters
    size = 144 if name == "sot" else 96
    src, dst = (torch.nn.functional.interpolate(x, size=size, mode="bilinear") for x in pairs)
    moved = COLOR_MATCHES[name](src, dst, seeded(1)) - src
    moved = torch.nn.functional.interpolate(moved, size=96, mode="bilinear")
    made = pictures(pairs[0] + moved)[..., ::-1]
    with np.load(shared / "golden/imaging/color.npz") as golden:
        for n, ours in enumerate(made):
            apart = np.abs(ours - golden[f"{n}/{key}_seedmean"]).mean()
            # sot: of 5 directions a step, where the golden mean is of 30
            wide = 1.5 if name == "idt" else 4
            assert apart < wide * golden[f"{n}/{key}_seed_abs_dev"].max() + 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_a_face_keeps_its_own_colours_and_its_neighbours_do_not_matter(pairs, name: str) -> None:
    src, dst = pairs
    itself = COLOR_MATCHES[name](src, src.clone(), seeded(2))
    np.testing.assert_allclose(itself, src, atol=3e-3)
    both = COLOR_MATCHES[name](src, dst, seeded(3))
    assert both.shape == src.shape
    again = COLOR_MATCHES[name](src, dst, seeded(3))
    assert torch.equal(both, again)
    alone = COLOR_MATCHES[name](src[1:2], dst[1:2], seeded(3)[1:2])
    torch.testing.assert_close(alone, both[1:2], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_flat_and_black_faces_stay_finite(name: str) -> None:
    flat = torch.stack([torch.full((3, 16, 16), level) for level in (0.0, 0.5, 1.0)])
    mixed = torch.rand(3, 3, 16, 16, generator=seeded(4)[0])
    for src, dst in ((flat, mixed), (mixed, flat), (flat, flat)):
        made = COLOR_MATCHES[name](src, dst, seeded(5))
        assert torch.isfinite(made).all()
        assert made.min() >= 0
        assert made.max() <= 1
